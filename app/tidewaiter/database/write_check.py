"""Whether the database accepts writes: the last write that failed, and a write that changes nothing."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import false
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tidewaiter.database.errors import StoreUnavailableError
from tidewaiter.database.sql_functions import DatabaseNow
from tidewaiter.database.tables import jobs, workers

_LOCK_WAIT_MS: Final = 1_000
# Several pages on both databases, in a form that neither compresses.
_TRIAL_BYTES: Final = 16_384
# So few pages in memory that SQLite writes those of the trial to its log before the rollback.
_SMALL_CACHE: Final = 2
_NOTHING: Final = jobs.update().where(false()).values(version=jobs.c.version)


@dataclass(slots=True)
class LastWrite:
    """The failure of the last write; ``None`` if it succeeded."""

    failure: StoreUnavailableError | None = None

    def failed(self, error: StoreUnavailableError) -> None:
        """A write failed. That the database is full is not forgotten when a later write fails for another reason."""
        if self.failure is None or not self.failure.full:
            self.failure = error

    def succeeded(self) -> None:
        """A transaction was committed. It needed no new page, perhaps, so a full database stays full until a trial."""
        if self.failure is not None and not self.failure.full:
            self.failure = None


async def try_to_write(writer: AsyncEngine, last: LastWrite, *, busy_ms: int) -> None:
    """Take the locks that a write needs, write nothing, and roll back.

    On SQLite, and after a write for which there was no room, a row of several pages is written before the rollback.
    With SQLite it reaches the disk: else only the commit of something that counts would find that the disk is full.

    Args:
        writer: the connections for writing.
        last: the last write; afterwards it has succeeded.
        busy_ms: how long a connection to SQLite otherwise waits for a lock.

    Raises:
        Exception: of the driver or of SQLAlchemy.
    """
    is_sqlite = writer.dialect.name == "sqlite"
    async with (
        writer.connect() as connection,
        _trial_settings(connection, busy_ms, is_sqlite=is_sqlite),
        connection.begin() as transaction,
    ):
        if not is_sqlite:
            await connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_WAIT_MS}ms'")
        await connection.execute(_NOTHING)
        if is_sqlite or (last.failure is not None and last.failure.full):
            name = secrets.token_hex(_TRIAL_BYTES)
            trial = {"owner": f"trial-{name[:16]}", "host": name, "pid": 0, "version": ""}
            await connection.execute(
                workers.insert().values(**trial, started_at=DatabaseNow(), lease_until=DatabaseNow())
            )
        await transaction.rollback()
    last.failure = None


@asynccontextmanager
async def _trial_settings(connection: AsyncConnection, busy_ms: int, *, is_sqlite: bool) -> AsyncIterator[None]:
    """Let a connection to SQLite wait briefly for the write lock that it takes, and keep no page."""
    if not is_sqlite:
        yield
        return
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None  # noqa: S101  # the connection is open
    ((cached,),) = await driver.execute_fetchall("PRAGMA cache_size")
    await driver.execute_fetchall(f"PRAGMA busy_timeout = {_LOCK_WAIT_MS}")
    await driver.execute_fetchall(f"PRAGMA cache_size = {_SMALL_CACHE}")
    try:
        yield
    finally:
        await driver.execute_fetchall(f"PRAGMA cache_size = {cached}")
        await driver.execute_fetchall(f"PRAGMA busy_timeout = {busy_ms}")

"""The SQLite file that a daemon serves is the one that was served last, or one that a person has accepted."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import SystemRandom
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.config import Config
from tidewaiter.database import database_mark
from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.database.database_mark import DatabaseMark, check_mark, keep_mark, mark_in
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.errors import StoreUnavailableError

_KEEP_EVERY_S: Final = 5.0


@asynccontextmanager
async def keeping_mark(url: str, lock: DaemonLock, clock: Clock) -> AsyncIterator[None]:
    """Check the file, and keep its mark in the lock file while the block runs; a full disk only delays the mark.

    Args:
        url: the database, SQLite.
        lock: its lock, held.
        clock: the time between two looks at the file.

    Raises:
        DatabaseFileError: the file is not the one that was served last.
        StoreUnavailableError: the file cannot be read.
    """
    await asyncio.to_thread(check_mark, url)
    guard, ended = threading.Lock(), False

    def look() -> None:
        # A thread may outlive the task that waits for it; without the lock it must write nothing.
        with guard:
            if not ended:
                _keep(url, lock)

    async def keep() -> None:
        while True:
            await asyncio.to_thread(look)
            await clock.sleep(_KEEP_EVERY_S)

    keeping = asyncio.create_task(keep(), name="database mark")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
        await asyncio.to_thread(look)
        with guard:
            ended = True


def _keep(url: str, lock: DaemonLock) -> None:
    file = DatabaseAddress.parse(url).file
    assert file is not None  # noqa: S101  # only SQLite has a lock
    with contextlib.suppress(StoreUnavailableError):
        keep_mark(lock, file, SystemRandom())


def accept_database(config: Config) -> tuple[int | None, int]:
    """Accept the configured SQLite file as it is, with tables if it has none.

    Returns:
        The highest job number of the file that was served before, ``None`` if there was none; and the one from now on.

    Raises:
        StoreUnavailableError: a daemon runs, a file cannot be used, or the database is PostgreSQL.
        SchemaError: a newer program has upgraded it.
    """
    url = config.database.url
    lock, file = DaemonLock.of(url), DatabaseAddress.parse(url).file
    if lock is None or file is None:
        raise StoreUnavailableError("The database is PostgreSQL, which is served as it is: nothing has to be accepted.")
    if not lock.try_acquire():
        raise StoreUnavailableError("A daemon serves the database: stop it first.")
    try:
        from tidewaiter.database import migrate  # noqa: PLC0415  # Alembic takes 11 MB

        migrate.upgrade(url, any_file=True)
        before = database_mark.accept(lock, file, SystemRandom())
        after = mark_in(file) or DatabaseMark(0, 0)
        return None if before is None else before.jobs, after.jobs
    finally:
        lock.release()

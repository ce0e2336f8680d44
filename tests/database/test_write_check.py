"""Whether a database accepts writes: read-only, locked and full ones do not, and what is tried changes nothing."""

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiosqlite
import psycopg
import pytest
from psycopg import sql

from tests.support.stored_jobs import StandingClock, Stores, new_job
from tidewaiter.database.engine import Database
from tidewaiter.database.errors import StoreUnavailableError


@asynccontextmanager
async def _postgres(url: str, *statements: str) -> AsyncIterator[psycopg.AsyncConnection[tuple[object, ...]]]:
    """Another connection, after these statements."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for statement in statements:
            await connection.execute(statement.encode())
        yield connection


async def _fault(database: Database) -> str:
    with pytest.raises(StoreUnavailableError) as raised:
        await database.check_writable()
    return str(raised.value)


async def _workers(database: Database) -> int:
    async with database.reading() as connection:
        return int((await connection.exec_driver_sql("SELECT count(*) FROM workers")).scalar_one())


async def test_a_database_that_accepts_writes(stores: Stores) -> None:
    """Nothing is changed by the question, and a write that comes meanwhile waits for it."""
    before = await _workers(stores.database)
    await asyncio.gather(stores.add(), *(stores.database.check_writable() for _ in range(5)))
    assert await _workers(stores.database) == before
    assert sum((await stores.jobs.counts()).values()) == 1


async def test_a_long_write_of_this_process(sqlite_url: str) -> None:
    """Thousands of jobs in one transaction are no fault of the database; after a failed write, the next one is."""
    database = Database.open(sqlite_url, StandingClock())
    async with database.writing():
        async with asyncio.timeout(1.0):
            await database.check_writable()
    with pytest.raises(StoreUnavailableError):
        async with database.writing():
            raise StoreUnavailableError("the disk does not answer")
    async with database.writing():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await database.check_writable()
    await database.close()


@pytest.mark.fault(12)
@pytest.mark.slow
async def test_a_write_that_waits_for_another_program_is_no_good_news(sqlite_url: str) -> None:
    """Once a check has found the file locked, a transaction that waits for the same lock does not hide it."""
    database = Database.open(sqlite_url, StandingClock())

    async def write() -> None:
        with pytest.raises(StoreUnavailableError):
            async with database.writing():
                pass

    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "held by another program" in await _fault(database)
        waiting = asyncio.create_task(write())
        await asyncio.sleep(0.1)
        async with asyncio.timeout(3.0):
            assert "held by another program" in await _fault(database)
        assert not waiting.done()
        await waiting
        other.execute("ROLLBACK")
    await database.check_writable()
    await database.close()


async def test_a_read_only_sqlite_file(sqlite_url: str) -> None:
    """It can be read, and that is not enough."""
    path = sqlite_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as first:
        first.execute("PRAGMA journal_mode = WAL")

    async def connect() -> aiosqlite.Connection:
        return await aiosqlite.connect(f"file:{path}?mode=ro", uri=True)

    database = Database.open(sqlite_url, StandingClock(), sqlite_connect=connect)
    await database.check_schema()
    assert "may not be written" in await _fault(database)
    await database.close()


@pytest.mark.fault(12)
@pytest.mark.slow
async def test_a_locked_sqlite_file(sqlite_url: str) -> None:
    """The question waits for one second, and later writes wait as long as before."""
    database = Database.open(sqlite_url, StandingClock())
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        assert "is held by another program" in await _fault(database)
        other.execute("ROLLBACK")
    await database.check_writable()
    async with database.writing() as connection:
        assert (await connection.exec_driver_sql("PRAGMA busy_timeout")).scalar_one() == 5_000
    await database.close()


@pytest.mark.fault(14)
async def test_a_full_sqlite_file(tmp_path: Path, sqlite_url: str) -> None:
    """A write that needs no new page succeeds, and the database is full nevertheless."""
    database = Database.open(sqlite_url, StandingClock())
    stores = await Stores.set_up(database)
    async with database.writing() as connection:
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    await stores.lanes.ensure({"acme": 1})
    assert "has no room left" in await _fault(database)
    async with database.writing() as connection:
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 1000}")
    await database.check_writable()
    await database.close()


@pytest.mark.fault(14)
async def test_a_disk_that_takes_nothing(sqlite_url: str) -> None:
    """The question reaches the disk, and not only SQLite's memory; then later transactions are as before."""
    database = Database.open(sqlite_url, StandingClock())
    await database.check_writable()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        assert "cannot be read or written" in await _fault(database)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    await database.check_writable()
    assert await _workers(database) == 0
    async with database.writing() as connection:
        assert (await connection.exec_driver_sql("PRAGMA cache_size")).scalar_one() < -1_000
    await database.close()


async def test_a_read_only_postgresql(postgres_url: str) -> None:
    """As after a failover to a server that still follows another one."""
    async with _postgres(postgres_url) as other:
        name = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
        statement = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on")
        await other.execute(statement.format(sql.Identifier(str(name))))
    database = Database.open(postgres_url, StandingClock())
    await database.check_schema()
    assert "may not be written" in await _fault(database)
    await database.close()


@pytest.mark.slow
async def test_a_locked_postgresql(postgres_url: str) -> None:
    """The table can be read and not written; afterwards it can."""
    database = Database.open(postgres_url, StandingClock())
    async with _postgres(postgres_url) as other:
        async with other.transaction():
            await other.execute("LOCK TABLE jobs IN SHARE MODE")
            await database.check_schema()
            assert "is held by another program" in await _fault(database)
        await database.check_writable()
    await database.close()


@pytest.mark.fault(14)
async def test_a_full_postgresql(postgres_url: str) -> None:
    """A job for which there was no room: the database is full until a row finds room again."""
    database = Database.open(postgres_url, StandingClock())
    stores = await Stores.set_up(database)
    refuse = (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END$$",
        "CREATE TRIGGER refusing BEFORE INSERT ON jobs EXECUTE FUNCTION refuse()",
        "CREATE TRIGGER refusing BEFORE INSERT ON workers EXECUTE FUNCTION refuse()",
    )
    async with _postgres(postgres_url, *refuse) as other:
        await database.check_writable()
        with pytest.raises(StoreUnavailableError, match="no room left"):
            await stores.jobs.add(new_job(), stores.lane.id, 1.0)
        async with database.writing() as connection:
            await connection.exec_driver_sql("UPDATE lanes SET shard = shard")
        assert "has no room left" in await _fault(database)
        assert "has no room left" in await _fault(database.for_readers)
        await other.execute("DROP FUNCTION refuse CASCADE")
        await database.check_writable()
        assert await _workers(database) == 0
    await database.close()

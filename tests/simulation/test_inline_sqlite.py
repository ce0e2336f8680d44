"""The simulation's database runs the real SQL, without threads and without waiting."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, exc, text

from tests.support.inline_sqlite import InlineProcess, connect_inline
from tests.support.stored_jobs import NOW, StandingClock, new_job
from tidewaiter.database.engine import Database, StoreUnavailableError
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore


def _path(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def _lanes(connection: Connection) -> list[int]:
    return list(connection.execute(text("SELECT id FROM lanes")).scalars())


@pytest.mark.parametrize("how", ["connections alone", "as a process"])
async def test_stores_work_without_threads(sqlite_url: str, how: str) -> None:
    """Under SQLAlchemy everything works as on aiosqlite and in a thread, and no thread is ever started."""
    if how == "as a process":
        database = InlineProcess(_path(sqlite_url)).database(StandingClock())
    else:
        database = Database.open(sqlite_url, StandingClock(), sqlite_connect=lambda: connect_inline(_path(sqlite_url)))
    threads = threading.active_count()
    lanes, jobs = LaneStore(database), JobStore(database)
    await lanes.ensure({"acme": 1})
    (lane,) = await lanes.take("me", 1, 30.0, force=False, accounts=["acme"])
    answers = await asyncio.gather(*(jobs.add(new_job(unique_key="k"), lane.id, NOW) for _ in range(5)))
    assert [is_new for _, is_new in answers].count(True) == 1
    assert await jobs.get(answers[0][0].id) == answers[0][0]
    assert threading.active_count() == threads
    await database.close()


async def test_calls_are_done_before_anyone_waits(tmp_path: Path) -> None:
    """Awaiting a call never turns the event loop: what runs between two steps is decided by the program alone."""
    turned = asyncio.Event()
    asyncio.get_running_loop().call_soon(turned.set)
    connection = await connect_inline(tmp_path / "x.db")
    await connection.execute("CREATE TABLE t (x)")
    await connection.execute("INSERT INTO t VALUES (1)")
    await connection.commit()
    cursor = await connection.execute("SELECT x FROM t")
    assert list(await cursor.fetchall()) == [(1,)]
    await connection.close()
    assert not turned.is_set()


async def test_errors_reach_the_awaiting_caller(tmp_path: Path) -> None:
    """A failing call raises where it is awaited, and the connection goes on."""
    connection = await connect_inline(tmp_path / "x.db")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await connection.execute("SELECT x FROM nowhere")
    await connection.execute("CREATE TABLE nowhere (x)")
    await connection.close()
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        _ = await connect_inline(tmp_path / "missing" / "x.db")


async def test_a_dead_process_does_nothing_more(sqlite_url: str) -> None:
    """Once the power is off no call gets through, not even a rollback; what was not committed is gone."""
    power = [True]
    database = Database.open(
        sqlite_url, StandingClock(), sqlite_connect=lambda: connect_inline(_path(sqlite_url), alive=lambda: power[0])
    )
    await LaneStore(database).ensure({"acme": 1})

    async def die_in_the_middle() -> None:
        async with database.writing() as connection:
            await connection.execute(text("DELETE FROM lanes"))
            power[0] = False

    with pytest.raises(exc.OperationalError, match="the process is dead"):
        await die_in_the_middle()
    with pytest.raises(exc.OperationalError, match="the process is dead"):
        await LaneStore(database).all_lanes()

    after = Database.open(sqlite_url, StandingClock(), sqlite_connect=lambda: connect_inline(_path(sqlite_url)))
    assert len(await LaneStore(after).all_lanes()) == 1
    await after.close()


async def test_a_process_whose_power_is_cut_does_nothing_more(sqlite_url: str) -> None:
    """Neither a connection nor a function gets through; another process has what was committed."""
    process = InlineProcess(_path(sqlite_url))
    database = process.database(StandingClock())
    await LaneStore(database).ensure({"acme": 1})
    assert len(await database.read(_lanes)) == 1
    process.cut()
    with pytest.raises(exc.OperationalError, match="the process is dead"):
        await database.write(lambda connection: connection.execute(text("DELETE FROM lanes")))
    with pytest.raises(exc.OperationalError, match="the process is dead"):
        await database.read(_lanes)
    with pytest.raises(exc.OperationalError, match="the process is dead"):
        await LaneStore(database).all_lanes()
    after = InlineProcess(_path(sqlite_url)).database(StandingClock())
    assert len(await after.read(_lanes)) == 1
    await after.close()


async def test_a_file_that_fails_fails_every_way(sqlite_url: str) -> None:
    """The error of a file that cannot be used is the driver's, by a connection and by a function."""

    def works() -> bool:
        if fails:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        return True

    fails = False
    database = InlineProcess(_path(sqlite_url), works).database(StandingClock())
    assert await database.read(_lanes) == []
    fails = True
    for asked in (database.read(_lanes), database.write(_lanes), LaneStore(database).all_lanes()):
        with pytest.raises(StoreUnavailableError, match="cannot be read or written"):
            await asked
    fails = False
    assert await database.read(_lanes) == []
    await database.close()

"""Connections that read in threads of their own: a caller that leaves does not make others wait."""

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from tests.support.stored_jobs import StandingClock
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.sqlite_engines import thread_reader
from tidewaiter.database.sqlite_readers import SqliteReaders
from tidewaiter.database.sqlite_thread import SqliteThread


def one(connection: Connection) -> int:
    """The shortest read."""
    return int(connection.execute(text("SELECT 1")).scalar_one())


async def test_a_read_whose_caller_has_left_keeps_its_connection(tmp_path: Path) -> None:
    """The next read gets the free one, and does not wait behind the long list that nobody wants any more."""
    (tmp_path / "a.db").touch()
    engine = thread_reader(DatabaseAddress.parse(f"sqlite:///{tmp_path}/a.db"), StandingClock())
    readers = SqliteReaders([SqliteThread(engine), SqliteThread(engine)])
    goes_on, begun, loop = threading.Event(), asyncio.Event(), asyncio.get_running_loop()

    def long_list(connection: Connection) -> int:
        loop.call_soon_threadsafe(begun.set)
        goes_on.wait(10)
        return one(connection)

    leaving = asyncio.create_task(readers.run(long_list))
    await begun.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    try:
        async with asyncio.timeout(5):
            assert await readers.run(one) == 1
    finally:
        goes_on.set()
    assert await asyncio.gather(*(readers.run(one) for _ in range(4))) == [1] * 4
    await readers.close()

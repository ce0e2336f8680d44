"""The connection of a thread is that thread's alone, also while the database is closed."""

import asyncio
import threading

from sqlalchemy import Connection

from tidewaiter.clock import SystemClock
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.sqlite_engines import thread_reader
from tidewaiter.database.sqlite_thread import SqliteThread


def _driver(connection: Connection) -> object:
    return connection.connection.driver_connection


async def test_who_comes_while_it_is_closed_gets_another_connection(sqlite_url: str) -> None:
    """SQLite ends the process where one thread closes a connection that another one uses."""
    thread = SqliteThread(thread_reader(DatabaseAddress.parse(sqlite_url), SystemClock()))
    goes_on, begun = threading.Event(), threading.Event()

    def wait(connection: Connection) -> object:
        begun.set()
        goes_on.wait(20)
        return _driver(connection)

    slow = asyncio.ensure_future(thread.run(wait))
    await asyncio.to_thread(begun.wait, 20)
    closing = asyncio.ensure_future(thread.close())
    await asyncio.sleep(0)
    late = await thread.run(_driver)
    goes_on.set()
    await closing
    assert await slow is not late
    await thread.close()

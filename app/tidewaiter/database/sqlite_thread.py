"""One connection to an SQLite file in a thread of its own, where a whole function runs at once.

A statement by way of aiosqlite crosses to its thread three to five times, and a crossing costs more than the statement.
Here a transaction crosses once, however many statements it has.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")


class SqliteRunner(Protocol):
    """Runs functions with one connection to an SQLite file; a simulation brings one that needs no thread.

    ``engine`` opens the connection.
    """

    engine: Engine

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction; see :meth:`SqliteThread.run`."""

    async def close(self) -> None:
        """Close the connection, after what was asked before."""


class SqliteThread:
    """Runs functions with one connection, one after the other. It is opened by the first function.

    Args:
        engine: opens the connection, and closes it for good (no pool).
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._place = ConnectionInThread(engine)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction, which is committed at its end, or rolled back on an error.

        Once it has begun it goes to its end, even if the caller is cancelled; the caller then does not know its result.

        Raises:
            Exception: of ``work``, of SQLAlchemy or of the driver.
        """
        place = self._place
        return await asyncio.get_running_loop().run_in_executor(place.executor, place.run, work)

    async def close(self) -> None:
        """Close the connection and end the thread, after what was asked before; another opens if a function follows."""
        place, self._place = self._place, ConnectionInThread(self.engine)
        await asyncio.get_running_loop().run_in_executor(place.executor, place.close)
        place.executor.shutdown(wait=False)


class ConnectionInThread:
    """A thread and its connection, which no other thread may touch: SQLite would end the process.

    Args:
        engine: opens the connection.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="sqlite")

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction, in this thread."""
        if self._connection is None:
            self._connection = self._engine.connect()
        try:
            with self._connection.begin():
                return work(self._connection)
        except BaseException:
            # A statement or a commit that failed may leave the connection in any state.
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, in this thread."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

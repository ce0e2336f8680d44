"""Some connections to an SQLite file that read, each in a thread of its own; a long list delays few others."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine

from tidewaiter.database.sqlite_thread import SqliteThread

T = TypeVar("T")


class SqliteReaders:
    """Runs functions that read, each with a connection that is free, in the order in which they came.

    Args:
        engine: opens the connections, and closes them for good (no pool).
        number: how many there are; each is opened by the first function that needs it.
    """

    def __init__(self, engine: Engine, number: int) -> None:
        self._threads = [SqliteThread(engine) for _ in range(number)]
        self._free = list(self._threads)
        self._places = asyncio.Semaphore(number)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` as :meth:`SqliteThread.run` does.

        Raises:
            Exception: of ``work``, of SQLAlchemy or of the driver.
        """
        async with self._places:
            # The one that was used last: as long as one is enough, the others are not opened.
            thread = self._free.pop()
            try:
                return await thread.run(work)
            finally:
                self._free.append(thread)

    async def close(self) -> None:
        """Close the connections and end the threads."""
        for thread in self._threads:
            await thread.close()

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

        A function whose caller has left goes on to its end, and keeps its connection until then.

        Raises:
            Exception: of ``work``, of SQLAlchemy or of the driver.
        """
        await self._places.acquire()
        # The one that was used last: as long as one is enough, the others are not opened.
        thread = self._free.pop()

        def ended(running: asyncio.Future[T]) -> None:
            self._free.append(thread)
            self._places.release()
            if not running.cancelled():
                running.exception()  # the caller may have left

        running = asyncio.ensure_future(thread.run(work))
        running.add_done_callback(ended)
        return await asyncio.shield(running)

    async def close(self) -> None:
        """Close the connections and end the threads."""
        for thread in self._threads:
            await thread.close()

"""Some connections to an SQLite file that read, each in a thread of its own; a long list delays few others."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from tidewaiter.database.sqlite_thread import SqliteRunner

T = TypeVar("T")


class SqliteReaders:
    """Runs functions that read, each with a connection that is free, in the order in which they came.

    Args:
        threads: one for each connection, which is opened by the first function that needs it.
    """

    def __init__(self, threads: Sequence[SqliteRunner]) -> None:
        self._threads = threads
        self._free = list(threads)
        self._places = asyncio.Semaphore(len(threads))

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

"""One connection to an SQLite file in a thread of its own, where a whole function runs at once.

A statement by way of aiosqlite crosses to its thread three to five times, and a crossing costs more than the statement.
Here a transaction crosses once, however many statements it has.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")


class SqliteThread:
    """Runs functions with one connection, one after the other. It is opened by the first function.

    Args:
        engine: opens the connection, and closes it for good (no pool).
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="sqlite")

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction, which is committed at its end, or rolled back on an error.

        Once it has begun it goes to its end, even if the caller is cancelled; the caller then does not know its result.

        Raises:
            Exception: of ``work``, of SQLAlchemy or of the driver.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._run, work)

    async def close(self) -> None:
        """Close the connection and end the thread; it opens again if a function follows."""
        executor, self._executor = self._executor, ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        await asyncio.get_running_loop().run_in_executor(executor, self._close)
        executor.shutdown(wait=False)

    def _run(self, work: Callable[[Connection], T]) -> T:
        if self._connection is None:
            self._connection = self._engine.connect()
        try:
            with self._connection.begin():
                return work(self._connection)
        except BaseException:
            # A statement or a commit that failed may leave the connection in any state.
            self._close()
            raise

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

"""SQLite in the calling thread: what is awaited is done at once, so that the program alone decides the order."""

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
from aiosqlite.core import set_exception, set_result
from sqlalchemy import Connection, Engine, exc

from tidewaiter.clock import Clock
from tidewaiter.database.engine import Database
from tidewaiter.database.sqlite_thread import ConnectionInThread

T = TypeVar("T")


def _always() -> bool:
    return True


class InlineConnection(aiosqlite.Connection):
    """An aiosqlite connection without its thread.

    aiosqlite puts each call on a queue and awaits a future that its thread completes. Here the queue runs the call at
    once, so that the future is done before it is awaited and the event loop never turns.

    Args:
        path: the database file.
        alive: asked before every call; once it says no, the connection behaves as a dead process: nothing is done any
            more, not even a rollback.
        factory: the class of the connection beneath.
    """

    def __init__(
        self,
        path: str | Path,
        alive: Callable[[], bool] = _always,
        factory: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> None:
        super().__init__(lambda: sqlite3.connect(path, factory=factory), iter_chunk_size=64)
        self._tx = _InlineQueue(alive)  # type: ignore[assignment]  # only put_nowait is used, by aiosqlite and SQLAlchemy

    def __await__(self) -> Generator[Any, None, "InlineConnection"]:
        """Connect; no thread is started."""
        return self._finish().__await__()

    async def _finish(self) -> "InlineConnection":
        _ = await self._connect()
        return self

    def __del__(self) -> None:
        """A connection of a process that was cut off is not closed by anybody: that is no leak to warn of."""


class _InlineQueue:
    """Stands where aiosqlite has the queue to its thread."""

    def __init__(self, alive: Callable[[], bool]) -> None:
        self._alive = alive

    def put_nowait(self, item: tuple["asyncio.Future[Any] | None", Callable[[], Any]]) -> None:
        """Do the call, and complete its future."""
        future, call = item
        try:
            result = self._run(call)
        except Exception as error:  # noqa: BLE001  # the awaiting caller gets it
            if future is not None:
                set_exception(future, error)
        else:
            if future is not None:
                set_result(future, result)

    def _run(self, call: Callable[[], Any]) -> Any:
        if not self._alive():
            raise sqlite3.OperationalError("connection closed: the process is dead")
        return call()


def connect_inline(path: str | Path, *, alive: Callable[[], bool] = _always) -> InlineConnection:
    """A connection to await, as ``aiosqlite.connect`` gives one; see :class:`InlineConnection`."""
    return InlineConnection(path, alive)


class InlineRunner:
    """Runs functions as the daemon's :class:`~tidewaiter.database.sqlite_thread.SqliteThread` does, but at once.

    Args:
        engine: opens the connection.
        alive: as for :class:`InlineConnection`, asked before each function.
    """

    def __init__(self, engine: Engine, alive: Callable[[], bool]) -> None:
        self.engine = engine
        self._place = ConnectionInThread(engine)
        self._alive = alive

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction."""
        try:
            if not self._alive():
                raise sqlite3.OperationalError("connection closed: the process is dead")
        except sqlite3.Error as error:
            raise exc.OperationalError("", {}, error) from error
        return self._place.run(work)

    async def close(self) -> None:
        """Close the connection."""
        self._place.close()

    def drop(self) -> None:
        """Close the connection, as the end of its process does."""
        self._place.close()


class InlineProcess:
    """What a process of a simulation has open of an SQLite file; when its power is cut, that is gone at once.

    Args:
        path: the database file.
        alive: whether the file can be used, besides the power; it may raise what the driver would.
    """

    def __init__(self, path: Path, alive: Callable[[], bool] = _always) -> None:
        self.on = True
        self._path = path
        self._file_works = alive
        self._connections: list[sqlite3.Connection] = []
        self._runners: list[InlineRunner] = []

    def database(self, clock: Clock) -> Database:
        """The database as this process uses it."""
        url = f"sqlite:///{self._path}"
        return Database.open(url, clock, sqlite_connect=self._connect, sqlite_runner=self._runner)

    def cut(self) -> None:
        """Cut the power: what is not committed is lost, and whatever still runs does nothing more."""
        self.on = False
        for connection in self._connections:
            connection.close()
        for runner in self._runners:
            runner.drop()

    def _works(self) -> bool:
        return self.on and self._file_works()

    async def _connect(self) -> aiosqlite.Connection:
        connection = await connect_inline(self._path, alive=self._works)
        connection.isolation_level = None
        # The one beneath: the pool may have closed the other by the time the power goes.
        self._connections.append(connection._conn)
        return connection

    def _runner(self, engine: Engine) -> InlineRunner:
        runner = InlineRunner(engine, self._works)
        self._runners.append(runner)
        return runner

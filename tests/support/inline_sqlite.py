"""SQLite connections that work in the calling thread: awaitable like aiosqlite's, but done at once."""

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import aiosqlite
from aiosqlite.core import set_exception, set_result


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

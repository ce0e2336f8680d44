"""Counts what a process asks of its database and its disk: figures that no load of the machine changes."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from queue import SimpleQueue
from typing import Any, TypeVar
from unittest.mock import patch

from aiosqlite import core
from sqlalchemy import Connection, Engine, event

from tidewaiter.database.sqlite_thread import ConnectionInThread

T = TypeVar("T")


@dataclass(slots=True)
class DatabaseCounts:
    """How often something happened while the block of :func:`counting` ran.

    ``crossings`` are calls into a thread of SQLite, ``statements`` go to the driver, ``commits`` end a transaction for
    writing, and ``syncs`` are calls of fsync for files and folders (SQLite adds one for each commit).
    """

    crossings: int = 0
    statements: int = 0
    commits: int = 0
    syncs: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


@contextmanager
def counting() -> Iterator[DatabaseCounts]:
    """Count in this process; connections to SQLite that are open already are not counted."""
    counts = DatabaseCounts()

    class CountingQueue(SimpleQueue[Any]):
        """Stands where aiosqlite has the queue to its thread."""

        def put_nowait(self, item: Any) -> None:
            counts.crossings += 1
            super().put_nowait(item)

    run_in_thread = ConnectionInThread.run

    def run(thread: ConnectionInThread, work: Callable[[Connection], T]) -> T:
        counts.crossings += 1
        return run_in_thread(thread, work)

    def stated(*_: object) -> None:
        counts.statements += 1

    def committed(connection: Connection) -> None:
        of_engine: object = connection.dialect._on_connect_isolation_level
        if "AUTOCOMMIT" not in (of_engine, connection.get_execution_options().get("isolation_level")):
            counts.commits += 1

    def counted(sync: Callable[[int], None]) -> Callable[[int], None]:
        def counting_sync(number: int) -> None:
            counts.syncs += 1
            sync(number)

        return counting_sync

    with ExitStack() as stack:
        stack.enter_context(patch.object(core, "SimpleQueue", CountingQueue))
        stack.enter_context(patch.object(ConnectionInThread, "run", run))
        for name in ("fsync", "fdatasync"):
            stack.enter_context(patch.object(os, name, counted(getattr(os, name))))
        for what, listener in (("before_cursor_execute", stated), ("commit", committed)):
            event.listen(Engine, what, listener)
            stack.callback(event.remove, Engine, what, listener)
        yield counts

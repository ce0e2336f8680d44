"""The effects of a process, in order: what it has committed, stored or sent when its power is cut."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from tests.support.inline_sqlite import InlineConnection

T = TypeVar("T")

_RANDOM_PART = re.compile(r"-?\b[0-9a-f]{16}(?=\.(?:part|tmp|json|step)$)")

Gap = Callable[[int], None]
"""Called between two effects with the number of those that have happened. Where it cuts the power it never returns."""


def never(_: int) -> None:
    """The power is never cut."""


@dataclass(slots=True)
class Effects:
    """Counts effects; ``gap`` is called before whatever follows one, and ``names`` are what has happened."""

    gap: Gap = never
    names: list[str] = field(default_factory=list)
    _asked: int = 0

    def happened(self, name: str) -> None:
        """Something has changed outside of the process; a temporary file's name counts without its random part."""
        self.names.append(_RANDOM_PART.sub("", name))

    def before(self) -> None:
        """Something is about to be done or read."""
        if len(self.names) > self._asked:
            self._asked = len(self.names)
            self.gap(self._asked)

    def connection(self, path: Path) -> "CuttableConnection":
        """A connection to an SQLite file whose commits are effects."""
        return CuttableConnection(path, self)


class CuttableConnection(InlineConnection):
    """An aiosqlite connection that works at once, and tells of its commits."""

    def __init__(self, path: Path, effects: Effects) -> None:
        super().__init__(path, factory=_factory(effects))


def _factory(effects: Effects) -> type[sqlite3.Connection]:
    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *parameters: Any) -> "Cursor":
            with _counted(effects, self.connection, sql):
                return super().execute(sql, *parameters)

        def executemany(self, sql: str, *parameters: Any) -> "Cursor":
            with _counted(effects, self.connection, sql):
                return super().executemany(sql, *parameters)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, sql: str, *parameters: Any) -> Any:
            return self.cursor().execute(sql, *parameters)

        def commit(self) -> None:
            with _counted(effects, self, "COMMIT"):
                super().commit()

        def rollback(self) -> None:
            effects.before()
            super().rollback()

    return Connection


@contextmanager
def _counted(effects: Effects, connection: sqlite3.Connection, sql: str) -> Iterator[None]:
    effects.before()
    was_open = connection.in_transaction
    yield
    word = sql.lstrip()[:8].upper()
    ended = was_open and not connection.in_transaction and word.startswith(("COMMIT", "END"))
    alone = not was_open and not connection.in_transaction and word.startswith(("INSERT", "UPDATE", "DELETE", "WITH"))
    if ended or alone:
        effects.happened("commit")


async def opened(effects: Effects, path: Path) -> aiosqlite.Connection:
    """A connection of the daemon."""
    connection = await effects.connection(path)
    connection.isolation_level = None
    return connection

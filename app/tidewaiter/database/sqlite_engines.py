"""The connections to an SQLite file: pools for aiosqlite, and single ones for threads of our own."""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import aiosqlite
from sqlalchemy import Connection, Engine, FromClause, NullPool, create_engine, event
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tidewaiter.clock import Clock
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.errors import StoreUnavailableError
from tidewaiter.database.row_codec import storable
from tidewaiter.database.sql_functions import CLOCK_FUNCTION, WALL_CLOCK_FUNCTION
from tidewaiter.database.sqlite_files import make_private

SqliteConnect: TypeAlias = Callable[[], Awaitable[aiosqlite.Connection]]
"""Opens a connection to the SQLite file; a simulation brings one that needs no thread."""

# RETURNING came with it: https://www.sqlite.org/lang_returning.html
_OLDEST_SQLITE: Final = (3, 35)
BUSY_MS: Final = 5_000
_READERS: Final = 2
_CACHE_KIB: Final = 65_536
_POOL_CACHE_KIB: Final = 8_192
_LARGEST_JOURNAL: Final = 67_108_864
# A page that several groups change is then written back once.
_CHECKPOINT_PAGES: Final = 1000

_READING: Final[Mapping[str, Any]] = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
_READER_PRAGMAS: Final = ("query_only = ON",)
_WRITER_PRAGMAS: Final = (
    "journal_mode = WAL",
    f"journal_size_limit = {_LARGEST_JOURNAL}",
    f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
)


def prepare_file(file: Path) -> None:
    """Create the file, for this user alone.

    Raises:
        StoreUnavailableError: it cannot be created, or this Python's SQLite is too old.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreUnavailableError(f"SQLite {sqlite3.sqlite_version} is too old: 3.35 is the first that will do.")
    make_private(file)


class _HintCompiler(SQLiteCompiler):
    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:  # noqa: ARG002  # SQLAlchemy's own
        return text


def _permit_hints(engine: Engine) -> None:
    """Let ``with_hint`` of a statement reach SQLite; SQLAlchemy ignores it there.

    Without statistics SQLite guesses, and prefers an index on the state of all jobs to a partial index of a few.
    """
    dialect: Any = engine.dialect
    dialect.statement_compiler = _HintCompiler


def _pool(address: DatabaseAddress, connect: SqliteConnect | None, number: int, **options: Any) -> AsyncEngine:
    """A pool of this many connections."""
    if connect is not None:
        options["async_creator"] = connect
    engine = create_async_engine(
        address.for_daemon(), pool_size=number, max_overflow=0, hide_parameters=True, **options
    )
    _permit_hints(engine.sync_engine)
    return engine


def sqlite_readers(address: DatabaseAddress, clock: Clock, connect: SqliteConnect | None) -> AsyncEngine:
    """A pool of connections for reading."""
    readers = _pool(address, connect, _READERS, pool_reset_on_return=None, **_READING)
    _on_connect(readers.sync_engine, clock, _POOL_CACHE_KIB, *_READER_PRAGMAS)
    return readers


def sqlite_writer(address: DatabaseAddress, clock: Clock, connect: SqliteConnect | None) -> AsyncEngine:
    """A pool of one connection for writing, which takes the write lock at the beginning of a transaction."""
    writer = _pool(address, connect, 1)
    _on_connect(writer.sync_engine, clock, _POOL_CACHE_KIB, *_WRITER_PRAGMAS)
    event.listen(writer.sync_engine, "begin", _begin_immediate)
    return writer


def thread_reader(address: DatabaseAddress, clock: Clock) -> Engine:
    """Opens the connection of a thread that reads."""
    return _thread_engine(address, clock, *_READER_PRAGMAS, **_READING)


def thread_writer(address: DatabaseAddress, clock: Clock) -> Engine:
    """Opens the connection of a thread that writes."""
    writer = _thread_engine(address, clock, *_WRITER_PRAGMAS)
    event.listen(writer, "begin", _begin_immediate)
    return writer


def _thread_engine(address: DatabaseAddress, clock: Clock, *pragmas: str, **options: Any) -> Engine:
    """An engine for one thread, which keeps its one connection itself."""
    engine = create_engine(address.for_migrations(), poolclass=NullPool, hide_parameters=True, **options)
    _permit_hints(engine)
    _on_connect(engine, clock, _CACHE_KIB, *pragmas)
    event.listen(engine, "before_cursor_execute", make_storable, retval=True)
    return engine


def _on_connect(engine: Engine, clock: Clock, cache_kib: int, *pragmas: str) -> None:
    everywhere = (
        f"busy_timeout = {BUSY_MS}",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"cache_size = -{cache_kib}",
    )

    def prepare(connection: Any, _record: object) -> None:
        # The driver itself would begin a transaction late, with a read lock that is upgraded.
        connection.isolation_level = None
        connection.create_function(CLOCK_FUNCTION, 0, clock.now)
        connection.create_function(WALL_CLOCK_FUNCTION, 0, lambda: clock.now() + clock.skew())
        cursor = connection.cursor()
        for pragma in (*everywhere, *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine, "connect", prepare)


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock at once: a transaction that reads first and writes later could not wait for it."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def make_storable(
    _connection: Connection, _cursor: object, statement: str, parameters: Any, _context: object, executemany: bool
) -> tuple[str, Any]:
    """Replace, in every parameter, characters that neither database accepts; a provider's text may contain them."""
    return statement, [_storable(one) for one in parameters] if executemany else _storable(parameters)


def _storable(parameters: Any) -> Any:
    if isinstance(parameters, Mapping):
        return {name: storable(one) if isinstance(one, str) else one for name, one in parameters.items()}
    return tuple(storable(one) if isinstance(one, str) else one for one in parameters)

"""The database: connections for reading and writing, and whether it can be used."""

import asyncio
import copy
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, TypeAlias

import aiosqlite
from sqlalchemy import Column, Connection, MetaData, Table, Text, event, inspect, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tidewaiter.clock import Clock
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.errors import HandleTakenError, SchemaError, StoreUnavailableError, unavailable
from tidewaiter.database.postgres_rights import RoleRights, rights_of
from tidewaiter.database.row_codec import storable
from tidewaiter.database.schema_check import encoding_fault, known_revisions
from tidewaiter.database.sql_functions import CLOCK_FUNCTION, DatabaseNow
from tidewaiter.database.sqlite_files import OpenedFile, make_private
from tidewaiter.database.sqlite_hints import permit_hints
from tidewaiter.database.write_check import LastWrite, try_to_write

__all__ = ["Database", "HandleTakenError", "SchemaError", "SqliteConnect", "StoreUnavailableError"]

SqliteConnect: TypeAlias = Callable[[], Awaitable[aiosqlite.Connection]]
"""Opens a connection to the SQLite file; a simulation brings one that needs no thread."""

# https://alembic.sqlalchemy.org/en/latest/api/runtime.html: one row with the revision.
_VERSIONS: Final = Table("alembic_version", MetaData(), Column("version_num", Text))

# RETURNING came with it: https://www.sqlite.org/lang_returning.html
_OLDEST_SQLITE: Final = (3, 35)
_BUSY_MS: Final = 5_000
_READERS: Final = 2
_CACHE_KIB: Final = 65_536
_OTHER_READERS: Final = 2
_OTHER_CACHE_KIB: Final = 8_192
_LARGEST_JOURNAL: Final = 67_108_864
# A page that several groups change is then written back once.
_CHECKPOINT_PAGES: Final = 1000

_POOL: Final = 5
_POOL_WAIT_S: Final = 10.0
# Longer than the server's own limits, which end a statement without closing the connection.
_ANSWER_S: Final = 20.0
_STATEMENT_S: Final = 15
_OTHER_STATEMENT_S: Final = 8
_SERVER_OPTIONS: Final = (
    "-c lock_timeout=10s -c idle_in_transaction_session_timeout=30s -c default_transaction_isolation=read\\ committed"
)
_CONNECTION_OPTIONS: Final = {
    # Overrides PGCLIENTENCODING: every text must be transferable.
    "client_encoding": "utf8",
    "fallback_application_name": "tidewaiter",
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


class Database:
    """One database, SQLite or PostgreSQL, through pools of connections that are opened on first use.

    On SQLite there is one writing connection, which holds the write lock from the beginning of a transaction, and
    readers that never wait for it (WAL). Pages, lists and scrapes have separate readers, see :attr:`for_readers`.
    Every transaction has a time limit: a database that does not answer is unavailable, and does not block the daemon.

    ``name`` is the URL without its secret parts. ``exclusive`` says that only one daemon at a time can serve the
    database; ``dialect`` is ``sqlite`` or ``postgresql``.
    """

    def __init__(
        self, name: str, reader: AsyncEngine, writer: AsyncEngine, *, other_reader: AsyncEngine, exclusive: bool
    ) -> None:
        self.name = name
        self.exclusive = exclusive
        self.dialect = writer.dialect.name
        self._reader = reader
        self._writer = writer
        self._other_reader = other_reader
        self._file: OpenedFile | None = None
        self._last_write = LastWrite()  # shared with every copy
        for engine in (reader, writer, other_reader):
            event.listen(engine.sync_engine, "before_cursor_execute", _make_storable, retval=True)
        # Otherwise several tasks would wait for the one connection inside the pool, which has a time limit.
        self._one_writer: AbstractAsyncContextManager[object] = asyncio.Lock() if exclusive else nullcontext()

    @classmethod
    def open(cls, url: str, clock: Clock, *, sqlite_connect: SqliteConnect | None = None) -> "Database":
        """Prepare a database for use; nothing is connected yet.

        Args:
            url: ``sqlite:///path`` (file and folder are created, for this user alone) or ``postgresql://...``.
            clock: the database's clock on SQLite; PostgreSQL has its own.
            sqlite_connect: opens the connections to the SQLite file in place of ``aiosqlite.connect``.

        Raises:
            ValueError: the URL is not one of a supported database.
            StoreUnavailableError: the file cannot be created, or this Python's SQLite is too old.
        """
        address = DatabaseAddress.parse(url)
        if address.file is None:
            engine = _postgresql_engine(address, _STATEMENT_S, pool_size=_POOL, max_overflow=_POOL)
            other_reader = _postgresql_engine(address, _OTHER_STATEMENT_S, pool_size=_OTHER_READERS, max_overflow=0)
            reader, other_reader = (
                one.execution_options(isolation_level="AUTOCOMMIT") for one in (engine, other_reader)
            )
            return cls(address.name, reader, engine, other_reader=other_reader, exclusive=False)
        _prepare_file(address.file)
        reader = _sqlite_readers(address, clock, sqlite_connect, _READERS, _CACHE_KIB)
        other_reader = _sqlite_readers(address, clock, sqlite_connect, _OTHER_READERS, _OTHER_CACHE_KIB)
        writer = _sqlite_writer(address, clock, sqlite_connect)
        database = cls(address.name, reader, writer, other_reader=other_reader, exclusive=True)
        database._file = OpenedFile(address.file)
        return database

    @property
    def for_readers(self) -> "Database":
        """The same database for pages, lists and scrapes, which read through separate connections.

        So many callers or a long list never use the daemon's readers. On PostgreSQL their statements have a shorter
        time limit. Writes use the common connection. It is closed together with this database.
        """
        database = copy.copy(self)
        database._reader = self._other_reader
        return database

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading; each statement sees what is committed when it begins.

        Raises:
            StoreUnavailableError: the database cannot be used.
        """
        async with self._bounded(), self._reader.connect() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that is committed at the end, or rolled back on an error.

        Raises:
            StoreUnavailableError: the database cannot be used; when the commit itself failed, it may have been done.
        """
        try:
            async with self._one_writer, self._bounded(), self._writer.begin() as connection:
                yield connection
        except StoreUnavailableError as error:
            self._last_write.failed(error)
            raise
        self._last_write.succeeded()

    async def check_writable(self) -> None:
        """Check that a write would be accepted now, with one that changes nothing.

        A transaction of this process is no reason to wait on SQLite: it has a limit of time, and tells how it ended. So
        the check returns at once while one runs, unless the last one failed.

        Raises:
            StoreUnavailableError: the database is read-only, locked or full, or it cannot be used at all.
        """
        writer = self._one_writer
        if isinstance(writer, asyncio.Lock) and writer.locked() and self._last_write.failure is None:
            return
        async with writer, self._bounded():
            await try_to_write(self._writer, self._last_write, busy_ms=_BUSY_MS)

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        """Turn every failure of the database into one exception; a missing reply too."""
        self.check_file()
        try:
            async with asyncio.timeout(_ANSWER_S):
                yield
        except Exception as error:
            failure = unavailable(error)
            if failure is None:
                raise
            raise failure from error

    def check_file(self) -> None:
        """Check that the file of an SQLite database is still the opened one; each transaction begins with this check.

        Raises:
            DatabaseFileError: it was deleted, moved or replaced.
        """
        if self._file is not None:
            self._file.check()

    async def schema_version(self) -> str | None:
        """The revision of the database's tables; ``None`` if it has no tables yet."""
        async with self.reading() as connection:
            return await connection.run_sync(_revision_of)

    async def now(self) -> float:
        """The database's own clock, in epoch seconds.

        Raises:
            StoreUnavailableError: the database cannot be used.
        """
        async with self.reading() as connection:
            return float((await connection.execute(select(DatabaseNow()))).scalar_one())

    async def rights(self) -> RoleRights | None:
        """What the role of a PostgreSQL database may do; ``None`` on SQLite.

        Raises:
            StoreUnavailableError: the database cannot be used.
        """
        if self.dialect != "postgresql":
            return None
        async with self.reading() as connection:
            return await connection.run_sync(rights_of)

    async def check_schema(self) -> None:
        """Check that the database accepts every text, and that its tables are those of this program.

        Raises:
            SchemaError: its encoding is not UTF-8, or the tables are missing, older or newer; the text says what to do.
            StoreUnavailableError: the database cannot be used.
        """
        if self.dialect == "postgresql":
            async with self.reading() as connection:
                fault = await connection.run_sync(encoding_fault)
            if fault is not None:
                raise SchemaError(fault)
        found, known = await self.schema_version(), known_revisions()
        if found == known[-1]:
            return
        if found is None:
            raise SchemaError("The database has no tables yet: run `tidewaiter db upgrade`.")
        if found in known:
            raise SchemaError(
                f"The database is at revision {found} and this program needs {known[-1]}: run `tidewaiter db upgrade`."
            )
        raise SchemaError(
            f"The database is at revision {found}, which is newer than this program, whose last is {known[-1]}: "
            "run the program that upgraded it."
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._reader.dispose()
        await self._other_reader.dispose()
        await self._writer.dispose()


def _revision_of(connection: Connection) -> str | None:
    """The revision in Alembic's table; ``None`` if there is no such table."""
    if not inspect(connection).has_table(_VERSIONS.name):
        return None
    return connection.execute(select(_VERSIONS.c.version_num)).scalar()


def _postgresql_engine(address: DatabaseAddress, statement_s: int, *, pool_size: int, max_overflow: int) -> AsyncEngine:
    own_options = address.url.query.get("options", "")
    options = f"-c statement_timeout={statement_s}s {_SERVER_OPTIONS} {own_options}"
    return create_async_engine(
        address.for_daemon(),
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=_POOL_WAIT_S,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={**_CONNECTION_OPTIONS, "options": options},
    )


def _make_storable(
    _connection: Connection, _cursor: object, statement: str, parameters: Any, _context: object, executemany: bool
) -> tuple[str, Any]:
    """Replace, in every parameter, characters that neither database accepts; a provider's text may contain them."""
    return statement, [_storable(one) for one in parameters] if executemany else _storable(parameters)


def _storable(parameters: Any) -> Any:
    if isinstance(parameters, Mapping):
        return {name: storable(one) if isinstance(one, str) else one for name, one in parameters.items()}
    return tuple(storable(one) if isinstance(one, str) else one for one in parameters)


def _prepare_file(file: Path) -> None:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreUnavailableError(f"SQLite {sqlite3.sqlite_version} is too old: 3.35 is the first that will do.")
    make_private(file)


def _sqlite_engine(address: DatabaseAddress, connect: SqliteConnect | None, number: int, **options: Any) -> AsyncEngine:
    """A pool of this many connections."""
    if connect is not None:
        options["async_creator"] = connect
    engine = create_async_engine(
        address.for_daemon(), pool_size=number, max_overflow=0, hide_parameters=True, **options
    )
    permit_hints(engine)
    return engine


def _sqlite_readers(
    address: DatabaseAddress, clock: Clock, connect: SqliteConnect | None, number: int, cache_kib: int
) -> AsyncEngine:
    readers = _sqlite_engine(
        address,
        connect,
        number,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
    )
    _on_connect(readers, clock, f"cache_size = -{cache_kib}", "query_only = ON")
    return readers


def _sqlite_writer(address: DatabaseAddress, clock: Clock, connect: SqliteConnect | None) -> AsyncEngine:
    writer = _sqlite_engine(address, connect, 1)
    _on_connect(
        writer,
        clock,
        f"cache_size = -{_CACHE_KIB}",
        "journal_mode = WAL",
        f"journal_size_limit = {_LARGEST_JOURNAL}",
        f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
    )
    event.listen(writer.sync_engine, "begin", _begin_immediate)
    return writer


def _on_connect(engine: AsyncEngine, clock: Clock, *pragmas: str) -> None:
    everywhere = (f"busy_timeout = {_BUSY_MS}", "synchronous = FULL", "foreign_keys = ON")

    def prepare(connection: Any, _record: object) -> None:
        # The driver itself would begin a transaction late, with a read lock that is upgraded.
        connection.isolation_level = None
        connection.create_function(CLOCK_FUNCTION, 0, clock.now)
        cursor = connection.cursor()
        for pragma in (*everywhere, *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine.sync_engine, "connect", prepare)


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock at once: a transaction that reads first and writes later could not wait for it."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")

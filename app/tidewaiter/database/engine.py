"""The database: connections for reading and writing, and whether it can be used."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Final, TypeVar

from sqlalchemy import Column, Connection, Engine, MetaData, Table, Text, event, inspect, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tidewaiter.clock import Clock
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.errors import HandleTakenError, SchemaError, StoreUnavailableError, unavailable
from tidewaiter.database.postgres_engines import for_others, for_statements, for_transactions
from tidewaiter.database.postgres_rights import RoleRights, rights_of
from tidewaiter.database.schema_check import encoding_fault, known_revisions
from tidewaiter.database.sql_functions import DatabaseNow
from tidewaiter.database.sqlite_engines import (
    BUSY_MS,
    SqliteConnect,
    make_storable,
    prepare_file,
    sqlite_readers,
    sqlite_writer,
    thread_reader,
    thread_writer,
)
from tidewaiter.database.sqlite_files import OpenedFile
from tidewaiter.database.sqlite_readers import SqliteReaders
from tidewaiter.database.sqlite_thread import SqliteRunner, SqliteThread
from tidewaiter.database.write_check import LastWrite, try_to_write

__all__ = ["Database", "HandleTakenError", "SchemaError", "SqliteConnect", "StoreUnavailableError"]

T = TypeVar("T")

# https://alembic.sqlalchemy.org/en/latest/api/runtime.html: one row with the revision.
_VERSIONS: Final = Table("alembic_version", MetaData(), Column("version_num", Text))

_OTHER_READERS: Final = 2
_TURN_S: Final = 1.0
# Longer than the server's own limits, which end a statement without closing the connection.
_ANSWER_S: Final = 20.0


class Database:
    """One database, SQLite or PostgreSQL, through pools of connections that are opened on first use.

    On SQLite there is one writing connection, which holds the write lock from the beginning of a transaction, and
    readers that never wait for it (WAL). Pages, lists and scrapes have separate readers, see :attr:`for_readers`.
    Every transaction has a time limit: a database that does not answer is unavailable, and does not block the daemon.

    ``name`` is the URL without its secret parts. ``exclusive`` says that only one daemon at a time can serve the
    database; ``dialect`` is ``sqlite`` or ``postgresql``. ``clock`` is that of this process, which may differ from the
    database's.
    """

    def __init__(
        self,
        name: str,
        reader: AsyncEngine,
        writer: AsyncEngine,
        *,
        other_reader: AsyncEngine,
        exclusive: bool,
        clock: Clock,
    ) -> None:
        self.name = name
        self.clock = clock
        self.exclusive = exclusive
        self.dialect = writer.dialect.name
        self._reader = reader
        self._autocommit = reader  # of PostgreSQL
        self._writer = writer
        self._other_reader = other_reader
        self._file: OpenedFile | None = None
        self._read_thread: SqliteRunner | None = None
        self._other_threads: SqliteReaders | None = None
        self._is_for_readers = False
        self._write_thread: SqliteRunner | None = None
        self._last_write = LastWrite()  # shared with every copy
        for engine in (reader, writer, other_reader):
            event.listen(engine.sync_engine, "before_cursor_execute", make_storable, retval=True)
        # Otherwise several tasks would wait for the one connection inside the pool, which has a time limit.
        self._one_writer: AbstractAsyncContextManager[object] = asyncio.Lock() if exclusive else nullcontext()

    @classmethod
    def open(
        cls,
        url: str,
        clock: Clock,
        *,
        sqlite_connect: SqliteConnect | None = None,
        sqlite_runner: Callable[[Engine], SqliteRunner] | None = None,
    ) -> "Database":
        """Prepare a database for use; nothing is connected yet.

        Args:
            url: ``sqlite:///path`` (file and folder are created, for this user alone) or ``postgresql://...``.
            clock: that of this process; the database's clock on SQLite, PostgreSQL has its own.
            sqlite_connect: opens the connections to the SQLite file in place of ``aiosqlite.connect``. Alone, it opens
                those of :meth:`read` and :meth:`write`, too.
            sqlite_runner: runs what :meth:`read` and :meth:`write` are given, in place of a thread for each connection.

        Raises:
            ValueError: the URL is not one of a supported database.
            StoreUnavailableError: the file cannot be created, or this Python's SQLite is too old.
        """
        address = DatabaseAddress.parse(url)
        if address.file is None:
            reader, other_reader = for_statements(address, clock), for_others(address)
            writer = for_transactions(address)
            return cls(address.name, reader, writer, other_reader=other_reader, exclusive=False, clock=clock)
        prepare_file(address.file)
        reader = sqlite_readers(address, clock, sqlite_connect)
        other_reader = sqlite_readers(address, clock, sqlite_connect)
        writer = sqlite_writer(address, clock, sqlite_connect)
        database = cls(address.name, reader, writer, other_reader=other_reader, exclusive=True, clock=clock)
        database._file = OpenedFile(address.file)
        runner = SqliteThread if sqlite_connect is None and sqlite_runner is None else sqlite_runner
        if runner is not None:
            database._read_thread = runner(thread_reader(address, clock))
            others = thread_reader(address, clock)
            database._other_threads = SqliteReaders([runner(others) for _ in range(_OTHER_READERS)])
            database._write_thread = runner(thread_writer(address, clock))
        return database

    @property
    def for_readers(self) -> "Database":
        """The same database for pages, lists and scrapes, which read through separate connections.

        So many callers or a long list never use the daemon's readers. On PostgreSQL their statements have a shorter
        time limit. Writes use the common connection. It is closed together with this database.
        """
        database = copy.copy(self)
        database._reader = self._other_reader
        database._is_for_readers = True
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

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` reads with a connection; each statement sees what is committed when it begins.

        On SQLite it runs as a whole in the connection's thread: one hand-over for all of its statements. So it must
        not touch what the event loop changes.

        Raises:
            StoreUnavailableError: the database cannot be used.
        """
        thread = self._other_threads if self._is_for_readers else self._read_thread
        if thread is None:
            async with self.reading() as connection:
                return await connection.run_sync(work)
        async with self._bounded():
            return await thread.run(work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction, as :meth:`read` does; it is rolled back on an error.

        Raises:
            StoreUnavailableError: the database cannot be used; when the commit itself failed, it may have been done.
        """
        if self._write_thread is None:
            async with self.writing() as connection:
                return await connection.run_sync(work)
        try:
            async with self._one_writer, self._bounded():
                result = await self._write_thread.run(work)
        except StoreUnavailableError as error:
            self._last_write.failed(error)
            raise
        self._last_write.succeeded()
        return result

    async def write_once(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which writes with one statement: on PostgreSQL that is a transaction by itself.

        Raises:
            StoreUnavailableError: as :meth:`write`.
        """
        if self.dialect == "sqlite":
            return await self.write(work)
        try:
            async with self._bounded(), self._autocommit.connect() as connection:
                result = await connection.run_sync(work)
        except StoreUnavailableError as error:
            self._last_write.failed(error)
            raise
        self._last_write.succeeded()
        return result

    async def check_writable(self) -> None:
        """Check that a write would be accepted now, with one that changes nothing.

        A transaction of this process is no reason to wait on SQLite: it has a limit of time, and tells how it ended. So
        the check returns at once while one runs, unless the last one or the last check failed. Then one that does not
        end soon has no better news.

        Raises:
            StoreUnavailableError: the database is read-only, locked or full, or it cannot be used at all.
        """
        writer = self._one_writer
        if isinstance(writer, asyncio.Lock) and writer.locked():
            failure = self._last_write.failure
            if failure is None:
                return
            try:
                async with asyncio.timeout(_TURN_S):
                    await writer.acquire()
            except TimeoutError:
                raise StoreUnavailableError(str(failure), full=failure.full) from failure
            writer.release()
        try:
            async with writer, self._bounded():
                await try_to_write(self._writer, self._last_write, busy_ms=BUSY_MS)
        except StoreUnavailableError as error:
            self._last_write.failed(error)
            raise

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

    async def newer_revision(self) -> str | None:
        """The revision of the tables, if a newer program has upgraded them: this one does not know it.

        Raises:
            StoreUnavailableError: the database cannot be used.
        """
        found = await self.read(lambda connection: connection.execute(select(_VERSIONS.c.version_num)).scalar())
        return None if found in known_revisions() else found

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
        for thread in (self._read_thread, self._other_threads, self._write_thread):
            if thread is not None:
                await thread.close()


def _revision_of(connection: Connection) -> str | None:
    """The revision in Alembic's table; ``None`` if there is no such table."""
    if not inspect(connection).has_table(_VERSIONS.name):
        return None
    return connection.execute(select(_VERSIONS.c.version_num)).scalar()

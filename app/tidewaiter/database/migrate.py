"""Upgrades a database's tables to the revision of this program, and reports differences between the two."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.database.database_mark import check_mark
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.errors import SchemaError, StoreUnavailableError, unavailable
from tidewaiter.database.lock_holders import watching_locks
from tidewaiter.database.schema_check import encoding_fault, known_revisions, migrations_folder
from tidewaiter.database.sqlite_files import make_private
from tidewaiter.database.tables import metadata

_MODIFIED: Final = {"modify_type": "type", "modify_nullable": "nullability", "modify_default": "default"}
LOCK_TIMEOUT_S: Final = 60.0
_IN_USE: Final = "A daemon uses the database: stop every daemon first."
_LIVE_DAEMONS: Final = text("SELECT count(*) FROM workers WHERE lease_until > extract(epoch FROM clock_timestamp())")
_NO_LOCK: Final = "55P03"
_CONNECT_S: Final = 10
# Any number that no other program uses in the same database: "tidewait" in ASCII.
_ADVISORY_LOCK: Final = int.from_bytes(b"tidewait", "big")


def upgrade(
    url: str, *, lock_timeout_s: float = LOCK_TIMEOUT_S, revision: str = "head", any_file: bool = False
) -> None:
    """Run every missing migration up to a revision, in one transaction.

    Several programs may do so at the same time: one does the work, and the others wait.

    Args:
        url: the database.
        lock_timeout_s: how long to wait for a lock that another program holds.
        revision: the last migration to run; the newest by default.
        any_file: whether an SQLite file may be another one than was served last.

    Raises:
        ValueError: the URL is not one of a supported database.
        DatabaseFileError: an SQLite file is not the one that was served last; nothing was created.
        SchemaError: a newer program has upgraded it, or its encoding is not UTF-8; nothing has changed.
        StoreUnavailableError: the database cannot be used; nothing has changed.
    """
    with _transaction(url, lock_timeout_s, any_file=any_file) as connection:
        if connection.dialect.name == "postgresql":
            if (fault := encoding_fault(connection)) is not None:
                raise SchemaError(fault)
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        _refuse_newer(MigrationContext.configure(connection).get_current_revision())
        command.upgrade(_alembic(connection), revision)


def downgrade(url: str, *, lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
    """Undo the newest migration of the database, in one transaction. No daemon may run.

    Raises:
        ValueError: the URL is not one of a supported database.
        SchemaError: this migration cannot be undone, and why; nothing has changed.
        StoreUnavailableError: a daemon runs, or the database cannot be used; nothing has changed.
    """
    lock = DaemonLock.of(url)
    if lock is not None and not lock.try_acquire():
        raise StoreUnavailableError(_IN_USE)
    try:
        with _transaction(url, lock_timeout_s) as connection:
            if lock is None:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            found = MigrationContext.configure(connection).get_current_revision()
            _refuse_newer(found)
            if found is None:
                raise SchemaError("The database has no tables, so no migration can be undone.")
            if lock is None and connection.execute(_LIVE_DAEMONS).scalar_one():
                raise StoreUnavailableError(_IN_USE)
            config = _alembic(connection)
            script = ScriptDirectory.from_config(config).get_revision(found)
            if not hasattr(script.module, "downgrade"):
                raise SchemaError(
                    f"Revision {found} cannot be undone: it has changed rows, or later jobs need what it has added. "
                    "Nothing has changed. Restore the backup from before the upgrade."
                )
            command.downgrade(config, "-1")
    finally:
        if lock is not None:
            lock.release()


def _alembic(connection: Connection) -> Config:
    """Alembic's configuration for a connection in a transaction."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def current(url: str, *, lock_timeout_s: float = LOCK_TIMEOUT_S) -> str | None:
    """The revision of the database; ``None`` if it has no tables yet. Raises as :func:`upgrade` does."""
    with _transaction(url, lock_timeout_s) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def check(url: str) -> list[str]:
    """Every difference between the database and ``tables.py``, one sentence each. Raises as :func:`upgrade` does."""
    with _transaction(url) as connection:
        by_default = _compare_default if connection.dialect.name == "sqlite" else True
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": by_default}
        )
        return list(differences_in(compare_metadata(context, metadata)))


def differences_in(found: Iterable[Any]) -> Iterator[str]:
    """A sentence for each difference.

    Args:
        found: the result of ``alembic.autogenerate.compare_metadata``: tuples that begin with an operation's name, and
            lists of tuples that change one column.
    """
    for one in found:
        if isinstance(one, list):
            yield from differences_in(one)
        else:
            yield _sentence(one)


def _sentence(found: tuple[Any, ...]) -> str:
    match found:
        case (("add_table" | "remove_table") as operation, table):
            return f"table {table.name} {_how(operation)}"
        case (("add_column" | "remove_column") as operation, _, table, column):
            return f"column {column.name} of {table} {_how(operation)}"
        case (("add_index" | "remove_index") as operation, index):
            return f"index {index.name} on {index.table.name} {_how(operation)}"
        case (("add_constraint" | "remove_constraint" | "add_fk" | "remove_fk") as operation, constraint):
            name = f"{constraint.name} " if constraint.name else ""
            return f"constraint {name}on {constraint.table.name} {_how(operation)}"
        case (operation, _, table, column, *_) if operation in _MODIFIED:
            return f"column {column} of {table} has another {_MODIFIED[operation]}"
        case _:
            return str(found)


def _how(operation: str) -> str:
    return "is missing" if operation.startswith("add_") else "is not known to this program"


def _refuse_newer(found: str | None) -> None:
    if found is not None and found not in (known := known_revisions()):
        raise SchemaError(
            f"The database is at revision {found}, which is newer than this program, whose last is {known[-1]}: "
            "run the program that upgraded it."
        )


def _compare_default(_context: object, _found: object, column: Column[Any], *_: object) -> bool | None:
    """Leave defaults to Alembic, except row numbers: SQLite does not show that it generates them."""
    return False if column.identity is not None else None


@contextmanager
def _transaction(url: str, lock_timeout_s: float = LOCK_TIMEOUT_S, *, any_file: bool = False) -> Iterator[Connection]:
    """One transaction; on SQLite it holds the write lock from its beginning."""
    address = DatabaseAddress.parse(url)
    if not any_file:
        check_mark(url)
    if address.file is None:
        arguments: dict[str, Any] = {
            "connect_timeout": _CONNECT_S,
            "client_encoding": "utf8",
            "fallback_application_name": "tidewaiter db",
        }
    else:
        make_private(address.file)
        arguments = {"timeout": lock_timeout_s, "isolation_level": None}
    engine = create_engine(address.for_migrations(), poolclass=NullPool, connect_args=arguments, hide_parameters=True)
    if address.file is not None:
        event.listen(engine, "connect", _turn_on_wal)
        event.listen(engine, "begin", _begin_immediate)
    try:
        with engine.begin() as connection:
            if address.file is not None:
                yield connection
            else:
                with _limited_waits(engine, connection, lock_timeout_s):
                    yield connection
    except Exception as error:
        failure = None if isinstance(error, StoreUnavailableError) else unavailable(error)
        if failure is None:
            raise
        raise failure from error
    finally:
        engine.dispose()


@contextmanager
def _limited_waits(engine: Engine, connection: Connection, lock_timeout_s: float) -> Iterator[None]:
    """Wait for locks of PostgreSQL only so long, and then say who holds the one that was waited for."""
    limit = {"limit": f"{max(1, round(lock_timeout_s * 1000))}ms"}
    connection.execute(text("SELECT set_config('lock_timeout', :limit, true)"), limit)
    with watching_locks(engine, connection, lock_timeout_s) as holders:
        try:
            yield
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _NO_LOCK:
                raise
            who = " and ".join(holders.seen) or "another program"
            raise StoreUnavailableError(
                f"The database is locked: {who} did not release within {lock_timeout_s:g} s a lock that is needed. "
                "Nothing has changed. Let it end, or end it with pg_terminate_backend(), and try again."
            ) from error


def _turn_on_wal(connection: sqlite3.Connection, _record: object) -> None:
    """The setting is stored in the file: readers never wait for the writer."""
    connection.execute("PRAGMA journal_mode = WAL")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")

"""Upgrades a database's tables to the revision of this program, and reports differences between the two."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, create_engine, event, text
from sqlalchemy.pool import NullPool

from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.errors import SchemaError, unavailable
from tidewaiter.database.schema_check import encoding_fault, known_revisions, migrations_folder
from tidewaiter.database.sqlite_files import make_private
from tidewaiter.database.tables import metadata

_MODIFIED: Final = {"modify_type": "type", "modify_nullable": "nullability", "modify_default": "default"}
_BUSY_S: Final = 60.0
_CONNECT_S: Final = 10
# Any number that no other program uses in the same database: "tidewait" in ASCII.
_ADVISORY_LOCK: Final = int.from_bytes(b"tidewait", "big")


def upgrade(url: str) -> None:
    """Run every missing migration, in one transaction.

    Several programs may do so at the same time: one does the work, and the others wait.

    Raises:
        ValueError: the URL is not one of a supported database.
        SchemaError: a newer program has upgraded it, or its encoding is not UTF-8; nothing has changed.
        StoreUnavailableError: the database cannot be used; nothing has changed.
    """
    with _transaction(url) as connection:
        if connection.dialect.name == "postgresql":
            if (fault := encoding_fault(connection)) is not None:
                raise SchemaError(fault)
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        _refuse_newer(MigrationContext.configure(connection).get_current_revision())
        config = Config()
        config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def current(url: str) -> str | None:
    """The revision of the database; ``None`` if it has no tables yet. Raises as :func:`upgrade` does."""
    with _transaction(url) as connection:
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
def _transaction(url: str) -> Iterator[Connection]:
    """One transaction; on SQLite it holds the write lock from its beginning."""
    address = DatabaseAddress.parse(url)
    if address.file is None:
        arguments: dict[str, Any] = {"connect_timeout": _CONNECT_S, "client_encoding": "utf8"}
    else:
        make_private(address.file)
        arguments = {"timeout": _BUSY_S, "isolation_level": None}
    engine = create_engine(address.for_migrations(), poolclass=NullPool, connect_args=arguments, hide_parameters=True)
    if address.file is not None:
        event.listen(engine, "connect", _turn_on_wal)
        event.listen(engine, "begin", _begin_immediate)
    try:
        with engine.begin() as connection:
            yield connection
    except Exception as error:
        failure = unavailable(error)
        if failure is None:
            raise
        raise failure from error
    finally:
        engine.dispose()


def _turn_on_wal(connection: sqlite3.Connection, _record: object) -> None:
    """The setting is stored in the file: readers never wait for the writer."""
    connection.execute("PRAGMA journal_mode = WAL")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")

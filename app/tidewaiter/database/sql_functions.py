"""The SQL functions that differ between the databases: the database's own clock, and the key of a long handle."""

from typing import Any, Final

from sqlalchemy import Double, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

CLOCK_FUNCTION: Final = "tidewaiter_now"
"""The database clock on SQLite: a function of every connection that reads the injected clock."""
WALL_CLOCK_FUNCTION: Final = "tidewaiter_wall_clock"
"""The machine's wall clock as it is set at present, likewise."""


class DatabaseNow(FunctionElement[float]):
    """The database's own clock in epoch seconds: only it decides about leases, because workers' clocks differ."""

    type = Double()
    inherit_cache = True


class DatabaseWallClock(FunctionElement[float]):
    """The database's clock as it is set at present: for times that another process reads after this one has ended.

    On PostgreSQL it is :class:`DatabaseNow`. On SQLite that one does not follow a wall clock that is set while the
    process runs, and the next process begins with the clock as it is set then.
    """

    type = Double()
    inherit_cache = True


class HandleKey(FunctionElement[str]):
    """The value of a handle in the unique index.

    PostgreSQL's B-tree refuses entries of more than 2704 bytes, and a handle may be a longer URL; one such handle would
    fail its whole group commit.
    """

    type = Text()
    inherit_cache = True


@compiles(DatabaseNow, "sqlite")
def _now_on_sqlite(_element: DatabaseNow, _compiler: SQLCompiler, **_: Any) -> str:
    return f"{CLOCK_FUNCTION}()"


@compiles(DatabaseWallClock, "sqlite")
def _wall_clock_on_sqlite(_element: DatabaseWallClock, _compiler: SQLCompiler, **_: Any) -> str:
    return f"{WALL_CLOCK_FUNCTION}()"


@compiles(DatabaseNow, "postgresql")
@compiles(DatabaseWallClock, "postgresql")
def _now_on_postgresql(_element: DatabaseNow | DatabaseWallClock, _compiler: SQLCompiler, **_: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


@compiles(HandleKey, "sqlite")
def _handle_on_sqlite(element: HandleKey, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses.clauses[0], **options)


@compiles(HandleKey, "postgresql")
def _handle_on_postgresql(element: HandleKey, compiler: SQLCompiler, **options: Any) -> str:
    return f"md5({compiler.process(element.clauses.clauses[0], **options)})"

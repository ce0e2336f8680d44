"""Make the SQL of each statement once in a test process, not once for each of the thousands of engines it opens."""

from collections.abc import Hashable
from typing import Any

from sqlalchemy import Connection, Engine, event


class _KnownStatements(dict[Any, Any]):
    """The compiled statements of all engines, by all that SQLAlchemy asks by but the engine itself."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get(_without_engine(key), default)

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        super().__setitem__(_without_engine(key), compiled)


def compile_statements_once() -> None:
    """Let the engines share what they have compiled, where their databases are of one kind and version."""
    known = _KnownStatements()

    def share(connection: Connection) -> None:
        connection.execution_options(compiled_cache=known)

    event.listen(Engine, "engine_connect", share)


def _without_engine(key: tuple[Any, ...]) -> Hashable:
    dialect, *others = key
    return type(dialect), dialect.statement_compiler, dialect.server_version_info, dialect.paramstyle, *others

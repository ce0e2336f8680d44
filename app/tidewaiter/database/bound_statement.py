"""A statement whose SQL is made once.

SQLAlchemy finds the SQL of a statement by a key that it computes for each execution. For the statements of a group,
which have a hundred columns, that takes longer than all else that it does.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable


class BoundStatement:
    """A statement with parameters of plain types, whose result needs no conversion.

    Args:
        statement: in SQLAlchemy Core.
    """

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._sql: str | None = None
        self._constants: Mapping[str, Any] = {}
        self._places: Sequence[str] | None = None

    def run(self, connection: Connection, parameters: Mapping[str, object]) -> CursorResult[Any]:
        """Execute it with these parameters."""
        if self._sql is None:
            self._compile(connection)
        sql = self._sql
        assert sql is not None  # noqa: S101  # it was just made
        values = {**self._constants, **parameters}
        given: Any = values if self._places is None else tuple([values[name] for name in self._places])
        return connection.exec_driver_sql(sql, given)

    def _compile(self, connection: Connection) -> None:
        compiled: Any = self._statement.compile(  # type: ignore[attr-defined]  # every statement has it
            dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
        )
        self._constants = dict(compiled.params)
        self._places = compiled.positiontup
        self._sql = str(compiled)


@cache
def bound(make: Callable[[str], Executable], dialect: str) -> BoundStatement:
    """The statement that a function makes for a dialect, the same one for every database that is opened."""
    return BoundStatement(make(dialect))

"""Names the index that SQLite has to use.

Without statistics SQLite guesses, and prefers an index on the state of all jobs to a partial index of a few of them.
"""

from typing import Any

from sqlalchemy import Engine, FromClause
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler


class _HintCompiler(SQLiteCompiler):
    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:  # noqa: ARG002  # SQLAlchemy's own
        return text


def permit_hints(engine: Engine) -> None:
    """Let ``with_hint`` of a statement reach SQLite; SQLAlchemy ignores it there."""
    dialect: Any = engine.dialect
    dialect.statement_compiler = _HintCompiler

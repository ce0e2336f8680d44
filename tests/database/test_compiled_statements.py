"""In tests, the engines of one kind share the SQL that they have made; those of another kind do not."""

from typing import Any, Final

from sqlalchemy import Integer, create_engine, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from tidewaiter.database.database_url import DatabaseAddress

_MADE: Final[list[str]] = []


class _Counted(FunctionElement[int]):
    """A number whose SQL tells that it is made."""

    inherit_cache = True
    type = Integer()


@compiles(_Counted)
def _count(_element: _Counted, compiler: Any, **_: Any) -> str:
    _MADE.append(compiler.dialect.name)
    return "1" if compiler.dialect.name == "sqlite" else "2"


def _ask(url: str) -> int | None:
    engine = create_engine(DatabaseAddress.parse(url).for_migrations())
    try:
        with engine.connect() as connection:
            return connection.scalar(select(_Counted()))
    finally:
        engine.dispose()


def test_a_statement_is_made_once_for_each_kind_of_database(sqlite_url: str, postgres_url: str) -> None:
    """However many engines there are."""
    assert [_ask(url) for url in (sqlite_url, postgres_url, sqlite_url, postgres_url)] == [1, 2, 1, 2]
    assert _MADE == ["sqlite", "postgresql"]

"""What the handbook says of job numbers after a restore is what the databases do."""

import re

import pytest
from sqlalchemy import text

from tests.support.doc_pages import ROOT
from tests.support.stored_jobs import Scene, StandingClock
from tidewaiter.database.engine import Database

_STATEMENTS = re.findall(r"^ *(.+;) -- (.+)$", (ROOT / "docs/operate.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize(("statement", "where"), _STATEMENTS, ids=[where for _, where in _STATEMENTS])
async def test_numbers_go_on_above_those_that_were_given_out(
    statement: str, where: str, request: pytest.FixtureRequest
) -> None:
    """Each statement, on the database that it is for: the next job's number is beyond a million."""
    url = request.getfixturevalue("postgres_url" if where == "PostgreSQL" else "sqlite_url")
    database = Database.open(url, StandingClock())
    try:
        scene = await Scene.set_up(database)
        if not where.startswith("empty"):
            await scene.add()
        async with database.writing() as connection:
            await connection.execute(text(statement))
        assert (await scene.add()).id > 1_000_000
    finally:
        await database.close()


def test_statements_are_found() -> None:
    """One for each kind of database, and one for an SQLite that is empty."""
    assert sorted(where for _, where in _STATEMENTS) == ["PostgreSQL", "SQLite", "empty SQLite"]

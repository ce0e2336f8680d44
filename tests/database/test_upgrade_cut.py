"""An upgrade whose power is cut before any of its statements leaves the old tables, and the next upgrade is whole."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event

from tests.support.effort import seeds
from tests.support.older_jobs import add_job_of_each_state
from tests.support.postgres import Postgres
from tidewaiter.database import migrate
from tidewaiter.database.errors import StoreUnavailableError
from tidewaiter.database.schema_check import known_revisions

OLDEST, NEWEST = known_revisions()[0], known_revisions()[-1]
# `make test-slow` cuts before one statement in fifty, `make chaos` before all.
_EVERY = 50


@contextmanager
def _before_each_statement(told: Callable[[int], None]) -> Iterator[None]:
    """Calls ``told`` with the number of each statement before it is executed."""
    count = 0

    def before(_connection: Any, _cursor: Any, _statement: str, *_: Any) -> None:
        nonlocal count
        count += 1
        told(count)

    event.listen(Engine, "before_cursor_execute", before)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", before)


def _dump(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return sorted(connection.iterdump())


def _revision(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", seeds(1, 2, 1, variable="TIDEWAITER_UPGRADE_CUTS"))
def test_the_power_is_cut_in_an_upgrade_of_sqlite(first: int, tmp_path: Path) -> None:
    """What a cut leaves has the old tables, or all new ones after the last statement."""
    folder = tmp_path / "run"
    folder.mkdir()
    url = f"sqlite:///{folder / 'x.db'}"
    migrate.upgrade(url, revision=OLDEST)
    add_job_of_each_state(url, OLDEST)
    left: list[Path] = []

    def cut(number: int) -> None:
        if number % _EVERY == first % _EVERY:
            left.append(tmp_path / str(number))
            left[-1].mkdir()
            for file in folder.glob("x.db*"):
                if not file.name.endswith("-shm"):
                    shutil.copyfile(file, left[-1] / file.name)

    with _before_each_statement(cut):
        migrate.upgrade(url)
    whole = _dump(folder / "x.db")
    assert left
    for copy in left:
        assert _revision(copy / "x.db") in {OLDEST, NEWEST}
        migrate.upgrade(f"sqlite:///{copy / 'x.db'}", any_file=True)
        assert _dump(copy / "x.db") == whole, copy.name


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", seeds(1, 2, 1, variable="TIDEWAITER_UPGRADE_CUTS"))
def test_the_connection_ends_in_an_upgrade_of_postgresql(first: int, postgres: Postgres) -> None:
    """The server rolls back what was done, and the next upgrade does all of it."""
    name = postgres.create(migrated=False)
    url = postgres.url(name)
    migrate.upgrade(url, revision=OLDEST)
    add_job_of_each_state(url, OLDEST)
    at = first or _EVERY
    while True:

        def cut(number: int, at: int = at) -> None:
            if number == at:
                with psycopg.connect(postgres.url("postgres"), autocommit=True) as other:
                    other.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = %s AND application_name = 'tidewaiter db'",
                        (name,),
                    )

        try:
            with _before_each_statement(cut):
                migrate.upgrade(url)
        except StoreUnavailableError:
            assert migrate.current(url) == OLDEST
            at += _EVERY
            continue
        break
    assert at > _EVERY, "no connection ended"
    assert migrate.current(url) == NEWEST
    assert migrate.check(url) == []
    postgres.drop(name)

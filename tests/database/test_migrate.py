"""The migrations build what tables.py defines, once, also when several processes run them."""

import asyncio
import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

import tidewaiter
from tests.support.postgres import Postgres
from tidewaiter.clock import SystemClock
from tidewaiter.database import migrate, schema_check
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.engine import Database
from tidewaiter.database.errors import SchemaError
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.sql_functions import CLOCK_FUNCTION
from tidewaiter.database.tables import metadata
from tidewaiter.domain.job import State
from tidewaiter.domain.search_terms import file_term, parameter_terms

ON_POSTGRESQL = """
    SELECT 'column', table_name, column_name, data_type, is_nullable, column_default, is_identity, identity_generation
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
    UNION ALL
    SELECT 'index', tablename, indexname, indexdef, NULL, NULL, NULL, NULL
    FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), NULL, NULL, NULL, NULL
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 'alembic_version'::regclass
    ORDER BY 1, 2, 3
"""
ON_SQLITE = """
    SELECT type, name, sql FROM sqlite_master
    WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' AND name <> 'alembic_version' ORDER BY 1, 2
"""

_PARTS = re.compile(r"\s*\n\s*|,\s+(?![^(]*\))")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables, of either kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/folder/empty.db"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    name = postgres.create(migrated=False)
    yield postgres.url(name)
    postgres.drop(name)


def _schema(connection: Connection) -> list[tuple[object, ...]]:
    """All that the database itself says of its tables; words that SQLite keeps as they were typed are evened out."""
    if connection.dialect.name == "postgresql":
        return [tuple(row) for row in connection.execute(text(ON_POSTGRESQL))]
    rows = connection.execute(text(ON_SQLITE)).all()
    # A column that was added later stands at the end of the statement, and on the line of the one before it.
    return [
        (kind, name, sorted(filter(None, (part.strip(" ,)") for part in _PARTS.split(sql)))))
        for kind, name, sql in rows
    ]


def test_migrations_equal_tables(empty_url: str) -> None:
    """What the migrations build and what tables.py describes are the same to the last default and condition."""
    migrate.upgrade(empty_url)
    assert migrate.check(empty_url) == []

    engine = create_engine(DatabaseAddress.parse(empty_url).for_migrations())
    with engine.begin() as connection:
        migrated = _schema(connection)
        metadata.drop_all(connection)
        assert _schema(connection) == []
        metadata.create_all(connection)
        assert _schema(connection) == migrated
    engine.dispose()


@pytest.mark.slow
def test_check_names_differences(empty_url: str) -> None:
    """What somebody removed or added is told in words, and so is a column that became another."""
    migrate.upgrade(empty_url)
    engine = create_engine(DatabaseAddress.parse(empty_url).for_migrations())
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE history DROP COLUMN detail"))
        connection.execute(text("ALTER TABLE workers DROP COLUMN pid"))
        connection.execute(text("ALTER TABLE workers ADD COLUMN pid TEXT"))
        connection.execute(text("DROP INDEX jobs_due"))
        connection.execute(text("DROP TABLE notifications"))
        connection.execute(text("CREATE TABLE strange (id INTEGER)"))
    engine.dispose()
    differences = migrate.check(empty_url)
    assert set(differences) >= {
        "table notifications is missing",
        "table strange is not known to this program",
        "column detail of history is missing",
        "column pid of workers has another type",
        "column pid of workers has another nullability",
        "index jobs_due on jobs is missing",
    }
    assert not any("(" in one for one in differences)


def test_upgrade_again(empty_url: str) -> None:
    """An upgraded database is left alone."""
    assert migrate.current(empty_url) is None
    migrate.upgrade(empty_url)
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == schema_check.known_revisions()[-1]


@pytest.mark.fault(10, 18)
def test_a_newer_database_is_left_alone(empty_url: str) -> None:
    """What a newer program has upgraded is refused with the words that every other command has for it."""
    migrate.upgrade(empty_url)
    engine = create_engine(DatabaseAddress.parse(empty_url).for_migrations())
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(SchemaError, match="is at revision 9999, which is newer than this program"):
        migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == "9999"


@pytest.mark.fault(10)
def test_upgrades_at_once(empty_url: str) -> None:
    """Programs that start together upgrade once; the others wait for it and go on."""
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: migrate.upgrade(empty_url), range(4)))
    assert migrate.check(empty_url) == []


def test_fresh_is_only_an_empty_file(tmp_path: Path) -> None:
    """Only an SQLite file that nobody has used is upgraded unasked."""
    url = f"sqlite:///{tmp_path}/x.db"
    assert schema_check.is_fresh(url)
    (tmp_path / "x.db").touch()
    assert schema_check.is_fresh(url)
    migrate.upgrade(url)
    assert not schema_check.is_fresh(url)
    assert not schema_check.is_fresh("postgresql://host/x")


def test_one_line_of_revisions() -> None:
    """Revisions follow each other without branches, numbered in order."""
    script = ScriptDirectory(str(schema_check.migrations_folder()))
    assert len(script.get_heads()) == 1
    known = schema_check.known_revisions()
    assert known == tuple(f"{number:04d}" for number in range(1, len(known) + 1))


def test_migrations_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is installed the migrations lie inside of it, and are found there."""
    outside = schema_check.migrations_folder()
    package = tmp_path / "app"
    shutil.copytree(outside, package / "migrations")
    monkeypatch.setattr(tidewaiter, "__file__", str(package / "__init__.py"))
    schema_check.migrations_folder.cache_clear()
    try:
        assert schema_check.migrations_folder() == package / "migrations"
    finally:
        schema_check.migrations_folder.cache_clear()


def test_tables_do_not_need_the_clock_function(tmp_path: Path) -> None:
    """Only statements use the clock function: any SQLite shell can open the file."""
    migrate.upgrade(f"sqlite:///{tmp_path}/x.db")
    engine = create_engine(f"sqlite:///{tmp_path}/x.db")
    with engine.connect() as connection:
        assert CLOCK_FUNCTION not in str(_schema(connection))
    engine.dispose()


def test_failures_before_0009_are_handled(empty_url: str) -> None:
    """Failures that nobody could acknowledge count as handled; a job that was retried knows its newest retry."""
    migrate.upgrade(empty_url, revision="0008")
    engine = create_engine(DatabaseAddress.parse(empty_url).for_migrations())
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO lanes (id, account, shard) VALUES (1, 'a', 0)"))
        for number, state, retry_of in ((1, "failed", None), (2, "failed", 1), (3, "queued", 1), (4, "polling", None)):
            connection.execute(
                text(
                    "INSERT INTO jobs (id, lane, account, operation, params, state, version, created_at, deadline_at,"
                    " track, retry_of, finished_at)"
                    " VALUES (:id, 1, 'a', 'o', '{}', :state, 1, 0, 0, 0, :retry_of, :end)"
                ),
                {"id": number, "state": state, "retry_of": retry_of, "end": 5.0 if state == "failed" else None},
            )
    engine.dispose()
    migrate.upgrade(empty_url)
    assert migrate.check(empty_url) == []
    engine = create_engine(DatabaseAddress.parse(empty_url).for_migrations())
    with engine.begin() as connection:
        found = connection.execute(text("SELECT id, handled_at, retried_as FROM jobs ORDER BY id")).all()
    engine.dispose()
    assert [tuple(row) for row in found] == [(1, 5.0, 3), (2, 5.0, None), (3, None, None), (4, None, None)]


def test_jobs_before_0010_are_found_by_search(empty_url: str) -> None:
    """Old jobs get the terms of their parameters and files, and old failures their cause."""
    migrate.upgrade(empty_url, revision="0009")
    engine = create_engine(DatabaseAddress.parse(empty_url).for_migrations())
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO lanes (id, account, shard) VALUES (1, 'a', 0)"))
        for number, state, reason in ((1, "succeeded", None), (2, "failed", "HTTP 404: no report 4711")):
            connection.execute(
                text(
                    "INSERT INTO jobs (id, lane, account, operation, params, state, version, created_at, deadline_at,"
                    " track, reason) VALUES (:id, 1, 'a', 'o', :params, :state, 1, 0, 0, 0, :reason)"
                ),
                {"id": number, "params": json.dumps({"day": f"2026-01-0{number}"}), "state": state, "reason": reason},
            )
        connection.execute(
            text(
                "INSERT INTO artifacts (job_id, number, name, label, key, size, sha256, media_type, landed_at)"
                " VALUES (1, 0, 'x.csv', '', 'k', 1, '', '', 0)"
            )
        )
    engine.dispose()
    migrate.upgrade(empty_url)
    engine = create_engine(DatabaseAddress.parse(empty_url).for_migrations())
    with engine.begin() as connection:
        terms = {tuple(row) for row in connection.execute(text("SELECT term, job_id FROM job_terms"))}
        causes = connection.execute(text("SELECT cause FROM jobs ORDER BY id")).scalars().all()
    engine.dispose()
    days = {(term, number) for number in (1, 2) for term in parameter_terms({"day": f"2026-01-0{number}"}, {})}
    assert terms == days | {(file_term("x.csv"), 1)}
    assert causes == [None, "HTTP 404: no report *"]


@pytest.mark.fault(10)
async def test_jobs_before_0011_have_no_stage_and_keep_nothing(empty_url: str) -> None:
    """A job that polls goes on as it was, and one without a submit starts with its first request."""
    await asyncio.to_thread(migrate.upgrade, empty_url, revision="0010")
    engine = create_engine(DatabaseAddress.parse(empty_url).for_migrations())
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO lanes (id, account, shard) VALUES (1, 'a', 0)"))
        for number, state, handle in ((1, "polling", "h"), (2, "queued", None), (3, "submitting", None)):
            connection.execute(
                text(
                    "INSERT INTO jobs (id, lane, account, operation, params, state, version, created_at, deadline_at,"
                    " track, handle) VALUES (:id, 1, 'a', 'o', '{}', :state, 1, 0, 0, 0, :handle)"
                ),
                {"id": number, "state": state, "handle": handle},
            )
    engine.dispose()
    await asyncio.to_thread(migrate.upgrade, empty_url)
    assert await asyncio.to_thread(migrate.check, empty_url) == []
    database = Database.open(empty_url, SystemClock())
    try:
        jobs = [await JobStore(database).get(number) for number in (1, 2, 3)]
    finally:
        await database.close()
    assert [job and (job.state, job.handle, job.stage, job.kept, job.agains) for job in jobs] == [
        (State.POLLING, "h", None, {}, 0), (State.QUEUED, None, None, {}, 0), (State.SUBMITTING, None, None, {}, 0),
    ]  # fmt: skip

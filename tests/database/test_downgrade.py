"""A migration is undone without a loss or says why not; every older database is upgraded with its jobs."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.support.older_jobs import JOB, LANE, add_job_of_each_state
from tests.support.postgres import Postgres
from tidewaiter.clock import SystemClock
from tidewaiter.database import migrate
from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.engine import Database
from tidewaiter.database.errors import SchemaError, StoreUnavailableError
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.schema_check import known_revisions


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables, of either kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/x.db"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    name = postgres.create(migrated=False)
    yield postgres.url(name)
    postgres.drop(name)


def _execute(url: str, *statements: str) -> None:
    engine = create_engine(DatabaseAddress.parse(url).for_migrations())
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def _columns(url: str) -> set[tuple[str, str]]:
    engine = create_engine(DatabaseAddress.parse(url).for_migrations())
    found = inspect(engine)
    columns = {(table, column["name"]) for table in found.get_table_names() for column in found.get_columns(table)}
    engine.dispose()
    return columns


@pytest.mark.slow
def test_the_newest_migrations_are_undone(empty_url: str) -> None:
    """Each step back gives the tables of that revision, up to one that says that it cannot; then forward again."""
    revisions = [one for one in known_revisions() if one >= "0010"]
    built = {}
    for revision in revisions:
        migrate.upgrade(empty_url, revision=revision)
        built[revision] = _columns(empty_url)
    while (found := migrate.current(empty_url)) != "0010":
        assert found is not None
        migrate.downgrade(empty_url)
        assert _columns(empty_url) == built[revisions[revisions.index(found) - 1]]
    with pytest.raises(SchemaError, match=r"Revision 0010 cannot be undone.*Restore the backup"):
        migrate.downgrade(empty_url)
    assert migrate.current(empty_url) == "0010"
    migrate.upgrade(empty_url)
    assert migrate.check(empty_url) == []


def test_nothing_is_lost(empty_url: str) -> None:
    """A row that has what only the newer tables can keep is named, and nothing changes."""
    migrate.upgrade(empty_url, revision="0014")
    job = JOB.replace(":id", "1")
    _execute(empty_url, LANE, job.replace(":state", "'queued'"), """UPDATE jobs SET secrets = '{"a": "x"}'""")
    before = _columns(empty_url)
    with pytest.raises(SchemaError, match=r"Revision 0014 .* jobs have secret parameters \(1 rows\)"):
        migrate.downgrade(empty_url)
    assert (migrate.current(empty_url), _columns(empty_url)) == ("0014", before)


def test_long_lists_are_read_by_an_older_program(empty_url: str) -> None:
    """It knows the marker of their pages without the number of links; other links stay as they are."""
    migrate.upgrade(empty_url)
    _execute(empty_url, LANE)
    stored = {1: "paged:1:7:11:5010", 2: "paged:1:7:11", 3: "[]", 4: "sealed:1:1:2:3:4"}
    for number, links in stored.items():
        job = JOB.replace(":id", str(number)).replace(":state", "'fetching'")
        _execute(empty_url, job, f"UPDATE jobs SET links = '{links}' WHERE id = {number}")  # noqa: S608  # of the test
    migrate.downgrade(empty_url)
    assert migrate.current(empty_url) == "0015"
    engine = create_engine(DatabaseAddress.parse(empty_url).for_migrations())
    with engine.connect() as connection:
        found = {row.id: row.links for row in connection.execute(text("SELECT id, links FROM jobs"))}
    engine.dispose()
    assert found == {**stored, 1: "paged:1:7:11"}


def test_no_daemon_may_run(empty_url: str) -> None:
    """Its next statement would name a column that is gone."""
    migrate.upgrade(empty_url)
    lock = DaemonLock.of(empty_url)
    if lock is None:
        _execute(
            empty_url,
            "INSERT INTO workers (owner, host, pid, version, started_at, lease_until)"
            " VALUES ('x', 'h', 1, '', 0, extract(epoch FROM now()) + 60)",
        )
    else:
        assert lock.try_acquire()
    with pytest.raises(StoreUnavailableError, match="stop every daemon first"):
        migrate.downgrade(empty_url)


@pytest.mark.chaos
@pytest.mark.timeout(300)
async def test_jobs_of_every_state_are_upgraded(tmp_path: Path, postgres: Postgres) -> None:
    """From each older revision, with a job of each state that it knew: each job is read as it was."""
    for revision in known_revisions()[:-1]:
        name = await asyncio.to_thread(lambda: postgres.create(migrated=False))
        for url in (f"sqlite:///{tmp_path}/{revision}.db", postgres.url(name)):
            await asyncio.to_thread(migrate.upgrade, url, revision=revision)
            states = await asyncio.to_thread(add_job_of_each_state, url, revision)
            await asyncio.to_thread(migrate.upgrade, url)
            assert await asyncio.to_thread(migrate.check, url) == []
            database = Database.open(url, SystemClock())
            try:
                found = [await JobStore(database).get(number) for number in range(1, len(states) + 1)]
            finally:
                await database.close()
            assert [job and job.state for job in found] == states, (revision, url.partition(":")[0])
        await asyncio.to_thread(postgres.drop, name)

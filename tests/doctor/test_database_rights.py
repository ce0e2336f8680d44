"""A role of PostgreSQL that lacks a right: the doctor names it, with the statement that grants it, which helps."""

from pathlib import Path

import pytest

from tests.support.api_server import new_job, serving
from tests.support.postgres import Postgres
from tests.support.postgres_roles import limited, run
from tidewaiter.clock import SystemClock
from tidewaiter.database import migrate
from tidewaiter.database.engine import Database
from tidewaiter.database.errors import StoreUnavailableError
from tidewaiter.doctor.data_checks import check_database
from tidewaiter.doctor.findings import CheckStatus, Finding, Notes

CLOCK = SystemClock()


async def looked_at(url: str) -> list[Finding]:
    """What is found of the database at a URL."""
    notes = Notes("database", CLOCK)
    database = Database.open(url, CLOCK)
    try:
        await check_database(notes, database, CLOCK)
    finally:
        await database.close()
    return notes.findings


def failures(found: list[Finding]) -> list[tuple[str, str]]:
    """The failures: messages and remedies."""
    return [(one.message, one.remedy) for one in found if one.status is CheckStatus.FAILURE]


async def test_the_documented_rights_are_enough(postgres_url: str, tmp_path: Path) -> None:
    """With them the doctor finds no failure and a job is stored; that the role cannot upgrade is told."""
    with limited(postgres_url) as url:
        found = await looked_at(url)
        assert failures(found) == []
        (note,) = [one for one in found if one.check == "database rights"]
        assert note.status is CheckStatus.INFO
        assert "GRANT CREATE ON SCHEMA public TO limited" in note.message
        async with serving(tmp_path, url) as site:
            assert (await site.post("/v1/jobs", new_job())).status == 202


@pytest.mark.parametrize(
    ("revoke", "message", "remedy"),
    [
        (
            "REVOKE INSERT, DELETE ON jobs FROM limited",
            "limited has no INSERT, DELETE on public.jobs",
            "GRANT INSERT, DELETE ON public.jobs TO limited;",
        ),
        (
            "REVOKE UPDATE ON lanes FROM limited",
            "limited has no UPDATE on public.lanes",
            "GRANT UPDATE ON public.lanes TO limited;",
        ),
        (
            "REVOKE USAGE ON SEQUENCE jobs_id_seq FROM limited",
            "limited has no USAGE on public.jobs_id_seq",
            "GRANT USAGE ON SEQUENCE public.jobs_id_seq TO limited;",
        ),
        (
            "REVOKE ALL ON alembic_version FROM limited",
            "limited has no SELECT on public.alembic_version",
            "GRANT SELECT ON public.alembic_version TO limited;",
        ),
        (
            "REVOKE USAGE ON SCHEMA public FROM limited",
            "limited has no USAGE on the schema public, so it sees no tables",
            "GRANT USAGE ON SCHEMA public TO limited;",
        ),
        (
            "ALTER ROLE limited SET default_transaction_read_only = on",
            "the role limited is read-only (default_transaction_read_only)",
            "ALTER ROLE limited RESET default_transaction_read_only;",
        ),
    ],
)
async def test_a_right_is_missing(postgres_url: str, revoke: str, message: str, remedy: str) -> None:
    """Each is named with its table, and its remedy removes the failure."""
    with limited(postgres_url) as url:
        run(postgres_url, revoke)
        assert failures(await looked_at(url)) == [(message, remedy)]
        run(postgres_url, remedy)
        assert failures(await looked_at(url)) == []


async def test_a_read_only_database(postgres_url: str, postgres: Postgres) -> None:
    """A database that was made read-only is told as such; its remedy removes the failure."""
    name = postgres_url.partition("@/")[2].partition("?")[0]
    run(postgres_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    ((message, remedy),) = failures(await looked_at(postgres_url))
    assert message.startswith(f"the database {name} is read-only")
    run(postgres.url("postgres"), remedy)
    assert failures(await looked_at(postgres_url)) == []


async def test_no_right_to_create(postgres: Postgres) -> None:
    """Where there are no tables yet, the remedy begins with the right to create them, and both steps help."""
    name = postgres.create(migrated=False)
    owner = postgres.url(name)
    with limited(owner) as url:
        with pytest.raises(StoreUnavailableError, match=r"refuses it: permission denied for schema public.*doctor"):
            migrate.upgrade(url)
        ((message, remedy),) = failures(await looked_at(url))
        assert message == "The database has no tables yet"
        assert remedy == "GRANT CREATE ON SCHEMA public TO limited; then run `tidewaiter db upgrade`"
        run(owner, remedy.partition(";")[0])
        migrate.upgrade(url)
        assert failures(await looked_at(url)) == []
    postgres.drop(name)


@pytest.mark.parametrize(
    ("revoke", "expected"),
    [
        ("REVOKE INSERT ON jobs FROM limited", ("permission denied for table jobs", "INSERT", "GRANT")),
        ("REVOKE USAGE ON SEQUENCE jobs_id_seq FROM limited", ("denied for sequence jobs_id_seq", "USAGE", "GRANT")),
        ("REVOKE INSERT ON history FROM limited", ("permission denied for table history", "INSERT", "GRANT")),
        ("ALTER ROLE limited SET default_transaction_read_only = on", ("may not be written", "read-only transaction")),
    ],
)
async def test_a_request_meets_it(postgres_url: str, tmp_path: Path, revoke: str, expected: tuple[str, ...]) -> None:
    """The API answers 503 with a problem that names table and right: it is no fault of the program."""
    with limited(postgres_url) as url:
        run(postgres_url, revoke)
        async with serving(tmp_path, url) as site:
            detail = (await site.post("/v1/jobs", new_job())).problem(503)["detail"]
    assert all(one in detail for one in expected), detail

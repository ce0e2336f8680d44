"""Tests on PostgreSQL use the same databases one after another: none finds a trace of another."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.support.kept_databases import KeptDatabases, schema_of
from tests.support.postgres import Postgres
from tests.support.stored_jobs import StandingClock, Stores
from tidewaiter.database.engine import Database


@pytest.fixture
def kept(postgres: Postgres) -> KeptDatabases:
    """Databases of this test's own."""
    return KeptDatabases(postgres)


@pytest.fixture
async def used(postgres: Postgres, kept: KeptDatabases) -> AsyncIterator[str]:
    """The name of a database with jobs, one of which is gone again."""
    name = kept.borrow()
    database = Database.open(postgres.url(name), StandingClock())
    stores = await Stores.set_up(database)
    for _ in range(3):
        await stores.add()
    yield name
    await database.close()


def _rows(url: str, statement: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(sql.SQL(statement)).fetchall()


def _one(url: str, statement: str) -> Any:
    ((value,),) = _rows(url, statement)
    return value


_IDENTITY = "SELECT oid FROM pg_database WHERE datname = current_database()"
_SEQUENCES = "SELECT relname, pg_sequence_last_value(oid) FROM pg_class WHERE relkind = 'S' AND oid >= 16384"
_TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND oid >= 16384 AND relname <> 'alembic_version'"
_PLAN = "EXPLAIN SELECT * FROM jobs JOIN history ON job_id = id WHERE jobs.state = 'POLLING' ORDER BY due_at"
_WORKERS = "INSERT INTO workers SELECT n::text, '', 1, '', 0, 0 FROM generate_series(1, {}) n"
# Seen from outside: a session that has a lock or listens, too, is a session.
_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'"


@pytest.mark.parametrize("rows", [1, 2000])
async def test_nothing_of_a_test_is_left(postgres: Postgres, kept: KeptDatabases, used: str, rows: int) -> None:
    """No row, whether few or many, no number of a sequence, no session with its locks; the old name leads nowhere."""
    url = postgres.url(used)
    identity = _one(url, _IDENTITY)
    left = psycopg.connect(url)
    left.execute("SELECT pg_advisory_lock(17)")
    left.execute(sql.SQL(_WORKERS.format(rows)))
    left.execute("SELECT nextval('lanes_id_seq')")
    left.commit()
    left.execute("LOCK TABLE jobs, history")
    kept.give_back(used)

    again = kept.borrow()
    url = postgres.url(again)
    assert _one(url, _IDENTITY) == identity
    assert _rows(postgres.url("postgres"), _SESSIONS.format(again)) == [(0,)]
    for (table,) in _rows(url, _TABLES):
        assert _rows(url, f"TABLE {table}") == []
    assert {last for _, last in _rows(url, _SEQUENCES)} == {None}
    assert _rows(url, "SELECT pg_try_advisory_lock(17)") == [(True,)]
    assert _rows(url, "SELECT nextval('lanes_id_seq'), nextval('jobs_id_seq')") == [(1, 1)]
    assert _rows(url, _PLAN) == _rows(postgres.url("migrated"), _PLAN)
    with pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(postgres.url(used))


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE other (x int)",
        "CREATE SCHEMA other",
        "CREATE FUNCTION other() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE VIEW other AS SELECT 1 AS one",
        "CREATE TYPE other AS ENUM ('x')",
        "ALTER TABLE jobs ALTER COLUMN account SET DEFAULT 'x'",
        "ALTER TABLE jobs ALTER COLUMN account DROP NOT NULL",
        "ALTER TABLE jobs DROP COLUMN progress",
        "ALTER TABLE jobs SET (fillfactor = 50)",
        "ALTER TABLE history DROP CONSTRAINT history_job",
        "ALTER TABLE jobs DISABLE TRIGGER ALL",
        "ALTER SEQUENCE jobs_id_seq INCREMENT 2",
        "DROP INDEX jobs_due",
        "GRANT SELECT ON jobs TO PUBLIC",
        "GRANT SELECT (state) ON jobs TO PUBLIC",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
        "ALTER DATABASE {name} SET default_transaction_read_only = on",
        "GRANT CREATE ON DATABASE {name} TO PUBLIC",
        "ALTER DATABASE {name} CONNECTION LIMIT 1000",
        "UPDATE alembic_version SET version_num = '0001'",
        "INSERT INTO workers VALUES ('x', '', 1, '', 0, 0); ANALYZE workers",
    ],
)
def test_whatever_is_no_row_is_noticed(postgres_url: str, change: str) -> None:
    """Each change of the schema, of a right or of a setting, and statistics, which change the plans."""
    name = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
    with psycopg.connect(postgres_url) as connection:
        before = schema_of(connection)
        connection.execute(sql.SQL(change.format(name=name)))
        assert schema_of(connection) != before
        connection.rollback()
        assert schema_of(connection) == before


def test_a_database_whose_schema_has_changed_is_not_used_again(
    postgres: Postgres, kept: KeptDatabases, used: str
) -> None:
    """It is dropped, and the next test gets a new one."""
    identity = _one(postgres.url(used), _IDENTITY)
    with psycopg.connect(postgres.url(used), autocommit=True) as connection:
        connection.execute("DROP INDEX jobs_due")
    kept.give_back(used)

    again = postgres.url(kept.borrow())
    assert _one(again, _IDENTITY) != identity
    assert _rows(again, "TABLE jobs") == []
    assert (identity,) not in _rows(again, "SELECT oid FROM pg_database")

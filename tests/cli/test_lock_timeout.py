"""An upgrade waits only so long for another program's lock, says whose it is, and changes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from tests.cli.command_shell import CommandShell
from tests.support.postgres_roles import run
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.database import migrate
from tidewaiter.database.errors import StoreUnavailableError
from tidewaiter.database.schema_check import known_revisions


@contextmanager
def held(url: str, statement: str) -> Iterator[int]:
    """Hold a lock in an open transaction of a program named ``nightly``; the number of its process."""
    with psycopg.connect(url, application_name="nightly") as connection:
        connection.execute(sql.SQL(statement))
        yield connection.info.backend_pid


def test_a_locked_table(shell: CommandShell, postgres_url: str) -> None:
    """The command ends with 69 and names process, application, role and age; afterwards it works."""
    shell.config.write_text(f'[database]\nurl = "{postgres_url}"\n')
    with held(postgres_url, "LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE") as pid:
        result = shell("db", "upgrade", "--lock-timeout", "0.4", code=ExitCode.UNAVAILABLE)
    (line,) = result.stderr.splitlines()
    assert f"process {pid} (application nightly, role postgres, idle in transaction, its last query began" in line
    assert "did not release within 0.4 s" in line
    assert "Nothing has changed" in line
    shell("db", "upgrade", "--lock-timeout", "0.4")


@pytest.mark.slow
def test_a_table_that_somebody_writes(postgres_url: str) -> None:
    """A migration that waits for a writer is given up as a whole: the revision is the old one, no column was added."""
    assert known_revisions()[-2:] == ("0015", "0016")
    columns = ("polled_at",)
    run(
        postgres_url,
        f"ALTER TABLE jobs {', '.join(f'DROP COLUMN {name}' for name in columns)}",
        "DROP TABLE durations",
        "ALTER TABLE lanes DROP COLUMN stored_at",
        "UPDATE alembic_version SET version_num = '0014'",
    )
    with (
        held(postgres_url, "LOCK TABLE jobs IN ROW EXCLUSIVE MODE") as pid,
        pytest.raises(StoreUnavailableError, match=rf"process {pid} \(application nightly"),
    ):
        migrate.upgrade(postgres_url, lock_timeout_s=0.4)
    assert migrate.current(postgres_url) == "0014"
    assert "column polled_at of jobs is missing" in migrate.check(postgres_url)
    migrate.upgrade(postgres_url, lock_timeout_s=0.4)
    assert migrate.check(postgres_url) == []


def test_another_upgrade(postgres_url: str) -> None:
    """A second upgrade does not wait for ever for the first one."""
    lock = f"SELECT pg_advisory_xact_lock({migrate._ADVISORY_LOCK})"
    with held(postgres_url, lock) as pid, pytest.raises(StoreUnavailableError, match=f"process {pid} "):
        migrate.upgrade(postgres_url, lock_timeout_s=0.4)

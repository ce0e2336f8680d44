"""Checks of the database: current, old, missing, unreachable, in use; on both kinds."""

import asyncio
import socket
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.doctor.folders import names_in
from tests.support.postgres import Postgres
from tests.support.postgres_encodings import with_tables
from tidewaiter.clock import SystemClock
from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.database.engine import Database
from tidewaiter.doctor.data_checks import check_database, check_missing_file, check_sqlite, database_clock_result
from tidewaiter.doctor.findings import CheckStatus, Finding, Notes

CLOCK = SystemClock()


async def looked_at(url: str) -> dict[str, Finding]:
    """What is found of the database at a URL, by check."""
    notes = Notes("database", CLOCK)
    database = Database.open(url, CLOCK)
    try:
        await check_database(notes, database, CLOCK)
    finally:
        await database.close()
    return {one.check: one for one in notes.findings}


async def test_a_database_that_can_be_used(database_url: str) -> None:
    """It answers, its tables are ours, and a clock of its own agrees with ours."""
    found = await looked_at(database_url)
    assert found["database"].status is CheckStatus.OK
    assert "is at revision " in found["database"].message
    if database_url.startswith("postgresql"):
        assert found["database clock"].status is CheckStatus.OK
    else:
        assert "database clock" not in found


async def test_tables_of_another_program(database_url: str) -> None:
    """Tables that are older or newer are told with what to run."""
    database = Database.open(database_url, CLOCK)
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    await database.close()
    found = await looked_at(database_url)
    assert found["database"].status is CheckStatus.FAILURE
    assert found["database"].remedy == "run `tidewaiter db upgrade`"
    assert list(found) == ["database"]


async def test_an_empty_file(tmp_path: Path) -> None:
    """A file without tables is told as such."""
    (tmp_path / "empty.db").touch()
    found = await looked_at(f"sqlite:///{tmp_path}/empty.db")
    assert "has no tables yet" in found["database"].message


async def test_a_file_that_is_none(tmp_path: Path) -> None:
    """A file that is no database is told as damaged."""
    (tmp_path / "text.db").write_text("nonsense" * 1000)
    found = await looked_at(f"sqlite:///{tmp_path}/text.db")
    assert found["database"].status is CheckStatus.FAILURE
    assert "is damaged" in found["database"].message


async def test_a_server_out_of_reach() -> None:
    """A PostgreSQL that is not there is told without its password."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        found = await looked_at(f"postgresql://u:canary@127.0.0.1:{bound.getsockname()[1]}/x")
    assert found["database"].status is CheckStatus.FAILURE
    assert "cannot be reached" in found["database"].message
    assert "canary" not in found["database"].message + found["database"].remedy


async def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Nothing is made by looking, neither file nor folder."""
    notes = Notes("database", CLOCK)
    file = tmp_path / "deep" / "tidewaiter.db"
    lock = DaemonLock.of(f"sqlite:///{file}")
    assert lock is not None
    await check_sqlite(notes, file, lock)
    await check_missing_file(notes, file)
    found = {one.check: one for one in notes.findings}
    assert list(found) == ["sqlite", "file system", "free space", "daemon", "database"]
    assert found["daemon"].message == "no daemon is running"
    assert found["database"].status is CheckStatus.INFO
    assert names_in(tmp_path) == []


async def test_beside_a_daemon(sqlite_url: str, tmp_path: Path) -> None:
    """A daemon that holds the file is told, and left alone: its lock stays its own."""
    held, lock = DaemonLock.of(sqlite_url), DaemonLock.of(sqlite_url)
    assert held is not None
    assert lock is not None
    assert held.try_acquire()
    notes = Notes("database", CLOCK)
    await check_sqlite(notes, tmp_path / "tidewaiter.db", lock)
    assert next(one for one in notes.findings if one.check == "daemon").message == "a daemon is running"
    assert not await asyncio.to_thread(lock.try_acquire)
    held.release()
    assert not lock.is_held()
    assert held.try_acquire()
    held.release()


async def test_files_that_others_may_use(sqlite_url: str, tmp_path: Path) -> None:
    """A database that is open to other users is told with what to run; nothing is changed by looking."""
    file, lock = tmp_path / "tidewaiter.db", DaemonLock.of(sqlite_url)
    assert lock is not None
    file.chmod(0o644)
    notes = Notes("database", CLOCK)
    await check_sqlite(notes, file, lock)
    (found,) = [one for one in notes.findings if one.check == "permissions"]
    assert found.status is CheckStatus.WARNING
    assert found.remedy.endswith(f"chmod 600 {file}")
    assert file.stat().st_mode & 0o777 == 0o644


async def test_a_lock_that_no_daemon_would_use(sqlite_url: str, tmp_path: Path) -> None:
    """A lock file that is a link is told with the remedy, as a failure: no daemon would start."""
    lock = DaemonLock.of(sqlite_url)
    assert lock is not None
    lock.path.symlink_to(tmp_path / "elsewhere")
    notes = Notes("database", CLOCK)
    await check_sqlite(notes, tmp_path / "tidewaiter.db", lock)
    (found,) = [one for one in notes.findings if one.check == "daemon"]
    assert (found.status, found.remedy) == (CheckStatus.FAILURE, "remove it")
    assert "is a symbolic link" in found.message


@pytest.mark.parametrize(
    ("seconds", "status", "expected"), [(4.9, CheckStatus.OK, "4.9 s"), (-90, CheckStatus.WARNING, "90 s behind")]
)
def test_clocks(seconds: float, status: CheckStatus, expected: str) -> None:
    """A database whose clock is far off is told: leases are measured by it."""
    assert database_clock_result(seconds).status is status
    assert expected in database_clock_result(seconds).message


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_another_encoding(postgres: Postgres, encoding: str) -> None:
    """A database that cannot hold every text is a failure, with what to do."""
    found = await looked_at(with_tables(postgres, encoding))
    assert found["database"].status is CheckStatus.FAILURE
    assert f"has the encoding {encoding}" in found["database"].message
    assert "createdb -E UTF8" in (found["database"].remedy or "")

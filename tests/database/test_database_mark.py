"""An SQLite file that was lost, exchanged or set back is not taken for the one that was served last (fault 64)."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from tidewaiter.database import migrate
from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.database.database_mark import DatabaseMark, accept, check_mark, keep_mark, mark_in, missing_file_fault
from tidewaiter.database.errors import DatabaseFileError
from tidewaiter.database.sqlite_files import files_of


def _url(folder: Path) -> str:
    return f"sqlite:///{folder}/jobs.db"


def _lock(folder: Path) -> DaemonLock:
    lock = DaemonLock.of(_url(folder))
    assert lock is not None
    assert lock.try_acquire()
    return lock


def _count_jobs_to(file: Path, highest: int) -> None:
    """As if that many jobs had been stored, and retention had deleted them."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'jobs'")
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('jobs', ?)", (highest,))


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A database from which jobs up to number 7 were served."""
    file = tmp_path / "jobs.db"
    migrate.upgrade(_url(tmp_path))
    _count_jobs_to(file, 7)
    lock = _lock(tmp_path)
    keep_mark(lock, file, Random(1))
    lock.release()
    return file


def test_the_served_file_is_accepted(served: Path) -> None:
    """The same file, with more jobs or as a copy that is put back, is served."""
    check_mark(_url(served.parent))
    _count_jobs_to(served, 9)
    copy = served.with_name("copy")
    shutil.copy(served, copy)
    copy.replace(served)
    check_mark(_url(served.parent))


def test_no_file_and_an_empty_one_are_refused(served: Path) -> None:
    """Neither a start nor an upgrade creates a new database where there was one, and nothing is created."""
    for one in files_of(served):
        one.unlink(missing_ok=True)
    for attempt in (check_mark, migrate.upgrade, migrate.current):
        with pytest.raises(
            DatabaseFileError, match=r"missing or empty, but jobs up to number 7 .*tidewaiter db accept"
        ):
            attempt(_url(served.parent))
    assert not served.exists()
    served.touch()
    with pytest.raises(DatabaseFileError, match="missing or empty"):
        check_mark(_url(served.parent))
    assert "missing or empty" in (missing_file_fault(_url(served.parent)) or "")


def test_a_file_without_its_wal_is_refused(served: Path, tmp_path: Path) -> None:
    """The mark knows of jobs that were committed in the -wal file alone."""
    lock = _lock(tmp_path)
    connection = sqlite3.connect(served)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("UPDATE sqlite_sequence SET seq = 12 WHERE name = 'jobs'")
    connection.commit()
    keep_mark(lock, served, Random(2))
    lock.release()
    killed = served.with_name("killed.db")
    shutil.copy(served, killed)  # without the -wal file, as it is after a kill
    connection.close()
    killed.replace(served)
    with pytest.raises(
        DatabaseFileError, match=r"up to number 7, but jobs up to number 12 .*its -wal file was removed"
    ):
        check_mark(_url(tmp_path))


@pytest.mark.parametrize("has_jobs", [True, False])
def test_a_file_beside_the_log_of_another_is_left_as_it_is(tmp_path: Path, *, has_jobs: bool) -> None:
    """A backup that is put beside the old -wal file is refused before a connection puts that file into it."""
    file = tmp_path / "jobs.db"
    migrate.upgrade(_url(tmp_path))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        # Pages move, so that those of the -wal file do not fit the copy.
        connection.execute("DROP TABLE job_terms")
        connection.execute("CREATE TABLE later (text TEXT)")
        connection.execute("INSERT INTO later VALUES (?)", ("x" * 300_000,))
        connection.commit()
        log = file.with_name("jobs.db-wal").read_bytes()
    if has_jobs:
        lock = _lock(tmp_path)
        lock.write(DatabaseMark(1, 7).encode())
        lock.release()
    for one in files_of(file):
        one.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("PRAGMA page_size = 4096; CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    file.with_name("jobs.db-wal").write_bytes(log)
    before = file.read_bytes()
    for attempt in (check_mark, migrate.upgrade):
        with pytest.raises(DatabaseFileError, match=r"-wal file beside it belongs to another .*restore a backup"):
            attempt(_url(tmp_path))
    assert file.read_bytes() == before


def test_another_file_is_refused(served: Path) -> None:
    """A file with another identity is refused, however many jobs it has; and it takes over no mark."""
    other = served.with_name("other.db")
    migrate.upgrade(f"sqlite:///{other}")
    _count_jobs_to(other, 500)
    of_other = DaemonLock(other.with_name("other.db.lock"))
    assert of_other.try_acquire()
    keep_mark(of_other, other, Random(3))
    other.replace(served)
    with pytest.raises(DatabaseFileError, match="is not the one that was served last"):
        check_mark(_url(served.parent))
    lock = _lock(served.parent)
    keep_mark(lock, served, Random(4))
    found = DatabaseMark.parse(lock.read())
    assert found is not None
    assert found.jobs == 7


def test_a_restored_dump_is_the_same_database(served: Path) -> None:
    """A dump has the jobs and no identity: it is served, and gets the identity that was served before."""
    before = mark_in(served)
    with closing(sqlite3.connect(served)) as connection, connection:
        connection.execute("PRAGMA user_version = 0")
    check_mark(_url(served.parent))
    keep_mark(_lock(served.parent), served, Random(5))
    assert mark_in(served) == before


def test_a_file_without_jobs_is_no_loss(tmp_path: Path) -> None:
    """Who deletes a database from which no job was served may start again."""
    migrate.upgrade(_url(tmp_path))
    lock = _lock(tmp_path)
    keep_mark(lock, tmp_path / "jobs.db", Random(6))
    lock.release()
    (tmp_path / "jobs.db").unlink()
    migrate.upgrade(_url(tmp_path))
    check_mark(_url(tmp_path))


def test_the_lock_file_of_an_earlier_version_has_no_mark(tmp_path: Path) -> None:
    """An empty lock file, or one with another text, refuses nothing."""
    (tmp_path / "jobs.db.lock").write_text("something else")
    check_mark(_url(tmp_path))


def test_an_accepted_file_reuses_no_number(served: Path, tmp_path: Path) -> None:
    """A new database goes on with the numbers, because the storage has folders of the old jobs."""
    for one in files_of(served):
        one.unlink(missing_ok=True)
    lock = _lock(tmp_path)
    migrate.upgrade(_url(tmp_path), any_file=True)
    accept(lock, served, Random(8))
    check_mark(_url(tmp_path))
    found = mark_in(served)
    assert found is not None
    assert found.jobs == 7
    assert found == DatabaseMark.parse(lock.read())

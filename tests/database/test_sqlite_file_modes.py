"""The files of an SQLite database are readable only for the daemon's user."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.support.stored_jobs import StandingClock
from tidewaiter.database import migrate
from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.database.engine import Database
from tidewaiter.database.errors import StoreUnavailableError


@pytest.fixture(params=[0, 0o022, 0o077, 0o277], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """A umask of this process, for one test; the last takes away even what the owner needs."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def _modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in sorted(folder.iterdir())}


async def _use(url: str) -> dict[str, str]:
    """Write to a database; the modes of its files meanwhile."""
    database = Database.open(url, StandingClock())
    try:
        async with database.writing() as connection:
            await connection.execute(text("CREATE TABLE IF NOT EXISTS x (y)"))
        async with database.reading() as connection:
            await connection.execute(text("SELECT * FROM x"))
        return _modes(Path(url.removeprefix("sqlite:///")).parent)
    finally:
        await database.close()


@pytest.mark.usefixtures("umask")
async def test_what_the_daemon_makes(tmp_path: Path) -> None:
    """The database, what SQLite keeps beside it, and every folder that was missing are the owner's alone."""
    folder = tmp_path / "new" / "folder"
    expected = {"x.db": "0o600", "x.db-shm": "0o600", "x.db-wal": "0o600"}
    assert await _use(f"sqlite:///{folder}/x.db") == expected
    assert _modes(tmp_path / "new") == {"folder": "0o700"}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.usefixtures("umask")
def test_what_the_migrations_make(tmp_path: Path) -> None:
    """`tidewaiter db upgrade` on a new file makes it, its folder and the lock as the daemon does."""
    url = f"sqlite:///{tmp_path}/new/x.db"
    migrate.upgrade(url)
    lock = DaemonLock.of(url)
    assert lock is not None
    assert lock.try_acquire()
    lock.release()
    assert _modes(tmp_path / "new") == {"x.db": "0o600", "x.db.lock": "0o600"}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.usefixtures("umask")
def test_what_the_lock_makes(tmp_path: Path) -> None:
    """A lock that comes first makes its folder, too."""
    lock = DaemonLock.of(f"sqlite:///{tmp_path}/new/folder/x.db")
    assert lock is not None
    assert lock.try_acquire()
    lock.release()
    assert _modes(tmp_path / "new") == {"folder": "0o700"}
    assert _modes(tmp_path / "new" / "folder") == {"x.db.lock": "0o600"}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o666])
async def test_files_of_an_earlier_version(tmp_path: Path, mode: int) -> None:
    """What others could read or write is taken from them at the first opening, also beside a database in use."""
    file = tmp_path / "x.db"
    keeper = sqlite3.connect(file)
    keeper.execute("PRAGMA journal_mode = WAL")
    keeper.execute("CREATE TABLE x (y)")
    keeper.commit()
    (tmp_path / "x.db.lock").touch()
    for name in _modes(tmp_path):
        (tmp_path / name).chmod(mode)
    expected = {"x.db": "0o600", "x.db-shm": "0o600", "x.db-wal": "0o600"}
    found = await _use(f"sqlite:///{file}")
    assert {name: found[name] for name in expected} == expected
    keeper.close()
    lock = DaemonLock(tmp_path / "x.db.lock")
    assert lock.try_acquire()
    assert _modes(tmp_path)["x.db.lock"] == "0o600"
    lock.release()


async def test_a_folder_that_was_there(tmp_path: Path) -> None:
    """A folder is the operator's where the operator has made it, and stays as it is."""
    (tmp_path / "x").mkdir(mode=0o755)
    await _use(f"sqlite:///{tmp_path}/x/x.db")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o755


async def test_a_database_behind_a_link(tmp_path: Path) -> None:
    """A link to the database is followed, as SQLite follows it: what it leads to is made, and is private."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "x.db").symlink_to(tmp_path / "disk" / "real.db")
    await _use(f"sqlite:///{tmp_path}/x.db")
    assert _modes(tmp_path / "disk")["real.db"] == "0o600"


async def test_locks_of_this_process_survive(tmp_path: Path) -> None:
    """Opening a database again in one process does not end the locks that SQLite holds in it.

    Closing any descriptor of a file ends all POSIX locks of the process on it.
    """
    url = f"sqlite:///{tmp_path}/x.db"
    await _use(url)
    writer = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    before = _locks_of(tmp_path / "x.db")
    assert before
    (tmp_path / "x.db").chmod(0o644)
    await Database.open(url, StandingClock()).close()
    assert _locks_of(tmp_path / "x.db") == before
    writer.close()


def _locks_of(file: Path) -> list[str]:
    """The locks that somebody holds on a file, as the kernel tells."""
    status = file.stat()
    inode = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    return sorted(line.partition(": ")[2] for line in Path("/proc/locks").read_text().splitlines() if inode in line)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The reason is told as a sentence, by the migrations as by the daemon."""
    (tmp_path / "file").touch()
    url = f"sqlite:///{tmp_path}/file/x.db"
    with pytest.raises(StoreUnavailableError, match=r"^The folder .* of the database cannot be created: .*"):
        Database.open(url, StandingClock())
    with pytest.raises(StoreUnavailableError, match=r"^The folder .* of the database cannot be created: .*"):
        migrate.upgrade(url)

"""The lock that lets one daemon at a time serve an SQLite file."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.database.errors import StoreUnavailableError

HOLDER = """
import sys
from tidewaiter.database.daemon_lock import DaemonLock
lock = DaemonLock.of(sys.argv[1])
assert lock is not None and lock.try_acquire()
print("held", flush=True)
sys.stdin.read()
"""


def _lock(url: str) -> DaemonLock:
    lock = DaemonLock.of(url)
    assert lock is not None
    return lock


@pytest.mark.fault(18)
def test_one_at_a_time(tmp_path: Path) -> None:
    """A second lock on the same file is refused until the first lets go, in the same process, too."""
    url = f"sqlite:///{tmp_path}/folder/x.db"
    first, second = _lock(url), _lock(url)
    assert first.path == tmp_path / "folder" / "x.db.lock"
    assert first.try_acquire()
    assert first.try_acquire()
    assert not second.try_acquire()
    assert _lock(f"sqlite:///{tmp_path}/folder/y.db").try_acquire()
    first.release()
    first.release()
    assert second.try_acquire()
    assert not first.try_acquire()
    second.release()


def test_looking_takes_nothing(tmp_path: Path) -> None:
    """Whether somebody has the lock can be asked without taking it, and without making its file."""
    url = f"sqlite:///{tmp_path}/x.db"
    held, other = _lock(url), _lock(url)
    assert not other.is_held()
    assert not other.path.exists()
    assert held.try_acquire()
    assert held.is_held()
    assert other.is_held()
    held.release()
    assert not other.is_held()
    assert held.try_acquire()
    held.release()


def test_postgresql_needs_none() -> None:
    """PostgreSQL serves many daemons."""
    assert DaemonLock.of("postgresql://host/x") is None


@pytest.mark.fault(18)
def test_the_dead_hold_nothing(tmp_path: Path) -> None:
    """A daemon that is killed leaves the lock to the standby at once."""
    url = f"sqlite:///{tmp_path}/x.db"
    standby = _lock(url)
    command = [sys.executable, "-c", HOLDER, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert not standby.try_acquire()
        holder.kill()
        holder.wait()
        assert standby.try_acquire()
    standby.release()


# --- other users ----------------------------------------------------------------------------------------------------

OTHER = 12345
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
LOCK_READ_ONLY = """
import fcntl, os, sys
os.setgroups([])
os.setresgid(*[int(sys.argv[2])] * 3)
os.setresuid(*[int(sys.argv[3])] * 3)
try:
    fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError as error:
    print(type(error).__name__, flush=True)
else:
    print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user may write to, as ``/tmp`` is."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o1777)
        yield folder


@contextmanager
def _another_user_locks(path: Path, *, group: int = OTHER) -> Iterator[str]:
    """Another user opens a file for reading and locks it; how that went."""
    # It becomes the other user by itself: that user may have no way to this Python.
    command = [sys.executable, "-I", "-c", LOCK_READ_ONLY, str(path), str(group), str(OTHER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        assert process.stdin is not None
        process.stdin.close()


@needs_root
@pytest.mark.parametrize("group", [OTHER, 0], ids=["nobody's", "of the group"])
@pytest.mark.parametrize("umask", [0, 0o077], ids=oct)
@pytest.mark.parametrize("old_mode", [None, 0o644, 0o640], ids=["new", "0644", "0640"])
def test_no_other_user_can_take_it(shared: Path, umask: int, old_mode: int | None, group: int) -> None:
    """A lock can be taken by who may only read its file, so nobody else may: new or of an earlier version."""
    lock = DaemonLock(shared / "x.db.lock")
    if old_mode is not None:
        lock.path.touch()
        lock.path.chmod(old_mode)
    before = os.umask(umask)
    try:
        assert lock.try_acquire()
        lock.release()
    finally:
        os.umask(before)
    with _another_user_locks(lock.path, group=group) as outcome:
        assert outcome == "PermissionError"
        assert lock.try_acquire()
        lock.release()


@needs_root
def test_a_lock_that_another_user_has_planted(shared: Path) -> None:
    """A lock file of another user is refused with a remedy, whatever its mode: its owner may take it at any time."""
    lock = DaemonLock(shared / "x.db.lock")
    lock.path.touch()
    os.chown(lock.path, OTHER, OTHER)
    for mode in (0o600, 0o666):
        lock.path.chmod(mode)
        for act in (lock.try_acquire, lock.is_held):
            with pytest.raises(StoreUnavailableError, match=r"to another user \(number 12345\), .*: remove it "):
                act()
    assert stat.S_IMODE(lock.path.stat().st_mode) == 0o666


@needs_root
def test_a_lock_of_the_folders_owner(tmp_path: Path) -> None:
    """Who owns the folder is trusted with the lock: root may look at, and serve, the database of the daemon's user."""
    lock = DaemonLock(tmp_path / "x.db.lock")
    lock.path.touch()
    for path in (tmp_path, lock.path):
        os.chown(path, OTHER, OTHER)
    assert not lock.is_held()
    assert lock.try_acquire()
    lock.release()
    assert stat.S_IMODE(lock.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("leads_to", ["nothing", "a file"])
def test_a_lock_that_is_a_link(tmp_path: Path, leads_to: str) -> None:
    """It is not followed: nothing is made where it leads to, and no mode changed there."""
    target, lock = tmp_path / "target", DaemonLock(tmp_path / "x.db.lock")
    if leads_to == "a file":
        target.touch()
        target.chmod(0o644)
    lock.path.symlink_to(target)
    for act in (lock.try_acquire, lock.is_held):
        with pytest.raises(StoreUnavailableError, match="is a symbolic link, which is not followed: remove it"):
            act()
    assert target.exists() is (leads_to == "a file")
    assert not target.exists() or stat.S_IMODE(target.stat().st_mode) == 0o644


def test_a_lock_with_a_second_name(tmp_path: Path) -> None:
    """The other name leads to the same lock; and the other file keeps its mode."""
    target, lock = tmp_path / "target", DaemonLock(tmp_path / "x.db.lock")
    target.touch()
    target.chmod(0o644)
    lock.path.hardlink_to(target)
    with pytest.raises(StoreUnavailableError, match="hard link"):
        lock.try_acquire()
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_a_lock_that_is_no_file(tmp_path: Path, kind: str) -> None:
    """Whatever else bears the name is refused at once, and nothing stays open."""
    lock = DaemonLock(tmp_path / "x.db.lock")
    os.mkfifo(lock.path) if kind == "pipe" else lock.path.mkdir()
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(StoreUnavailableError, match=r"is not a regular file: remove it|Is a directory"):
        lock.try_acquire()
    assert len(list(Path("/dev/fd").iterdir())) == before

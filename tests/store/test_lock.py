"""The lock by which one daemon at a time serves an SQLite file."""

import subprocess
import sys
from pathlib import Path

from app.store.lock import DaemonLock

HOLDER = """
import sys
from app.store.lock import DaemonLock
lock = DaemonLock.of(sys.argv[1])
assert lock is not None and lock.try_acquire()
print("held", flush=True)
sys.stdin.read()
"""


def _lock(url: str) -> DaemonLock:
    lock = DaemonLock.of(url)
    assert lock is not None
    return lock


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


def test_the_dead_hold_nothing(tmp_path: Path) -> None:
    """A daemon that is killed leaves the lock to the standby at once (fault 18)."""
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

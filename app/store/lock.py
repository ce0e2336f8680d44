"""The file lock by which only one daemon at a time serves an SQLite database; others wait as standbys."""

import fcntl
import os
from pathlib import Path

from app.store.address import Address


class DaemonLock:
    """A lock on ``<database>.lock``. The kernel releases it when its process dies, however that happens.

    Args:
        path: the lock file; it is created where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @classmethod
    def of(cls, url: str) -> "DaemonLock | None":
        """The lock of the database at ``url``; ``None`` on PostgreSQL, which serves many daemons at once."""
        file = Address.parse(url).file
        return None if file is None else cls(file.with_name(f"{file.name}.lock"))

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it; whether it is ours now.

        Raises:
            OSError: the lock file cannot be opened.
        """
        if self._descriptor is not None:
            return True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def is_held(self) -> bool:
        """Whether a daemon has the lock; nothing is made, and a daemon that starts this very moment tries again.

        Raises:
            OSError: the lock file cannot be opened.
        """
        if self._descriptor is not None:
            return True
        if not self.path.exists() or self.try_acquire():
            self.release()
            return False
        return True

    def release(self) -> None:
        """Let go of the lock. The file stays: a standby may have it open already, to lock it next."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

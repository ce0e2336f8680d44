"""The file lock that lets only one daemon at a time serve an SQLite database; others wait in standby."""

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.errors import StoreUnavailableError
from tidewaiter.database.sqlite_files import FILE_MODE, OTHERS, make_folders
from tidewaiter.file_access import reason_of

_LONGEST: Final = 200
_ROOT: Final = 0
"""The user number of root."""


class DaemonLock:
    """A lock on ``<database>.lock``. The kernel releases it when its process dies for any reason.

    Args:
        path: the lock file; it is created if it is missing, and only this user may open it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @classmethod
    def of(cls, url: str) -> "DaemonLock | None":
        """The lock of the database at ``url``; ``None`` on PostgreSQL, which serves several daemons."""
        file = DatabaseAddress.parse(url).file
        return None if file is None else cls(file.with_name(f"{file.name}.lock"))

    def try_acquire(self) -> bool:
        """Take the lock if it is free; returns whether this process has it now.

        Raises:
            StoreUnavailableError: the lock file cannot be opened or created, or another user could take the lock; the
                message says what to do.
        """
        if self._descriptor is not None:
            return True
        try:
            make_folders(self.path.parent)
            descriptor = self._open(os.O_CREAT)
        except OSError as error:
            raise self._not_opened(error) from error
        try:
            self._remove_other_permissions(descriptor)
            is_ours = _locked(descriptor)
        except BaseException:  # close the descriptor after any error
            os.close(descriptor)
            raise
        if is_ours:
            self._descriptor = descriptor
        else:
            os.close(descriptor)
        return is_ours

    def is_held(self) -> bool:
        """Whether a daemon has the lock. No file is created, and a daemon that starts at this moment tries again.

        Raises:
            StoreUnavailableError: the lock file cannot be opened, or is not one that a daemon would use.
        """
        if self._descriptor is not None:
            return True
        try:
            descriptor = self._open(0)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._not_opened(error) from error
        try:
            self._check_owner(os.fstat(descriptor))
            return not _locked(descriptor)
        finally:
            os.close(descriptor)

    def read(self) -> bytes:
        """The beginning of the lock file; empty if there is none. The lock need not be held.

        Raises:
            StoreUnavailableError: the file cannot be read.
        """
        if self._descriptor is not None:
            return self._beginning(self._descriptor)
        try:
            descriptor = self._open(0)
        except (FileNotFoundError, NotADirectoryError):
            return b""
        except OSError as error:
            raise self._not_opened(error) from error
        try:
            return self._beginning(descriptor)
        finally:
            os.close(descriptor)

    def _beginning(self, descriptor: int) -> bytes:
        try:
            return os.pread(descriptor, _LONGEST, 0)
        except OSError as error:
            raise StoreUnavailableError(f"The lock file {self.path} cannot be read: {error.strerror}.") from error

    def write(self, text: bytes) -> None:
        """Replace what is in the lock file, which this process holds.

        Raises:
            StoreUnavailableError: there is no room, or the disk fails.
        """
        assert self._descriptor is not None  # noqa: S101  # only the holder writes
        try:
            # One write of less than a sector, so that a reader finds the old text or the new one.
            os.pwrite(self._descriptor, text, 0)
            os.ftruncate(self._descriptor, len(text))
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise StoreUnavailableError(f"The lock file {self.path} cannot be written: {error.strerror}.") from error

    def release(self) -> None:
        """Release the lock. The file stays: a standby may already have it open."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self, flags: int) -> int:
        # A link may lead anywhere, and opening a pipe would block.
        flags |= os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(self.path, flags, FILE_MODE)

    def _not_opened(self, error: OSError) -> StoreUnavailableError:
        if self.path.is_symlink():
            return self._refused("is a symbolic link, which is not followed", "remove it")
        if error.errno == errno.EROFS:
            return self._refused("cannot be opened", reason_of(error, self.path, os.R_OK | os.W_OK))
        return self._refused(
            f"cannot be opened ({reason_of(error, self.path, os.R_OK | os.W_OK)})",
            "run this as the user that the file and its folder belong to, or give both to the daemon's user (chown)",
        )

    def _check_owner(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise self._refused("is not a regular file", "remove it")
        if found.st_nlink != 1:
            raise self._refused("has another name as well (a hard link)", "remove it while no daemon runs")
        # The owner of the folder could replace the file anyway.
        if found.st_uid not in (os.geteuid(), _ROOT, self.path.parent.stat().st_uid):
            raise self._refused(
                f"belongs to another user (number {found.st_uid}), who could block every daemon",
                "remove it while no daemon runs, or give it to the user of the daemon (chown)",
            )

    def _remove_other_permissions(self, descriptor: int) -> None:
        """Make sure that no other user can open the file: read permission is enough to lock it, see `flock(2)`."""
        found = os.fstat(descriptor)
        self._check_owner(found)
        if stat.S_IMODE(found.st_mode) == FILE_MODE:
            return
        with suppress(OSError):
            os.fchmod(descriptor, FILE_MODE)
        if os.fstat(descriptor).st_mode & OTHERS:
            raise self._refused(
                "can be opened by other users, who could block every daemon",
                "let its owner remove that permission (chmod 600), or use a file system with permissions",
            )

    def _refused(self, what: str, remedy: str) -> StoreUnavailableError:
        return StoreUnavailableError(f"The lock file {self.path} {what}: {remedy}.")


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

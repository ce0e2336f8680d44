"""The files of an SQLite database: their modes, the file system below them, and the first job number in a new one.

SQLite gives its ``-wal``, ``-shm`` and ``-journal`` the permissions of the database file, so we create that file before
SQLite opens it (``findCreateFileMode`` in https://sqlite.org/src/file/src/os_unix.c).
"""

import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from tidewaiter.database.errors import DatabaseFileError, StoreUnavailableError
from tidewaiter.file_access import reason_of, why_denied

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
OTHERS: Final = 0o077
"""The mode bits of all users but the owner."""
_PERMISSIONS: Final = 0o777
_BESIDE: Final = ("-wal", "-shm", "-journal")

_DESCRIPTORS: Final = Path("/dev/fd")
_MOUNTS: Final = Path("/proc/self/mountinfo")
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")
# https://www.sqlite.org/wal.html: all processes that use a WAL database must be on the same host computer.
_OVER_NETWORK: Final = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
)
_IN_USER_SPACE_OVER_NETWORK: Final = ("ceph", "gluster", "goofys", "nfs", "rclone", "s3fs", "smb", "sshfs")


def make_private(file: Path) -> None:
    """Create a database file and its folder if they are missing, and remove other users' permissions.

    A file of this user that others may use, as earlier versions made it, gets mode 0600. An existing folder, and a file
    of another user, do not change.

    Args:
        file: the database; a symbolic link is followed, as SQLite follows it.

    Raises:
        StoreUnavailableError: the file or the folder cannot be created.
    """
    file = Path(os.path.realpath(file))
    try:
        make_folders(file.parent)
    except OSError as error:
        reason = reason_of(error, file.parent, os.W_OK)
        raise StoreUnavailableError(f"The folder {file.parent} of the database cannot be created: {reason}.") from error
    try:
        if not file.exists():
            _create(file)
    except OSError as error:
        reason = reason_of(error, file, os.W_OK)
        raise StoreUnavailableError(f"The database {file} cannot be created: {reason}.") from error
    if denied := why_denied(file):
        raise StoreUnavailableError(f"The database {file} cannot be opened: {denied}.")
    # An existing file is never opened here: closing it would end this process's locks on it, see
    # https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
    for each in files_of(file):
        _remove_other_permissions(each)


class OpenedFile:
    """The file that a database's path named when the database was opened, and the ``-wal`` beside it.

    A deleted or renamed file is still there for connections that are open, and takes writes that nobody finds again.
    A check costs two ``stat``, about two microseconds.

    Args:
        file: an existing file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file.absolute()
        self._identity = _identity_of(self._file)
        self._wal = self._file.with_name(f"{self._file.name}-wal")
        self._wal_identity: tuple[int, int] | None = None

    def check(self) -> None:
        """Check that the paths name the same files as before.

        Raises:
            DatabaseFileError: one names none, or another file.
        """
        found = _identity_of(self._file)
        if found != self._identity:
            what = "was deleted or moved" if found is None else "was replaced by another file"
            raise DatabaseFileError(
                f"The database file {self._file} {what} while this process had it open, so nothing more is written: "
                "put the right file at this path, then start the daemon again."
            )
        self._check_wal()

    def _check_wal(self) -> None:
        """The same for the ``-wal``, which takes every commit.

        The last connection removes it, and the next one makes another. It closes the file first (``sqlite3WalClose`` in
        https://sqlite.org/src/file/src/wal.c). So a file that this process still has open was removed by somebody else.
        """
        before, found = self._wal_identity, _identity_of(self._wal)
        if found == before:
            return
        if before is not None and _is_open(before):
            what = "was deleted or moved" if found is None else "was replaced by another file"
            raise DatabaseFileError(
                f"The file {self._wal} of the database {what} while this process had it open, so nothing more is "
                "written. What was committed is put into the database file when the process ends. Remove a file that "
                "somebody has put at this path, then start the daemon again."
            )
        self._wal_identity = found


def _is_open(identity: tuple[int, int]) -> bool:
    """Whether this process has a file open, by its device and inode."""
    for descriptor in _DESCRIPTORS.iterdir():
        with suppress(OSError, ValueError):  # that of the listing itself is closed by now
            found = os.fstat(int(descriptor.name))
            if (found.st_dev, found.st_ino) == identity:
                return True
    return False


def _identity_of(file: Path) -> tuple[int, int] | None:
    """Device and inode of a file; ``None`` if there is none."""
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def make_folders(folder: Path) -> None:
    """Create a folder and the missing ones above it, with mode 0700.

    Raises:
        OSError: they cannot be created.
    """
    missing = [folder]
    while not missing[-1].is_dir() and missing[-1].parent != missing[-1]:
        missing.append(missing[-1].parent)
    for each in reversed(missing[:-1]):
        try:
            each.mkdir(FOLDER_MODE)
        except FileExistsError:
            if not each.is_dir():
                raise
            continue  # another program was quicker
        mode = stat.S_IMODE(each.stat().st_mode)
        if mode & _PERMISSIONS != FOLDER_MODE:  # the umask removed permissions of the owner
            each.chmod(mode & ~_PERMISSIONS | FOLDER_MODE)


def files_of(file: Path) -> Iterator[Path]:
    """The database file and SQLite's files beside it, existing or not."""
    yield file
    for ending in _BESIDE:
        yield file.with_name(file.name + ending)


def _create(file: Path) -> None:
    with suppress(FileExistsError):  # another program was quicker
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            if os.fstat(descriptor).st_mode & _PERMISSIONS != FILE_MODE:
                os.fchmod(descriptor, FILE_MODE)
        finally:
            os.close(descriptor)


def _remove_other_permissions(file: Path) -> None:
    # The file is gone, or the file system has no permissions: then its mount options decide.
    with suppress(OSError):
        found = file.lstat()
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_mode & OTHERS:
            file.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)


def kind_of(path: Path) -> str | None:
    """The kind of file system of a path, existing or not, such as ``ext4``; ``None`` if unknown."""
    try:
        mounts = _MOUNTS.read_text("utf-8", "surrogateescape")
        place = path.resolve()
    except (OSError, RuntimeError):  # a system without /proc, or links in a circle
        return None
    return kind_among(mounts, place)


def kind_among(mounts: str, place: Path) -> str | None:
    """The same for an absolute path, from the lines of a ``mountinfo`` file (``proc_pid_mountinfo(5)``)."""
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        before, separator, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if not separator or len(fields) < 5 or not kinds:
            continue
        point = Path(_ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        # Of two mounts on one point the later one counts.
        if place.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = len(point.parts), kinds[0]
    return None if found is None else found[1]


def is_over_network(kind: str) -> bool:
    """Whether the name of this kind of file system means that its files are on another machine."""
    kind = kind.lower()
    behind = kind.removeprefix("fuse.")
    return kind in _OVER_NETWORK or (behind != kind and behind.startswith(_IN_USER_SPACE_OVER_NETWORK))


def number_jobs_from(file: Path, first: int) -> None:
    """Give the first job of an SQLite file without jobs the number ``first``, 1 or more.

    Raises:
        sqlite3.Error: the file cannot be written, or has no tables.
    """
    with closing(sqlite3.connect(file)) as connection, connection:
        # https://www.sqlite.org/autoinc.html#the_autoincrement_keyword
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('jobs', ?)", (first - 1,))

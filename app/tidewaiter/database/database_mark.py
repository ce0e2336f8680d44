"""Which SQLite file was served last, so that an empty, an older or another file is not taken for it.

The lock file beside the database keeps a mark: the file's identity and its highest job number. The identity is a random
number in the header of the file (https://www.sqlite.org/pragma.html#pragma_user_version), so that a copy has it, too.
"""

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final, Self

from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.errors import DatabaseFileError, StoreUnavailableError, unavailable

_TEXT: Final = re.compile(rb"database ([0-9a-f]{8}), jobs up to (\d{1,19})\n")
_NO_IDENTITY: Final = 0
_LARGEST_IDENTITY: Final = 2**31 - 1
_HIGHEST_JOB: Final = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'jobs'"
_REMEDY: Final = (
    "Put back the file that was served last, together with its -wal file, and start the daemon again. If it is lost, "
    "run `tidewaiter db accept` to go on {how}"
)
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FOREIGN_LOG: Final = (
    "The database file {file} is damaged, or the -wal file beside it belongs to another file: {error}. If somebody has "
    "put a file at this path, move {file}-wal and {file}-shm away, and start the daemon again; else restore a backup."
)


@dataclass(frozen=True, slots=True)
class DatabaseMark:
    """The identity of a database file, and the highest number that a job in it ever had; 0 if there is none."""

    identity: int
    jobs: int

    @classmethod
    def parse(cls, text: bytes) -> Self | None:
        """Read a lock file; ``None`` if it has no mark, as that of an earlier version."""
        found = _TEXT.match(text)
        return None if found is None else cls(int(found[1], 16), int(found[2]))

    def encode(self) -> bytes:
        """The text for the lock file."""
        return f"database {self.identity:08x}, jobs up to {self.jobs}\n".encode()


def mark_in(file: Path) -> DatabaseMark | None:
    """The mark of a database file; ``None`` if there is no file or no table in it. Nothing is created or changed.

    Raises:
        DatabaseFileError: it cannot be read together with the -wal file beside it.
        StoreUnavailableError: the file cannot be read.
    """
    try:
        if not file.exists():
            return None
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'jobs'").fetchone()[0]:
                return None
            identity = connection.execute("PRAGMA user_version").fetchone()[0]
            return DatabaseMark(identity, connection.execute(_HIGHEST_JOB).fetchone()[0])
    except (OSError, sqlite3.Error) as error:
        log = file.with_name(f"{file.name}-wal")
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED and log.exists():
            raise DatabaseFileError(_FOREIGN_LOG.format(file=file, error=error)) from error
        failure = unavailable(error)
        if failure is None:
            raise
        raise failure from error


def check_mark(url: str) -> None:
    """Check that an SQLite file is the one that was served last, or a later state of it.

    Until a job was served, nothing is lost with the file, and another one may take its place. The file is read even
    then: a connection that may write puts the -wal file of another database into it, and destroys it.

    Raises:
        DatabaseFileError: it is missing or empty, older, another one, or does not fit its -wal file; the message says
            what to do.
        StoreUnavailableError: the file, or its lock file, cannot be read.
    """
    if (lock := DaemonLock.of(url)) is None or (file := DatabaseAddress.parse(url).file) is None:
        return
    served = DatabaseMark.parse(lock.read())
    try:
        found = mark_in(file)
    except DatabaseFileError:
        raise
    except StoreUnavailableError:
        if served is None or served.jobs == 0:
            return  # the code that opens it says why it cannot be read
        raise
    if served is None or served.jobs == 0:
        return
    if found is None:
        raise DatabaseFileError(
            f"The database file {file} is missing or empty, but jobs up to number {served.jobs} were served from it. "
            + _REMEDY.format(how="with an empty database.")
        )
    if found.identity not in (_NO_IDENTITY, served.identity):
        raise DatabaseFileError(
            f"The database file {file} is not the one that was served last. "
            + _REMEDY.format(how="with this one instead.")
        )
    if found.jobs < served.jobs:
        raise DatabaseFileError(
            f"The database file {file} has jobs up to number {found.jobs}, but jobs up to number {served.jobs} were "
            "served from it: it is an older copy, or its -wal file was removed. "
            + _REMEDY.format(how="without the later jobs; what they ended or submitted is then not known.")
        )


def missing_file_fault(url: str) -> str | None:
    """Why a missing or empty SQLite file will be refused; ``None`` if it will not. No database is opened.

    Raises:
        StoreUnavailableError: the lock file cannot be read.
    """
    file = DatabaseAddress.parse(url).file
    if file is None or (file.exists() and file.stat().st_size > 0):
        return None
    try:
        check_mark(url)
    except DatabaseFileError as error:
        return str(error)
    return None


def keep_mark(lock: DaemonLock, file: Path, rand: Random) -> None:
    """Write the mark of the served file into the lock file, if it has changed.

    A file that is another one, or has fewer jobs, changes no mark.

    Args:
        lock: the lock, held.
        file: the database.
        rand: chooses the identity of a file that has none.

    Raises:
        StoreUnavailableError: a file cannot be read or written.
    """
    found, served = mark_in(file), DatabaseMark.parse(lock.read())
    if found is None:
        return
    if found.identity == _NO_IDENTITY:
        is_new = served is None or served.jobs == 0
        identity = rand.randint(1, _LARGEST_IDENTITY) if is_new or served is None else served.identity
        _set_identity(file, identity)
        found = replace(found, identity=identity)
    is_later = served is None or served.jobs == 0 or (found.identity == served.identity and found.jobs > served.jobs)
    if is_later and found != served:
        lock.write(found.encode())


def accept(lock: DaemonLock, file: Path, rand: Random) -> DatabaseMark | None:
    """Let the file be served as it is; its next job gets a number that no job ever had, as its folder will have it.

    Args:
        lock: the lock, held.
        file: the database, with its tables.
        rand: chooses a new identity.

    Returns:
        The mark of the file that was served before; ``None`` if there was none.

    Raises:
        StoreUnavailableError: a file cannot be read or written.
    """
    served, found = DatabaseMark.parse(lock.read()), mark_in(file)
    highest = max(0 if found is None else found.jobs, 0 if served is None else served.jobs)
    identity = rand.randint(1, _LARGEST_IDENTITY)
    _set_identity(file, identity, highest_job=highest)
    lock.write(DatabaseMark(identity, highest).encode())
    return served


def _set_identity(file: Path, identity: int, *, highest_job: int = 0) -> None:
    try:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA user_version = {identity:d}")
            if highest_job:
                connection.execute("DELETE FROM sqlite_sequence WHERE name = 'jobs'")
                connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('jobs', ?)", (highest_job,))
    except sqlite3.Error as error:
        failure = unavailable(error)
        if failure is None:
            raise
        raise failure from error

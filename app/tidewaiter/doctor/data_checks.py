"""Checks of where data is kept: the SQLite library, disks and their free space, the storage, and the database."""

import asyncio
import os
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from tidewaiter.clock import Clock
from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.database.database_mark import check_mark
from tidewaiter.database.engine import Database
from tidewaiter.database.errors import DatabaseFileError, SchemaError, StoreUnavailableError
from tidewaiter.database.postgres_rights import RoleRights
from tidewaiter.database.sqlite_files import OTHERS, files_of, is_over_network, kind_of
from tidewaiter.doctor.findings import CheckResult, CheckStatus, Notes, failure, info, ok, warning
from tidewaiter.file_access import why_denied
from tidewaiter.storage.base import Storage, StorageError, StorageFullError

Version: TypeAlias = tuple[int, ...]

# https://www.sqlite.org/wal.html#walresetbug: from 3.7.0 on, where two connections write or checkpoint at the same
# moment, a database in WAL mode can be damaged. Fixed in 3.51.3, and in two older branches.
_FAULT_SINCE: Final = (3, 7, 0)
_FIXED_SINCE: Final = (3, 51, 3)
_FIXED_BRANCHES: Final = ((3, 44, 6), (3, 50, 7))

_LITTLE_SPACE: Final = 1_000_000_000
_NO_SPACE: Final = 100_000_000
_MOST_SKEW_S: Final = 5.0


def sqlite_result(version: Version) -> CheckResult:
    """Whether a version of the SQLite library has the WAL-reset bug."""
    message = ".".join(map(str, version))
    is_fixed = version >= _FIXED_SINCE or any(
        version >= remedy and version[:2] == remedy[:2] for remedy in _FIXED_BRANCHES
    )
    if is_fixed or version < _FAULT_SINCE:
        return ok(f"SQLite {message}")
    return warning(
        f"SQLite {message} has the WAL-reset bug: two programs that write at the same moment can, very rarely, "
        "damage the database",
        f"{_remedy_for(version)} (unless your distribution has fixed {message} itself), or use PostgreSQL",
    )


def _remedy_for(version: Version) -> str:
    branch = next((remedy for remedy in _FIXED_BRANCHES if version[:2] == remedy[:2]), None)
    newest = ".".join(map(str, _FIXED_SINCE))
    if branch is None:
        return f"run Tidewaiter with SQLite {newest} or newer"
    return f"run Tidewaiter with SQLite {'.'.join(map(str, branch))}, or with {newest} or newer"


def file_system_result(kind: str | None, file: Path) -> CheckResult:
    """Whether SQLite's locks work on this kind of file system."""
    if kind is None:
        return info(f"the kind of file system of {file} is not known")
    if is_over_network(kind):
        return warning(
            f"{file} is on a network file system ({kind}), where SQLite's locks are not reliable",
            "put the database on a disk of this machine, or use PostgreSQL",
        )
    return ok(f"{file} is on {kind}")


def free_space_result(free: int, place: Path) -> CheckResult:
    """Whether this many free bytes are enough."""
    message = f"{free / 1e9:,.1f} GB are free at {place}"
    if free < _NO_SPACE:
        return failure(f"only {free / 1e6:,.0f} MB are free at {place}", "free some space, or move it to a larger disk")
    return warning(message, "free some space before it is full") if free < _LITTLE_SPACE else ok(message)


async def check_free_space(notes: Notes, place: Path) -> None:
    """Note how much space is free where a path is, or will be."""
    notes.add("free space", await asyncio.to_thread(_free_space_at, place))


async def check_file_system(notes: Notes, file: Path) -> None:
    """Note the kind of file system of a database's file."""
    notes.add("file system", file_system_result(await asyncio.to_thread(kind_of, file), file))


def _free_space_at(place: Path) -> CheckResult:
    existing = nearest_existing(place)
    return free_space_result(shutil.disk_usage(existing).free, existing)


def nearest_existing(path: Path) -> Path:
    """The path, or the first folder above it that exists."""
    return next(one for one in (path, *path.parents) if one.exists())


def creatable_result(path: Path) -> CheckResult:
    """Whether this user can create a path that does not exist yet."""
    above = nearest_existing(path)
    if not above.is_dir():
        return failure(f"{above} is no folder", f"name another place than {path}, or move that file away")
    if denied := why_denied(path, os.W_OK):
        what, remedy = _message_and_remedy(denied)
        return failure(
            f"{path} does not exist, and cannot be created: {what}",
            f"create {path} for the user that runs the daemon, or {remedy}",
        )
    return info(f"{path} does not exist yet; it is created when it is first needed")


def folder_result(root: Path) -> CheckResult:
    """Whether this user can create files in a storage folder, as far as its permissions say; nothing is created."""
    if not root.exists():
        return creatable_result(root)
    if not root.is_dir():
        return failure(f"{root} is a file, not a folder", "name a folder as storage.root, or move that file away")
    if denied := why_denied(root, os.W_OK | os.X_OK):
        return failure(*_message_and_remedy(denied))
    return ok(f"this user may write to {root}")


def database_file_result(file: Path) -> CheckResult:
    """Whether this user can open an SQLite file and create others beside it, as far as the permissions say."""
    file = Path(os.path.realpath(file))
    if not file.exists():
        return creatable_result(file)
    for path, mode in ((file, os.R_OK | os.W_OK), (file.parent, os.W_OK | os.X_OK)):
        if denied := why_denied(path, mode):
            return failure(*_message_and_remedy(denied))
    return ok(f"this user may write to {file}")


def _message_and_remedy(denied: str) -> tuple[str, str]:
    """The two parts of a sentence of :func:`why_denied`."""
    message, _, remedy = denied.partition("; ")
    return message, remedy


async def check_folder(notes: Notes, storage: Storage, root: Path) -> None:
    """Note how much space is free in the storage folder, and whether a small file can be written there."""
    await check_free_space(notes, root)
    found = await asyncio.to_thread(folder_result, root)
    if found.status is not CheckStatus.OK:
        # A folder that does not exist is not created here: the doctor may run as another user than the daemon.
        notes.add("storage", found)
        return
    partial = root / ".partial"
    had_partial = await asyncio.to_thread(partial.exists)
    await check_storage(notes, storage, str(root), f"give {root} to the user that runs the daemon (chown)")
    if not had_partial:
        await asyncio.to_thread(_remove_empty, partial)


async def check_storage(notes: Notes, storage: Storage, place: str, remedy: str) -> None:
    """Note whether a small file can be written, synced and deleted.

    Args:
        notes: collects the results.
        storage: what is checked.
        place: its name.
        remedy: how to repair it if it does not work.
    """
    try:
        await storage.check()
    except StorageFullError as error:
        notes.add("storage", failure(_sentence(error), "free some space, or raise the quota"))
    except StorageError as error:
        notes.add("storage", failure(_sentence(error), remedy))
    else:
        notes.add("storage", ok(f"a file was written to {place}, synced and deleted"))


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # it was not created, or a daemon uses it by now
        folder.rmdir()


def _sentence(error: StorageError) -> str:
    return str(error).rstrip(".")


async def check_sqlite(notes: Notes, file: Path, lock: DaemonLock) -> None:
    """Note what is known about an SQLite file and the one that was served last; nothing is created."""
    notes.add("sqlite", sqlite_result(sqlite3.sqlite_version_info))
    await check_file_system(notes, file)
    await check_free_space(notes, file)
    open_to_others = await asyncio.to_thread(_open_to_others, file)
    if open_to_others:
        notes.add("permissions", _permissions(open_to_others))
    try:
        is_held = await asyncio.to_thread(lock.is_held)
    except StoreUnavailableError as error:
        message, _, remedy = str(error).rpartition(": ")
        notes.add("daemon", failure(message, remedy.rstrip(".")))
        return
    notes.add("daemon", info("a daemon is running" if is_held else "no daemon is running"))
    try:
        await asyncio.to_thread(check_mark, f"sqlite:///{file}")
    except DatabaseFileError as error:
        message, _, remedy = str(error).partition(". ")
        notes.add("database", failure(message, remedy.rstrip(".")))
    except StoreUnavailableError:
        pass  # the check of the database itself says so


def _open_to_others(file: Path) -> list[Path]:
    """The files of a database that other users may read or write."""
    return [one for one in files_of(Path(os.path.realpath(file))) if one.exists() and one.stat().st_mode & OTHERS]


def _permissions(open_to_others: list[Path]) -> CheckResult:
    names = " ".join(map(str, open_to_others))
    message = f"other users may use {names}, and a database holds parameters and links"
    return warning(message, f"as the owner: chmod 600 {names}")


async def check_missing_file(notes: Notes, file: Path) -> None:
    """Note whether an SQLite file that does not exist yet can be created."""
    notes.add("database", await asyncio.to_thread(creatable_result, file))


async def check_database(notes: Notes, database: Database, clock: Clock) -> None:
    """Note whether the database can be used, and on PostgreSQL each right that its role lacks."""
    rights: RoleRights | None = None
    try:
        rights = await database.rights()
        if rights is not None and rights.missing:
            for one in rights.missing:
                notes.add("database rights", failure(one.message, one.remedy))
            return
        await database.check_schema()
    except SchemaError as error:
        message, _, remedy = str(error).rpartition(": ")
        if rights is not None and not rights.may_create and remedy.startswith("run `tidewaiter db upgrade`"):
            remedy = f"{rights.grant_create} then run `tidewaiter db upgrade`"
        notes.add("database", failure(message, remedy.rstrip(".")))
        return
    except StoreUnavailableError as error:
        remedy = f"check that {database.name} is up, that this user may use it, and that database.url is right"
        notes.add("database", failure(str(error).rstrip("."), remedy))
        return
    notes.add("database", ok(f"{database.name} is at revision {await database.schema_version()}"))
    if rights is not None and not rights.may_create:
        message = (
            f"this role cannot create tables, so another one runs `tidewaiter db upgrade`, or: {rights.grant_create}"
        )
        notes.add("database rights", info(message.rstrip(";")))
    if not database.exclusive:
        before = clock.now()
        database_now = await database.now()
        notes.add("database clock", database_clock_result(database_now - (before + clock.now()) / 2))


def database_clock_result(seconds: float) -> CheckResult:
    """Whether the difference of a database's clock from this machine's is acceptable."""
    if abs(seconds) <= _MOST_SKEW_S:
        return ok(f"{abs(seconds):.1f} s from this machine's")
    message = f"{abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} this machine's"
    return warning(message, "let both machines set their clocks by NTP")

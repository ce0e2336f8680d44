"""Checks of this machine: its SQLite, the file system of a path, and free space."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Final, TypeAlias

from app.doctor.finding import Notes, Verdict, failure, info, ok, warning
from app.store.filesystem import is_over_network, kind_of

Version: TypeAlias = tuple[int, ...]

# https://www.sqlite.org/wal.html#walresetbug: from 3.7.0 on, where two connections write or checkpoint at the same
# moment, a database in WAL mode can be damaged. Fixed in 3.51.3, and in two older branches.
_FAULT_SINCE: Final = (3, 7, 0)
_MENDED_SINCE: Final = (3, 51, 3)
_MENDED_BRANCHES: Final = ((3, 44, 6), (3, 50, 7))

_LITTLE_ROOM: Final = 1_000_000_000
_NO_ROOM: Final = 100_000_000


def library(version: Version) -> Verdict:
    """Whether a version of the SQLite library has the WAL-reset bug."""
    told = ".".join(map(str, version))
    is_mended = version >= _MENDED_SINCE or any(
        version >= mend and version[:2] == mend[:2] for mend in _MENDED_BRANCHES
    )
    if is_mended or version < _FAULT_SINCE:
        return ok(f"SQLite {told}")
    return warning(
        f"SQLite {told} has the WAL-reset bug: two programs that write at the same moment can, very rarely, "
        "damage the database",
        f"{_mend_of(version)} (unless your distribution has fixed {told} itself), or use PostgreSQL",
    )


def _mend_of(version: Version) -> str:
    branch = next((mend for mend in _MENDED_BRANCHES if version[:2] == mend[:2]), None)
    newest = ".".join(map(str, _MENDED_SINCE))
    if branch is None:
        return f"run Tidewaiter with SQLite {newest} or newer"
    return f"run Tidewaiter with SQLite {'.'.join(map(str, branch))}, or with {newest} or newer"


def file_system(kind: str | None, file: Path) -> Verdict:
    """Whether SQLite's locks work on this kind of file system."""
    if kind is None:
        return info(f"the kind of file system of {file} is not known")
    if is_over_network(kind):
        return warning(
            f"{file} lies on a network file system ({kind}), where SQLite's locks cannot be relied on",
            "put the database on a disk of this machine, or use PostgreSQL",
        )
    return ok(f"{file} lies on {kind}")


def room(free: int, place: Path) -> Verdict:
    """Whether this many free bytes are enough."""
    told = f"{free / 1e9:,.1f} GB are free at {place}"
    if free < _NO_ROOM:
        return failure(f"only {free / 1e6:,.0f} MB are free at {place}", "free some space, or move it to a larger disk")
    return warning(told, "free some space before it is full") if free < _LITTLE_ROOM else ok(told)


async def look_at_room(notes: Notes, place: Path) -> None:
    """Note how much space is free where a path is, or will be."""
    notes.add("free space", await asyncio.to_thread(_room_at, place))


async def look_at_file_system(notes: Notes, file: Path) -> None:
    """Note the kind of file system of a database's file."""
    notes.add("file system", file_system(await asyncio.to_thread(kind_of, file), file))


def _room_at(place: Path) -> Verdict:
    there = nearest(place)
    return room(shutil.disk_usage(there).free, there)


def nearest(path: Path) -> Path:
    """The path, or the first folder above it that exists."""
    return next(one for one in (path, *path.parents) if one.exists())


def may_be_made(path: Path) -> Verdict:
    """Whether this user can create a path that does not exist yet."""
    above = nearest(path)
    if not above.is_dir():
        return failure(f"{above} is no folder", f"name another place than {path}, or move that file away")
    if not os.access(above, os.W_OK | os.X_OK):
        return failure(
            f"{path} does not exist, and this user may not write to {above}",
            f"create {path} and give it to the user that runs the daemon (chown)",
        )
    return info(f"{path} does not exist yet; it is created when it is first needed")

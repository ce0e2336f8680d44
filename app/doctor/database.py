"""Checks of the database: does it answer, has it the schema of this program, and the same time."""

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import Final

from app.clock import Clock
from app.doctor.finding import Notes, Verdict, failure, info, ok, warning
from app.doctor.machine import library, look_at_file_system, look_at_room, may_be_made
from app.store.engine import Database
from app.store.errors import SchemaError, StoreUnavailableError
from app.store.lock import DaemonLock
from app.store.own_files import OTHERS, files_of

_MOST_SKEW_S: Final = 5.0


async def look_at_sqlite(notes: Notes, file: Path, lock: DaemonLock) -> None:
    """Note what can be learned about an SQLite file without opening it; nothing is created."""
    notes.add("sqlite", library(sqlite3.sqlite_version_info))
    await look_at_file_system(notes, file)
    await look_at_room(notes, file)
    open_to_others = await asyncio.to_thread(_open_to_others, file)
    if open_to_others:
        notes.add("permissions", _permissions(open_to_others))
    try:
        is_held = await asyncio.to_thread(lock.is_held)
    except StoreUnavailableError as error:
        told, _, mend = str(error).rpartition(": ")
        notes.add("daemon", failure(told, mend.rstrip(".")))
        return
    notes.add("daemon", info("a daemon is running" if is_held else "no daemon is running"))


def _open_to_others(file: Path) -> list[Path]:
    """The files of a database that other users may read or write."""
    return [one for one in files_of(Path(os.path.realpath(file))) if one.exists() and one.stat().st_mode & OTHERS]


def _permissions(open_to_others: list[Path]) -> Verdict:
    names = " ".join(map(str, open_to_others))
    told = f"other users may use {names}, and a database holds parameters and links"
    return warning(told, f"as the owner: chmod 600 {names}")


async def look_at_missing_file(notes: Notes, file: Path) -> None:
    """Note whether an SQLite file that does not exist yet can be created."""
    notes.add("database", await asyncio.to_thread(may_be_made, file))


async def look_at_database(notes: Notes, database: Database, clock: Clock) -> None:
    """Note whether the database can be used."""
    try:
        await database.check_schema()
    except SchemaError as error:
        told, _, mend = str(error).rpartition(": ")
        notes.add("database", failure(told, mend.rstrip(".")))
        return
    except StoreUnavailableError as error:
        mend = f"see that {database.name} is up, that this user may use it, and that database.url is right"
        notes.add("database", failure(str(error).rstrip("."), mend))
        return
    notes.add("database", ok(f"{database.name} is at revision {await database.schema_version()}"))
    if not database.exclusive:
        before = clock.now()
        theirs = await database.now()
        notes.add("database clock", skew(theirs - (before + clock.now()) / 2))


def skew(seconds: float) -> Verdict:
    """Whether the difference of a database's clock from this machine's is acceptable."""
    if abs(seconds) <= _MOST_SKEW_S:
        return ok(f"{abs(seconds):.1f} s from this machine's")
    told = f"{abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} this machine's"
    return warning(told, "let both machines set their clocks by NTP")

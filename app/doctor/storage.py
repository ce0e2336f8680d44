"""Checks of the storage: a trial write that leaves nothing behind."""

import asyncio
from contextlib import suppress
from pathlib import Path

from app.doctor.finding import Notes, failure, ok
from app.doctor.machine import look_at_room, may_be_made
from app.storage.base import Storage, StorageError, StorageFullError


async def look_at_folder(notes: Notes, storage: Storage, root: Path) -> None:
    """Note how much space is free in the storage folder, and whether a small file can be written there."""
    await look_at_room(notes, root)
    if not await asyncio.to_thread(root.exists):
        # Not created here: the doctor may run as another user than the daemon.
        notes.add("storage", await asyncio.to_thread(may_be_made, root))
        return
    if not await asyncio.to_thread(root.is_dir):
        notes.add(
            "storage",
            failure(f"{root} is a file, not a folder", "name a folder as storage.root, or move that file away"),
        )
        return
    partial = root / ".partial"
    had_partial = await asyncio.to_thread(partial.exists)
    await look_at_storage(notes, storage, str(root), f"give {root} to the user that runs the daemon (chown)")
    if not had_partial:
        await asyncio.to_thread(_remove_empty, partial)


async def look_at_storage(notes: Notes, storage: Storage, place: str, mend: str) -> None:
    """Note whether a small file can be written, synced and deleted.

    Args:
        notes: take the results.
        storage: what is checked.
        place: its name.
        mend: how to repair it if it does not work.
    """
    try:
        await storage.check()
    except StorageFullError as error:
        notes.add("storage", failure(_told(error), "free some space, or raise the quota"))
    except StorageError as error:
        notes.add("storage", failure(_told(error), mend))
    else:
        notes.add("storage", ok(f"a file was written to {place}, synced and deleted"))


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # it was not created, or a daemon uses it by now
        folder.rmdir()


def _told(error: StorageError) -> str:
    return str(error).rstrip(".")

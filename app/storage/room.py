"""The free space of a folder's disk."""

import asyncio
import shutil
from pathlib import Path


class Room:
    """Reads the free space in a thread, because the disk may hang; at most one thread at a time does this.

    Args:
        folder: the folder; ``None`` if files do not go to a folder.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._asked: asyncio.Future[int] | None = None

    async def __call__(self) -> int | None:
        """The free bytes; ``None`` if there is no folder. Raises ``OSError`` if the disk does not answer."""
        if self._folder is None:
            return None
        if self._asked is None or self._asked.done():
            self._asked = asyncio.get_running_loop().run_in_executor(None, _free_bytes, self._folder)
        return await asyncio.shield(self._asked)


def _free_bytes(folder: Path) -> int:
    # The folder is created when the first file lands; until then the folder above it counts.
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(there).free

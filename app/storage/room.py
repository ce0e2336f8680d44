"""How much room a folder's disk has left."""

import asyncio
import shutil
from pathlib import Path


class Room:
    """Asks the disk, in a thread because it may hang; while it does nobody asks again, so it costs one thread at most.

    Args:
        folder: where; ``None`` where files go elsewhere.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._asked: asyncio.Future[int] | None = None

    async def __call__(self) -> int | None:
        """The free bytes; ``None`` where there is no folder. Raises ``OSError`` where the disk says nothing."""
        if self._folder is None:
            return None
        if self._asked is None or self._asked.done():
            self._asked = asyncio.get_running_loop().run_in_executor(None, _free_bytes, self._folder)
        return await asyncio.shield(self._asked)


def _free_bytes(folder: Path) -> int:
    # It is made when the first file lands; until then it is where it will be made.
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(there).free

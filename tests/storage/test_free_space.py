"""How much room a folder has: asked of the real disk, in a thread, by one at a time."""

import asyncio
import shutil
from pathlib import Path

from tidewaiter.storage.open_storage import FreeSpace


async def test_the_room_of_a_folder(tmp_path: Path) -> None:
    """The disk's own number, also for a folder that the first file will make."""
    free = shutil.disk_usage(tmp_path).free
    for folder in (tmp_path, tmp_path / "not" / "yet"):
        found = await FreeSpace(folder)()
        assert found is not None
        assert abs(found - free) < 2**30


async def test_a_bucket_has_no_disk() -> None:
    """Nothing is asked where files go elsewhere."""
    assert await FreeSpace(None)() is None


async def test_many_ask_at_once(tmp_path: Path) -> None:
    """Each gets an answer, and whoever gives up waiting takes nobody's answer away."""
    room = FreeSpace(tmp_path)
    impatient = asyncio.ensure_future(room())
    await asyncio.sleep(0)
    patient = [asyncio.ensure_future(room()) for _ in range(5)]
    await asyncio.sleep(0)
    impatient.cancel()
    assert all(await asyncio.gather(*patient))
    assert impatient.cancelled()

"""Writing a manifest: at once, or piece by piece if it lists many files."""

import asyncio
from collections.abc import Iterator
from functools import partial

from tidewaiter.storage.base import Storage

_NUMBER = 0  # of a part; the files of the job have landed


async def write_manifest(storage: Storage, key: str, job_id: int, pieces: Iterator[bytes], *, is_long: bool) -> None:
    """Write a manifest, which appears whole or not at all.

    Args:
        storage: gets it.
        key: its name.
        job_id: whose manifest it is.
        pieces: the document.
        is_long: whether each piece is rendered in a thread, when the one before it is written.

    Raises:
        StorageError: it could not be written.
    """
    if not is_long:
        await storage.put(key, b"".join(pieces))
        return
    async with await storage.open(key, job_id, _NUMBER, identity=key) as landing:
        if landing.offset:
            await landing.restart()
        while piece := await asyncio.to_thread(partial(next, pieces, b"")):
            await landing.write(piece)
        await landing.finish()

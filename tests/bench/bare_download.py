"""The reference for one large file: ``python -m tests.bench.bare_download URL FILE`` downloads, hashes, syncs, renames.

As it is written by hand: no checkpoint, no validator, no limit, no database. It prints the SHA-256.
"""

import asyncio
import hashlib
import os
import sys
from pathlib import Path

from aiohttp import ClientSession

_PIECE_BYTES = 2**20


async def _download(url: str, target: Path) -> str:
    digest, part = hashlib.sha256(), target.with_suffix(".part")
    with part.open("wb", buffering=0) as file:
        async with ClientSession(read_bufsize=2**18) as session, session.get(url) as reply:
            async for piece in reply.content.iter_chunked(_PIECE_BYTES):
                digest.update(piece)
                file.write(piece)
        os.fsync(file.fileno())
    part.replace(target)
    return digest.hexdigest()


if __name__ == "__main__":
    print(asyncio.run(_download(sys.argv[1], Path(sys.argv[2]))))

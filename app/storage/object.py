"""Storage in a bucket: whole objects under their keys, on S3 and compatible stores, Google Cloud and Azure."""

import hashlib
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial

from app.storage.base import Landed
from app.storage.bucket import Bucket, Standing
from app.storage.keys import parts_of
from app.storage.object_landing import ObjectLanding
from app.storage.tally import Tally
from app.storage.threads import Run

_PROBE = bytes(64 * 1024)
_PROBE_KEY = ".partial/probe"


class ObjectContent:
    """A landed object; see :class:`app.storage.base.Content`. Each piece is a part of exactly this object."""

    def __init__(self, bucket: Bucket, key: str, stands: Standing) -> None:
        self.size = stands.size
        self._bucket = bucket
        self._key = key
        self._stands = stands

    def pieces(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes of a range, a part at a time."""
        return self._bucket.pieces(self._key, self._stands, start, stop)


class ObjectStorage:
    """Objects below a bucket's prefix. See :class:`app.storage.base.Storage`.

    An object appears under its key whole or not at all, without a temporary object. An interrupted download starts
    again, because obstore cannot continue an earlier upload.

    Args:
        bucket: the bucket.
        run: runs the hashing, see :class:`app.storage.threads.StorageThreads`.
    """

    def __init__(self, bucket: Bucket, run: Run) -> None:
        self._bucket = bucket
        self._run = run

    async def open(self, key: str, job_id: int, number: int, *, md5: bool = False, identity: str = "") -> ObjectLanding:  # noqa: ARG002  # no unfinished object has a name
        """Begin to land a file, in place of the present object under its key, and of no later one."""
        parts_of(key)
        return ObjectLanding(self._bucket, key, await self._bucket.look(key), self._run, md5=md5)

    async def put(self, key: str, content: bytes) -> Landed:
        """Land a small file as a whole; replaces a file with that name."""
        parts_of(key)
        landed = Landed(len(content), hashlib.sha256(content).hexdigest())
        await self._bucket.land(key, content, landed, await self._bucket.look(key))
        return landed

    async def copy(self, source: str, key: str) -> Landed:
        """Land a copy of a landed file under another key: read and written again, with a checksum of its own."""
        async with await self.open(key, 0, 0) as landing:
            async for piece in self._bucket.read(source):
                await landing.write(piece)
            return await landing.finish()

    async def find(self, key: str) -> int | None:
        """The size of a landed file in bytes, ``None`` if there is none."""
        parts_of(key)
        stands = await self._bucket.look(key)
        return None if stands is None else stands.size

    @asynccontextmanager
    async def reading(self, key: str) -> AsyncIterator[ObjectContent | None]:
        """Open a landed file for reading."""
        parts_of(key)
        stands = await self._bucket.look(key)
        yield None if stands is None else ObjectContent(self._bucket, key, stands)

    async def measure(self, key: str) -> Landed | None:
        """A landed object's present size and checksum: read again, part by part."""
        parts_of(key)
        stands = await self._bucket.look(key)
        if stands is None:
            return None
        tally = Tally(md5=False)
        async for piece in self._bucket.pieces(key, stands, 0, stands.size):
            await self._run(partial(tally.take, piece))
        return tally.landed

    async def list(self, folder: str) -> Sequence[str]:
        """The keys of the objects of a folder."""
        parts_of(folder)
        return await self._bucket.keys_in(folder)

    async def remove(self, key: str) -> None:
        """Remove an object."""
        parts_of(key)
        await self._bucket.remove(key)

    async def drop_partials(self, job_id: int) -> None:
        """Do nothing: no unfinished file is kept for a later opening."""

    async def sweep(self, older_than: float, keep: Collection[int]) -> int:  # noqa: ARG002  # see the docstring
        """Remove nothing: a killed daemon leaves unfinished uploads, which obstore cannot list.

        A lifecycle rule of the bucket removes them; ``docs/storage.md`` shows one.
        """
        return 0

    async def check(self) -> None:
        """Write and remove a small object; returning means that the storage works."""
        await self._bucket.probe(_PROBE_KEY, _PROBE)

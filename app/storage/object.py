"""Storage in a bucket: whole objects under their keys, on S3 and what speaks like it, Google Cloud and Azure."""

import hashlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from app.storage.base import Landed
from app.storage.bucket import Bucket, Standing
from app.storage.keys import parts_of
from app.storage.object_landing import ObjectLanding
from app.storage.threads import Run

_PROBE = bytes(64 * 1024)
_PROBE_KEY = ".partial/probe"


class ObjectContent:
    """A landed object; see :class:`app.storage.base.Content`. Each piece is asked for as a part of this very object."""

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

    An object appears under its key whole or not at all, and nothing stands beside it meanwhile. A download that breaks
    off starts over: an upload's parts cannot be gone back to through obstore.

    Args:
        bucket: the bucket.
        run: runs the hashing, see :class:`app.storage.threads.StorageThreads`.
    """

    def __init__(self, bucket: Bucket, run: Run) -> None:
        self._bucket = bucket
        self._run = run

    async def open(self, key: str, job_id: int, number: int, *, md5: bool = False, identity: str = "") -> ObjectLanding:  # noqa: ARG002  # no object is named by its job before it has landed
        """Begin to land a file, in place of what stands under its key now and of nothing that comes later."""
        parts_of(key)
        return ObjectLanding(self._bucket, key, await self._bucket.look(key), self._run, md5=md5)

    async def put(self, key: str, content: bytes) -> Landed:
        """Land a small file whole, replacing one of that name."""
        parts_of(key)
        landed = Landed(len(content), hashlib.sha256(content).hexdigest())
        await self._bucket.land(key, content, landed, await self._bucket.look(key))
        return landed

    async def copy(self, source: str, key: str) -> Landed:
        """Land a copy of a landed file under another key: read and written again, so that its checksum is its own."""
        async with await self.open(key, 0, 0) as landing:
            async for piece in self._bucket.read(source):
                await landing.write(piece)
            return await landing.finish()

    async def find(self, key: str) -> int | None:
        """The size of a landed file in bytes, ``None`` where there is none."""
        parts_of(key)
        stands = await self._bucket.look(key)
        return None if stands is None else stands.size

    @asynccontextmanager
    async def reading(self, key: str) -> AsyncIterator[ObjectContent | None]:
        """Open a landed file for reading."""
        parts_of(key)
        stands = await self._bucket.look(key)
        yield None if stands is None else ObjectContent(self._bucket, key, stands)

    async def drop_partials(self, job_id: int) -> None:
        """Nothing that was begun is kept for a later opening."""

    async def sweep(self, older_than: float, keep: Collection[int]) -> int:  # noqa: ARG002  # see the docstring
        """Remove nothing: what a killed daemon leaves are uploads without an end, which obstore cannot list.

        A lifecycle rule of the bucket removes them; ``docs/storage.md`` shows one.
        """
        return 0

    async def check(self) -> None:
        """Write and remove a small object; returning means that the storage works."""
        await self._bucket.probe(_PROBE_KEY, _PROBE)

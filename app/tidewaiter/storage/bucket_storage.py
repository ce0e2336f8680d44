"""Storage in a bucket: whole objects under their keys, on S3 and compatible stores, Google Cloud and Azure."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any

from tidewaiter.storage.base import (
    ChecksumError,
    ContentHash,
    Landed,
    LandingContext,
    LandingGroup,
    LandingsByThemselves,
    RunInThread,
    StorageError,
)
from tidewaiter.storage.bucket import MOST_PARTS, PART_BYTES, Bucket, ObjectVersion, Upload
from tidewaiter.storage.safe_paths import parts_of

_PROBE = bytes(64 * 1024)
_PROBE_KEY = ".partial/probe"


class ObjectLanding(LandingContext):
    """A download in progress; see :class:`tidewaiter.storage.base.Landing`.

    While one part is hashed and sent, the next one fills: about five parts are in memory at most. A file of a single
    part is uploaded in one request, on the condition that the key has not changed. A larger file is uploaded in parts,
    which become an object when they are completed.

    ``offset`` is always 0: an interrupted download starts again.
    """

    offset = 0
    validator: str | None = None
    total: int | None = None

    def __init__(self, bucket: Bucket, key: str, over: ObjectVersion | None, run: RunInThread, *, md5: bool) -> None:
        self._bucket = bucket
        self._key = key
        self._over = over
        self._run = run
        self._with_md5 = md5
        self._ended = False
        self._running: asyncio.Future[Any] | None = None
        self._begin()

    def _begin(self) -> None:
        self._hash = ContentHash(md5=self._with_md5)
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._first: bytes | None = None
        self._upload: Upload | None = None

    def comes_from(self, validator: str | None, total: int | None) -> None:
        """Do nothing: no beginning is kept."""

    async def write(self, chunk: bytes) -> None:
        """Write the next bytes of the file."""
        self._pieces.append(chunk)
        self._waiting_bytes += len(chunk)
        if self._waiting_bytes >= PART_BYTES:
            await self._hand_over()

    async def restart(self) -> None:
        """Drop all bytes."""
        self._pieces = []
        with suppress(StorageError):
            await self._settle()
        await self._drop()
        self._begin()
        self._ended = False

    async def checkpoint(self, validator: str | None, total: int | None = None) -> bool:  # noqa: ARG002  # nothing can be kept, proof or not
        """End, and keep nothing: the file starts again."""
        await self.discard()
        return False

    async def finish(self, *, sha256: str | None = None, size: int | None = None, md5: str | None = None) -> Landed:
        """Verify the file and publish it under its key."""
        if self._pieces:
            await self._hand_over()
        await self._settle()
        try:
            self._hash.verify(sha256=sha256, size=size, md5=md5)
        except ChecksumError:
            await self.discard()
            raise
        self._running = asyncio.ensure_future(self._publish())
        await self._settle()
        self._ended = True
        return self._hash.landed

    async def discard(self) -> None:
        """End, and keep nothing; does nothing if the landing has ended."""
        self._pieces = []
        with suppress(StorageError):
            await self._settle()
        if not self._ended:
            await self._drop()

    async def _hand_over(self) -> None:
        await self._settle()
        pieces, self._pieces = self._pieces, []
        self._waiting_bytes = 0
        self._running = asyncio.ensure_future(self._send(pieces))

    async def _send(self, pieces: Sequence[bytes]) -> None:
        """Hash and send the received bytes; the first part is held until a second one exists."""
        content = await self._run(partial(_joined, pieces, self._hash))
        if self._hash.size > MOST_PARTS * PART_BYTES:
            raise StorageError(f"Could not write {self._key}: it is larger than {MOST_PARTS} parts of an object.")
        if self._upload is not None:
            await self._upload.write(content)
        elif self._first is None:
            self._first = content
        else:
            first, self._first = self._first, None
            self._upload = self._bucket.upload(self._key)
            await self._upload.write(first)
            await self._upload.write(content)

    async def _publish(self) -> None:
        landed = self._hash.landed
        if self._upload is None:
            await self._bucket.land(self._key, self._first or b"", landed, self._over)
        else:
            upload, self._upload = self._upload, None
            await self._bucket.land_upload(self._key, upload, landed, self._over)

    async def _settle(self) -> None:
        """Wait for the work under way; there is one request or group of parts at a time."""
        if self._running is None:
            return
        try:
            await asyncio.shield(self._running)
        except asyncio.CancelledError:
            self._running.add_done_callback(_read_result)
            raise
        except StorageError:
            self._running = None
            await self._drop()
            raise
        self._running = None

    async def _drop(self) -> None:
        self._ended = True
        self._first = None
        upload, self._upload = self._upload, None
        if upload is not None:
            self._running = asyncio.ensure_future(upload.abort())
            await asyncio.shield(self._running)
            self._running = None


def _read_result(running: asyncio.Future[Any]) -> None:
    """Read the result of work for which nothing may wait any more, so that no warning is logged."""
    if not running.cancelled():
        running.exception()


def _joined(pieces: Sequence[bytes], content_hash: ContentHash) -> bytes:
    for piece in pieces:
        content_hash.update(piece)
    return b"".join(pieces)


class ObjectContent:
    """A landed object; see :class:`tidewaiter.storage.base.Content`. Each piece is a part of exactly this object."""

    def __init__(self, bucket: Bucket, key: str, version: ObjectVersion) -> None:
        self.size = version.size
        self._bucket = bucket
        self._key = key
        self._version = version

    def pieces(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes of a range, a part at a time."""
        return self._bucket.pieces(self._key, self._version, start, stop)


class ObjectStorage:
    """Objects below a bucket's prefix. See :class:`tidewaiter.storage.base.Storage`.

    An object appears under its key whole or not at all, without a temporary object. An interrupted download starts
    again, because obstore cannot continue an earlier upload.

    Args:
        bucket: the bucket.
        run: runs the hashing, see :class:`tidewaiter.storage.base.StorageThreads`.
    """

    def __init__(self, bucket: Bucket, run: RunInThread) -> None:
        self._bucket = bucket
        self._run = run

    async def open(self, key: str, job_id: int, number: int, *, md5: bool = False, identity: str = "") -> ObjectLanding:  # noqa: ARG002  # no unfinished object has a name
        """Begin to land a file, in place of the present object under its key, and of no later one."""
        parts_of(key)
        return ObjectLanding(self._bucket, key, await self._bucket.find(key), self._run, md5=md5)

    def group(self, job_id: int, files: int) -> AbstractAsyncContextManager[LandingGroup]:  # noqa: ARG002  # an object costs the same beside others
        """Land objects by themselves: each is durable when its upload is complete."""
        return LandingsByThemselves(partial(self.open, job_id=job_id))

    async def put(self, key: str, content: bytes) -> Landed:
        """Land a small file as a whole; replaces a file with that name."""
        parts_of(key)
        landed = Landed(len(content), hashlib.sha256(content).hexdigest())
        await self._bucket.land(key, content, landed, await self._bucket.find(key))
        return landed

    async def copy(self, source: str, key: str) -> Landed:
        """Land a copy of a landed file under another key: read and written again, with a newly computed checksum."""
        async with await self.open(key, 0, 0) as landing:
            async for piece in self._bucket.read(source):
                await landing.write(piece)
            return await landing.finish()

    async def find(self, key: str) -> int | None:
        """The size of a landed file in bytes, ``None`` if there is none."""
        parts_of(key)
        current = await self._bucket.find(key)
        return None if current is None else current.size

    @asynccontextmanager
    async def reading(self, key: str) -> AsyncIterator[ObjectContent | None]:
        """Open a landed file for reading."""
        parts_of(key)
        current = await self._bucket.find(key)
        yield None if current is None else ObjectContent(self._bucket, key, current)

    async def measure(self, key: str) -> Landed | None:
        """A landed object's present size and checksum: read again, part by part."""
        parts_of(key)
        current = await self._bucket.find(key)
        if current is None:
            return None
        content_hash = ContentHash(md5=False)
        async for piece in self._bucket.pieces(key, current, 0, current.size):
            await self._run(partial(content_hash.update, piece))
        return content_hash.landed

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

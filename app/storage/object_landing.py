"""One landing in a bucket: the file is hashed as it arrives, sent in parts, and published whole or not at all."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from app.storage.base import ChecksumError, Landed, LandingContext, StorageError
from app.storage.bucket import MOST_PARTS, PART_BYTES, Bucket, Standing, Upload
from app.storage.tally import Tally
from app.storage.threads import Run


class ObjectLanding(LandingContext):
    """A download in progress; see :class:`app.storage.base.Landing`.

    While one part is hashed and sent, the next one fills: about five parts are in memory at most. A file of a single
    part is uploaded in one request, on the condition that the key has not changed. A larger file is uploaded in parts,
    which become an object when they are completed.

    ``offset`` is always 0: an interrupted download starts again.
    """

    offset = 0
    validator: str | None = None
    total: int | None = None

    def __init__(self, bucket: Bucket, key: str, over: Standing | None, run: Run, *, md5: bool) -> None:
        self._bucket = bucket
        self._key = key
        self._over = over
        self._run = run
        self._with_md5 = md5
        self._ended = False
        self._running: asyncio.Future[Any] | None = None
        self._begin()

    def _begin(self) -> None:
        self._tally = Tally(md5=self._with_md5)
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._first: bytes | None = None
        self._upload: Upload | None = None

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
            self._tally.verify(sha256=sha256, size=size, md5=md5)
        except ChecksumError:
            await self.discard()
            raise
        self._running = asyncio.ensure_future(self._publish())
        await self._settle()
        self._ended = True
        return self._tally.landed

    async def discard(self) -> None:
        """End, and keep nothing; does nothing where the landing has ended."""
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
        content = await self._run(partial(_joined, pieces, self._tally))
        if self._tally.size > MOST_PARTS * PART_BYTES:
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
        landed = self._tally.landed
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
            self._running.add_done_callback(_heard)
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


def _heard(running: asyncio.Future[Any]) -> None:
    """Read the result of work for which nothing may wait any more, so that no warning is logged."""
    if not running.cancelled():
        running.exception()


def _joined(pieces: Sequence[bytes], tally: Tally) -> bytes:
    for piece in pieces:
        tally.take(piece)
    return b"".join(pieces)

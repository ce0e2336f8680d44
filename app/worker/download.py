"""Downloading one file: whole, checked against what was announced, or not at all."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from app.clock import Clock
from app.domain import outcome as o
from app.domain.job import Job
from app.domain.wire import Link, WireReply, WireRequest
from app.providers.interpreter import BoundOperation
from app.storage.base import ChecksumError, Landed, Landing, Storage, StorageError, StorageUnavailableError
from app.transport.client import StreamReply
from app.transport.errors import BrokenBodyError, LostReplyError, NotSentError, RedirectRefusedError, TlsError
from app.worker.packed import BombError, Packed, UnpackError, packed_as
from app.worker.session import SignedClient

_HEAD_BYTES = 4096
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that has landed, what its media type is, and at which byte the last request began."""

    landed: Landed
    media_type: str | None
    resumed_from: int


class Downloader:
    """Downloads one file at a time into storage.

    Args:
        storage: where files land.
        clock: the time.
        largest_bytes: a file that grows beyond this is given up: an endless body must end somewhere.
    """

    def __init__(self, storage: Storage, clock: Clock, largest_bytes: int) -> None:
        self._storage = storage
        self._clock = clock
        self._largest_bytes = largest_bytes

    async def download(
        self, job: Job, operation: BoundOperation, client: SignedClient, link: Link, *, key: str, number: int
    ) -> Downloaded | o.Outcome:
        """Land one file; whatever goes wrong is an outcome.

        Args:
            job: the job whose file it is.
            operation: reads the head of the reply.
            client: the way to the file.
            link: the file.
            key: its final name.
            number: which of the job's files.
        """
        try:
            landing = await self._storage.open(key, job.id, number, md5=link.md5 is not None)
            resumed_from = landing.offset
            landed = await self._download(job, operation, client, link, landing)
        except StorageError as error:
            return storage_failure(error)
        except (
            NotSentError, LostReplyError, BrokenBodyError, RedirectRefusedError, TlsError, UnpackError
        ) as error:  # fmt: skip
            return o.Retry(str(error))
        except BombError as error:
            return o.Refused(str(error))
        if not isinstance(landed, tuple):
            return landed
        stored, media_type = landed
        return Downloaded(stored, media_type, resumed_from)

    async def _download(
        self, job: Job, operation: BoundOperation, client: SignedClient, link: Link, landing: Landing
    ) -> tuple[Landed, str | None] | o.Outcome:
        """Stream one file into its landing, going on where an earlier try stopped if the file is still the same."""
        headers = {"Accept-Encoding": "identity"}
        if landing.offset and landing.validator:
            headers |= {"Range": f"bytes={landing.offset}-", "If-Range": landing.validator}
        validator = landing.validator
        try:
            async with client.stream(WireRequest("GET", link.url, headers), send_auth=link.send_auth) as reply:
                if reply.status == 416:
                    await landing.restart()
                    return o.Retry("the file is shorter than what an earlier download left of it; starting over")
                body = reply.chunks()
                told, first = await self._told(job, operation, link, reply, body)
                if told is not None:
                    await landing.checkpoint(validator)
                    return told
                packed = self._packed(link, reply)
                if landing.offset and (packed is not None or not _continues(reply, landing)):
                    await landing.restart()
                if packed is not None and reply.status == 206:
                    return o.Retry("the rest of a file came packed; starting over")
                # What has been unpacked cannot be gone on with: a range counts the packed bytes.
                validator = _strong_etag(reply) if packed is None else None
                expected = await self._receive(reply, first, body, landing, packed)
                media_type = link.media_type or reply.headers.get("content-type") or operation.media_type
        except StorageError:
            await landing.discard()
            raise
        except BaseException:  # a drain and a lost lease cancel: what has come stays for the next try
            await landing.checkpoint(validator)
            raise
        try:
            if link.gzip and packed is not None:
                packed.verify(link)
                return await landing.finish(), link.media_type or operation.media_type
            stored = await landing.finish(sha256=link.sha256, size=link.size or expected, md5=link.md5)
        except ChecksumError as error:
            await landing.discard()
            return o.Retry(str(error))
        return stored, media_type

    def _packed(self, link: Link, reply: StreamReply) -> Packed | None:
        """What unpacks the body: the file is packed, or the server packed it though it was asked not to."""
        return packed_as("gzip" if link.gzip else reply.headers.get("content-encoding"), self._largest_bytes)

    async def _told(
        self, job: Job, operation: BoundOperation, link: Link, reply: StreamReply, body: AsyncIterator[bytes]
    ) -> tuple[o.Outcome | None, bytes]:
        """What a file reply says other than: here it is; and the first bytes that were read of it to know."""
        first = await anext(body, b"")
        head = WireReply(reply.status, reply.headers, first[:_HEAD_BYTES], reply.url, phrase=reply.phrase)
        told = operation.read_file(job, link, head, self._clock.now())
        encoding = reply.headers.get("content-encoding", "identity")
        if told is None and encoding not in ("identity", "") and self._packed(link, reply) is None:
            return o.Retry(f"the file came as {encoding} though it was asked for as it is"), first
        return told, first

    async def _receive(
        self,
        reply: StreamReply,
        first: bytes,
        body: AsyncIterator[bytes],
        landing: Landing,
        packed: Packed | None,
    ) -> int | None:
        """Write the body; returns the size that the whole file must have, where the server tells."""
        length = reply.headers.get("content-length")
        expected = landing.offset + int(length) if length is not None and length.isdigit() else None
        received = landing.offset + len(first)
        await _write(first, landing, packed)
        async for chunk in body:
            received += len(chunk)
            if received > self._largest_bytes:
                raise BrokenBodyError(f"the file is larger than {self._largest_bytes} bytes")
            await _write(chunk, landing, packed)
        if expected is not None and received != expected:
            raise BrokenBodyError(f"the file ended after {received} of {expected} bytes")
        if packed is None:
            return expected
        packed.finish()
        return None


def storage_failure(error: StorageError) -> o.Outcome:
    """What a storage that failed means: where it takes nothing at all for now, the job is not to blame."""
    return o.StorageFull(str(error)) if isinstance(error, StorageUnavailableError) else o.Retry(str(error))


async def _write(chunk: bytes, landing: Landing, packed: Packed | None) -> None:
    for piece in (chunk,) if packed is None else packed.feed(chunk):
        await landing.write(piece)


def _strong_etag(reply: StreamReply) -> str | None:
    """The reply's entity tag where it may be used with If-Range: strong ones only (RFC 9110, section 13.1.5)."""
    tag = reply.headers.get("etag", "")
    return tag if tag.startswith('"') and tag.endswith('"') and len(tag) > 2 else None


def _continues(reply: StreamReply, landing: Landing) -> bool:
    """Whether a reply goes on exactly where the landing stands, with the same file (RFC 9110, section 14.4)."""
    if reply.status != 206:
        return False
    found = _CONTENT_RANGE.fullmatch(reply.headers.get("content-range", ""))
    same = _strong_etag(reply) in (None, landing.validator)
    return found is not None and int(found[1]) == landing.offset and same

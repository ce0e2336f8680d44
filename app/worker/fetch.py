"""Landing a job's files: each whole or not at all, the good ones kept when another fails, the manifest last."""

import re
from collections.abc import AsyncIterator, MutableSequence, Sequence
from dataclasses import replace

from app.clock import Clock
from app.domain import outcome as o
from app.domain.job import Job
from app.domain.manifest import MANIFEST_NAME, Artifact, file_name, folder_of, render_manifest
from app.domain.wire import Link, WireReply, WireRequest
from app.providers.interpreter import BoundOperation
from app.providers.pages import PageReader
from app.storage.base import ChecksumError, Landed, Landing, Storage, StorageError, StorageUnavailableError
from app.store.jobs import Answer, JobStore
from app.transport.client import StreamReply
from app.transport.errors import BrokenBodyError, LostReplyError, NotSentError, RedirectRefusedError, TlsError
from app.worker.narrator import Narrator
from app.worker.packed import BombError, Packed, UnpackError, packed_as
from app.worker.pages import Walk
from app.worker.session import SignedClient

_HEAD_BYTES = 4096
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_LARGEST_FILE_BYTES = 1 << 40


class Fetcher:
    """Downloads links into storage.

    Args:
        storage: where files land.
        jobs: tells which files of a job have landed already.
        clock: the time.
        narrator: told of every landed file.
        largest_bytes: a file that grows beyond this is given up: an endless body must end somewhere.
    """

    def __init__(
        self,
        storage: Storage,
        jobs: JobStore,
        clock: Clock,
        narrator: Narrator,
        largest_bytes: int = _LARGEST_FILE_BYTES,
    ) -> None:
        self._storage = storage
        self._jobs = jobs
        self._clock = clock
        self._narrator = narrator
        self._largest_bytes = largest_bytes

    async def fetch(
        self,
        job: Job,
        operation: BoundOperation,
        client: SignedClient,
        links: Sequence[Link],
        landed: MutableSequence[Artifact],
    ) -> o.Outcome:
        """Land every file that has not landed yet, then the manifest.

        Args:
            job: the job whose files they are.
            operation: reads the heads of file replies.
            client: the way to the files.
            links: the files, in the provider's order.
            landed: every artifact is appended as soon as it is durable, so that a failure or an interruption keeps it.

        Returns:
            ``Stored``, or the outcome of the first file that failed.
        """
        links = [_as_it_lands(link) for link in links]
        try:
            kept = await self._kept(job, links)
        except StorageError as error:
            return _failed(error)
        failure: o.Outcome | None = None
        for number, link in enumerate(links):
            if number in kept:
                continue
            artifact = await self._fetch_one(job, operation, client, link, number=number, total=len(links))
            if isinstance(artifact, Artifact):
                landed.append(artifact)
                continue
            failure = failure or artifact
            if not isinstance(artifact, o.Retry | o.LinksExpired):
                break
        if failure is not None:
            return failure
        return await self._complete(job, [*kept.values(), *landed])

    async def fetch_pages(
        self, job: Job, operation: BoundOperation, pages: PageReader, walk: Walk, landed: MutableSequence[Artifact]
    ) -> o.Outcome:
        """Land the pages of a list as one file, then the manifest; the arguments and the rest are as for `fetch`."""
        link = Link("", pages.label, media_type=pages.media_type)
        try:
            kept = await self._kept(job, (link,))
        except StorageError as error:
            return _failed(error)
        if not kept:
            artifact = await self._join(job, operation, pages, walk, link)
            if not isinstance(artifact, Artifact):
                return artifact
            landed.append(artifact)
        return await self._complete(job, [*kept.values(), *landed])

    async def _join(
        self, job: Job, operation: BoundOperation, pages: PageReader, walk: Walk, link: Link
    ) -> Artifact | o.Outcome:
        key = self._key(job, operation, link, 0, 1)
        try:
            landing = await self._storage.open(key, job.id, 0)
            try:
                if landing.offset:
                    await landing.restart()
                count = await walk.land(pages, landing, self._largest_bytes)
                if not isinstance(count, int):
                    return count
                stored = await landing.finish()
            finally:
                await landing.discard()
        except StorageError as error:
            return _failed(error)
        artifact = self._artifact(replace(link, count=count), 0, key, stored, link.media_type)
        self._narrator.landed(job, artifact, 0)
        return artifact

    async def land_reply(self, job: Job, operation: BoundOperation, inline: o.Inline, reply: WireReply) -> o.Outcome:
        """Land a file that came as the body of the reply just read."""
        link = Link(reply.url, inline.label, media_type=inline.media_type)
        key = self._key(job, operation, link, 0, 1)
        try:
            stored = await self._storage.put(key, reply.body if inline.content is None else inline.content)
            artifact = self._artifact(link, 0, key, stored, inline.media_type or operation.media_type)
            self._narrator.landed(job, artifact, 0)
            return await self._complete(job, [artifact], inline.status)
        except StorageError as error:
            return _failed(error)

    async def land_nothing(self, job: Job, empty: o.Empty) -> o.Outcome:
        """Write the manifest of a job that has no files."""
        return await self._complete(job, (), empty.status)

    async def copy(self, job: Job, answer: Answer) -> o.Outcome:
        """Land a copy of every file of another job's answer; ``Retry`` where they are no longer what they were."""
        folder = folder_of(job.account, job.operation, job.created_at, job.id)
        copies: list[Artifact] = []
        try:
            for one in answer.artifacts:
                key = f"{folder}/{one.name}"
                stored = await self._storage.copy(one.key, key)
                if stored.sha256 != one.sha256:
                    return o.Retry(f"the files of job {answer.job_id}, whose answer this is, have changed")
                copies.append(replace(one, key=key, landed_at=self._clock.now()))
                self._narrator.landed(job, copies[-1], 0)
        except StorageError as error:
            return _failed(error)
        outcome = await self._complete(job, copies)
        return replace(outcome, shared_from=answer.job_id) if isinstance(outcome, o.Stored) else outcome

    async def _kept(self, job: Job, links: Sequence[Link]) -> dict[int, Artifact]:
        """The artifacts of an earlier download that are still there, by number."""
        recorded = {one.number: one for one in await self._jobs.artifacts(job.id) if one.number < len(links)}
        return {
            number: artifact
            for number, artifact in recorded.items()
            if artifact.label == links[number].label and await self._storage.find(artifact.key) == artifact.size
        }

    async def _complete(self, job: Job, artifacts: Sequence[Artifact], status: str | None = None) -> o.Outcome:
        """Write the manifest, which says that everything is there; ``status`` is the provider's word, if just read."""
        document = render_manifest(
            job_id=job.id,
            account=job.account,
            operation=job.operation,
            handle=job.handle,
            status=status or job.remote_status,
            artifacts=artifacts,
            finished_at=self._clock.now(),
        )
        folder = folder_of(job.account, job.operation, job.created_at, job.id)
        try:
            await self._storage.put(f"{folder}/{MANIFEST_NAME}", document)
        except StorageError as error:
            return _failed(error)
        return o.Stored(tuple(sorted(artifacts, key=lambda one: one.number)), status)

    async def _fetch_one(
        self, job: Job, operation: BoundOperation, client: SignedClient, link: Link, *, number: int, total: int
    ) -> Artifact | o.Outcome:
        """Land one file; whatever goes wrong is an outcome."""
        key = self._key(job, operation, link, number, total)
        try:
            landing = await self._storage.open(key, job.id, number, md5=link.md5 is not None)
            resumed_from = landing.offset
            landed = await self._download(job, operation, client, link, landing)
        except StorageError as error:
            return _failed(error)
        except (
            NotSentError, LostReplyError, BrokenBodyError, RedirectRefusedError, TlsError, UnpackError
        ) as error:  # fmt: skip
            return o.Retry(str(error))
        except BombError as error:
            return o.Refused(str(error))
        if not isinstance(landed, tuple):
            return landed
        stored, media_type = landed
        artifact = self._artifact(link, number, key, stored, media_type)
        self._narrator.landed(job, artifact, resumed_from)
        return artifact

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

    def _key(self, job: Job, operation: BoundOperation, link: Link, number: int, total: int) -> str:
        folder = folder_of(job.account, job.operation, job.created_at, job.id)
        name = file_name(link.label, number, total, link.media_type or operation.media_type, job.operation)
        return f"{folder}/{name}"

    def _artifact(self, link: Link, number: int, key: str, stored: Landed, media_type: str | None) -> Artifact:
        return Artifact(
            number=number,
            name=key.rsplit("/", 1)[-1],
            label=link.label,
            key=key,
            size=stored.size,
            sha256=stored.sha256,
            media_type=media_type or "application/octet-stream",
            landed_at=self._clock.now(),
            count=link.count,
        )


def _failed(error: StorageError) -> o.Outcome:
    """What a storage that failed means: where it takes nothing at all for now, the job is not to blame."""
    return o.StorageFull(str(error)) if isinstance(error, StorageUnavailableError) else o.Retry(str(error))


async def _write(chunk: bytes, landing: Landing, packed: Packed | None) -> None:
    for piece in (chunk,) if packed is None else packed.feed(chunk):
        await landing.write(piece)


def _as_it_lands(link: Link) -> Link:
    """A link whose label names the file that lands, which is the unpacked one."""
    return replace(link, label=re.sub(r"(?i)\.gz(ip)?$", "", link.label)) if link.gzip else link


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

"""Downloading one file: whole, checked against what was announced, or not at all.

Its bytes come from requests of its own, or from the reply that a poll or a submit has just brought. What a reply means
is decided by :mod:`tidewaiter.providers.results.download_replies`; here its decisions are carried out.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from tidewaiter.clock import Clock
from tidewaiter.domain import outcome as o
from tidewaiter.domain.file_identity import part_number
from tidewaiter.domain.http_values import Link, WireReply, WireRequest
from tidewaiter.domain.job import Job
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.replies.reply_defaults import is_success
from tidewaiter.providers.results.download_replies import (
    SNIFFED_BYTES,
    AskAgain,
    Complete,
    DownloadRequest,
    FileBody,
    after,
    blanks_before,
    codings_to_decode,
    too_large,
)
from tidewaiter.storage.base import (
    ChecksumError,
    Landed,
    Landing,
    LandingGroup,
    Storage,
    StorageError,
    StorageUnavailableError,
)
from tidewaiter.transport.reply_bodies import BombError, ReplyBeginning, StreamReply, UnpackError
from tidewaiter.transport.wire import BrokenBodyError, LostReplyError, NotSentError, RedirectRefusedError, TlsError
from tidewaiter.worker.job_event_log import JobLog
from tidewaiter.worker.packed_file import PackedFile
from tidewaiter.worker.provider_session import ProviderSession

_WHOLE = frozenset({201, 202, 203, 207, 208, 226})
"""Statuses whose body may be the whole file, like that of 200 (RFC 9110, section 15.3)."""
_MOST_REQUESTS = 64
_MOST_BLANKS = 65_536
_PASSING = (NotSentError, LostReplyError, BrokenBodyError, RedirectRefusedError, TlsError, UnpackError)


class ReplySource(Protocol):
    """Gives a download the replies to its requests."""

    def stream(self, request: WireRequest, *, send_auth: bool) -> AbstractAsyncContextManager[StreamReply]:
        """Send ``request`` and give the reply as a stream, as :class:`ProviderSession` does."""


class FileSource:
    """Files by requests of their own.

    Args:
        session: sends the requests.
        headers: what the spec adds to every download; those of the download itself come before them.
        may_ask: called with the URL before each request to a host that is not the provider's own origin; what it
            raises comes out of ``stream``.
    """

    def __init__(self, session: ProviderSession, headers: Mapping[str, str], may_ask: Callable[[str], None]) -> None:
        self._session = session
        self._headers = headers
        self._may_ask = may_ask

    def stream(self, request: WireRequest, *, send_auth: bool) -> AbstractAsyncContextManager[StreamReply]:
        """See :class:`ReplySource`."""
        return self._session.stream(request.with_headers(self._headers), send_auth=send_auth, may_ask=self._may_ask)


class InlineSource:
    """The reply that has just come, and nothing after it.

    If the file has to be requested again, the next poll or submit does that: only its rules can distinguish the file
    from a reply about it.

    Args:
        beginning: the reply, of which only the beginning has been read.
        certain: whether a rule says that the reply is the file: then any 2xx status with a body counts as 200.
    """

    def __init__(self, beginning: ReplyBeginning, *, certain: bool = False) -> None:
        self._beginning: ReplyBeginning | None = beginning
        self._certain = certain

    def stream(self, request: WireRequest, *, send_auth: bool) -> AbstractAsyncContextManager[StreamReply]:  # noqa: ARG002  # the request has been sent already
        """The reply at hand; see :class:`ReplySource`."""
        beginning, self._beginning = self._beginning, None
        if beginning is None:
            raise LostReplyError("The reply is not the whole file, and the file is asked for anew.")
        is_whole = self._certain and beginning.stream.status in _WHOLE
        return nullcontext(replace(beginning.stream, status=200) if is_whole else beginning.stream)


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that has landed, its media type, and how many of its bytes an earlier download had left."""

    landed: Landed
    media_type: str | None
    resumed_from: int


class TooLargeError(Exception):
    """The file grows beyond the largest size that is allowed; the message is a sentence."""


class Downloader:
    """Downloads one file at a time into storage.

    Args:
        storage: where files land.
        clock: the time.
        job_log: gets a line for a link whose announced digest cannot be read.
        largest_bytes: the download of a larger file is given up: a body may be endless.
    """

    def __init__(self, storage: Storage, clock: Clock, job_log: JobLog, largest_bytes: int) -> None:
        self._storage = storage
        self._clock = clock
        self._job_log = job_log
        self._largest_bytes = largest_bytes

    def group(self, job_id: int, files: int) -> AbstractAsyncContextManager[LandingGroup]:
        """Land so many files of a job in one step; see :meth:`Storage.group`."""
        return self._storage.group(job_id, files)

    async def download(
        self,
        job: Job,
        operation: BoundOperation,
        source: ReplySource,
        link: Link,
        *,
        key: str,
        identity: str,
        group: LandingGroup | None = None,
    ) -> Downloaded | o.Outcome:
        """Land one file; every failure is an outcome.

        Args:
            job: the job whose file it is.
            operation: reads the head of the reply.
            source: sends the requests.
            link: the file.
            key: its final name.
            identity: which remote file it is; a download goes on only from a part of the same one.
            group: the landings that it is one of; without it the file is durable when it has landed.
        """
        if link.unread is not None and job.fetches <= 1:
            self._job_log.digest_unread(job, link)
        md5, number = link.md5 is not None, part_number(identity)
        try:
            opening = partial(self._storage.open, key, job.id) if group is None else partial(group.open, key)
            async with await opening(number, md5=md5, identity=identity) as landing:
                one = _Download(job, operation, source, link, landing, self._clock, self._largest_bytes)
                got = await one.run()
        except StorageError as error:
            return storage_failure(error)
        if isinstance(got, Downloaded) and got.media_type is not None:  # a server may quote what it was sent
            return replace(got, media_type=self._job_log.text_without_secrets(got.media_type))
        return got


class _Download:
    """One download of one file, which may take several requests."""

    def __init__(  # noqa: PLR0917  # built in one place
        self,
        job: Job,
        operation: BoundOperation,
        source: ReplySource,
        link: Link,
        landing: Landing,
        clock: Clock,
        largest_bytes: int,
    ) -> None:
        self._job = job
        self._operation = operation
        self._source = source
        self._link = link
        self._landing = landing
        self._clock = clock
        self._largest_bytes = min(largest_bytes, operation.bounds.largest_file_bytes)
        self._before = landing.offset
        self._resumed_from = landing.offset
        self._held = landing.offset
        self._validator = landing.validator
        self._total = landing.total

    async def run(self) -> Downloaded | o.Outcome:
        """Send requests until the file is complete, or until no more of it is available now."""
        asked = self._first_request()
        try:
            for _ in range(_MOST_REQUESTS):
                got = await self._ask(asked)
                if not isinstance(got, AskAgain):
                    return got if isinstance(got, Downloaded) else await self._end(got)
                asked = got.asked
            return await self._end(o.Retry(f"{_MOST_REQUESTS} requests brought only a part of the file"))
        except _PASSING as error:
            return await self._end(o.Retry(str(error)))
        except (BombError, TooLargeError) as error:
            return o.Refused(str(error))
        except ChecksumError as error:
            return o.Retry(str(error))
        except StorageError:
            raise
        except BaseException:  # a drain or a lost lease cancels: the part is kept for the next try
            with suppress(StorageError):
                await self._keep()
            raise

    def _first_request(self) -> DownloadRequest:
        if self._held and self._validator is not None and not self._link.gzip:
            return DownloadRequest(self._held, self._validator, self._total)
        return DownloadRequest()

    async def _ask(self, asked: DownloadRequest) -> Downloaded | AskAgain | o.Outcome:
        """Send one request, and carry out the decision about its reply."""
        link = self._link
        request = link.request(asked.headers)
        async with self._source.stream(request, send_auth=link.send_auth) as reply:
            packed = PackedFile(codings_to_decode(reply.headers), link, self._largest_bytes)
            incoming = _Incoming(reply.chunks(), packed, self._largest_bytes)
            first = await _first_bytes(reply, asked, incoming)
            head = WireReply(reply.status, reply.headers, first, reply.url, phrase=reply.phrase, foreign=not reply.own)
            decision = self._operation.read_download(
                self._job, link, asked, head, now=self._clock.now(), largest_bytes=self._largest_bytes
            )
            if isinstance(decision, Complete):
                return await self._finish(link, None)
            if isinstance(decision, FileBody):
                await self._receive(decision, incoming)
                then = after(asked, decision, incoming.received)
                if not isinstance(then, Complete):
                    return then
                return await self._finish(packed.unmatched(), reply.headers.get("content-type"))
            if isinstance(decision, AskAgain) and decision.asked.at == 0:
                await self._restart()
            return decision

    async def _receive(self, body: FileBody, incoming: "_Incoming") -> None:
        """Write a body to its end."""
        if body.at == 0:
            await self._restart()
        # An unpacked file cannot be continued: a range counts the packed bytes. Ranges are for GET alone.
        is_plain = incoming.packed.is_plain and self._link.method == "GET"
        self._validator, self._total = (body.validator, body.total) if is_plain else (None, None)
        self._landing.comes_from(self._validator, self._total)
        while (piece := await incoming.next()) is not None:
            if body.length is not None and incoming.received > body.length:
                self._validator = None
                self._landing.comes_from(None, None)
                raise BrokenBodyError(f"more came of the file than the {body.length} bytes that the reply named")
            self._held += len(piece)
            if self._held > self._largest_bytes:
                raise TooLargeError(too_large(self._largest_bytes))
            await self._landing.write(piece)

    async def _restart(self) -> None:
        if self._held:
            await self._landing.restart()
        self._held, self._resumed_from, self._validator, self._total = 0, 0, None, None

    async def _finish(self, left: Link, declared: str | None) -> Downloaded:
        """Compare the file with the size and digests in ``left``, and land it; ``declared`` is its Content-Type."""
        landed = await self._landing.finish(sha256=left.sha256, size=left.size, md5=left.md5)
        declared = None if self._link.gzip else declared
        return Downloaded(landed, self._link.media_type or declared or self._operation.media_type, self._resumed_from)

    async def _end(self, outcome: o.Outcome) -> o.Outcome:
        """End without the file; the part is kept if the rest can be requested later."""
        if isinstance(outcome, o.Refused):
            return outcome
        is_kept = await self._keep()
        if isinstance(outcome, o.Retry):
            return replace(outcome, progressed=is_kept and self._held > self._before)
        return outcome

    async def _keep(self) -> bool:
        return await self._landing.checkpoint(self._validator, self._total)


class _Incoming:
    """The body of one reply as it comes in, unpacked; ``received`` counts its bytes as they came over the wire."""

    def __init__(self, chunks: AsyncIterator[bytes], packed: PackedFile, largest_bytes: int) -> None:
        self.packed = packed
        self.received = 0
        self._chunks = chunks
        self._largest_bytes = largest_bytes
        self._first: deque[bytes] = deque()
        self._unpacked: Iterator[bytes] = iter(())
        self._has_ended = False

    async def head(self, least: int) -> bytes:
        """At least so many of the first bytes and the blanks before them, or all; :meth:`next` gives them again.

        A body that breaks off within the head is not kept: its kind is unknown.
        """
        head = bytearray()
        needed = least
        while len(head) < needed and (piece := await self._read()) is not None:
            self._first.append(piece)
            head += piece[: 2 * _MOST_BLANKS]
            if len(head) >= needed:
                needed = least + min(blanks_before(bytes(head)), _MOST_BLANKS)
        return bytes(head[:needed])

    async def next(self) -> bytes | None:
        """The next piece, ``None`` at the end; raises as the body and its unpacking do."""
        return self._first.popleft() if self._first else await self._read()

    async def _read(self) -> bytes | None:
        while True:
            for piece in self._unpacked:
                return piece
            if self._has_ended:
                return None
            chunk = await anext(self._chunks, b"")
            self.received += len(chunk)
            if self.received > self._largest_bytes:
                raise TooLargeError(too_large(self._largest_bytes))
            self._has_ended = not chunk
            self._unpacked = self.packed.feed(chunk) if chunk else self.packed.finish()


async def _first_bytes(reply: StreamReply, asked: DownloadRequest, incoming: _Incoming) -> bytes:
    """The first bytes of a body, for the decision about it."""
    if reply.status == 206 and asked.at:
        return b""  # bytes in the middle of a file say nothing about its kind; only the headers do
    if is_success(reply.status):
        return await incoming.head(SNIFFED_BYTES)
    try:
        return await incoming.head(SNIFFED_BYTES)
    except (BrokenBodyError, UnpackError, BombError, TooLargeError):
        return b""  # the status is enough


def storage_failure(error: StorageError) -> o.Outcome:
    """The outcome of a storage failure; a storage that accepts nothing is not a failure of the job."""
    return o.StorageFull(str(error)) if isinstance(error, StorageUnavailableError) else o.Retry(str(error))

"""Walking a list page by page: the budget admits each page, each is tried again by itself, and one is in memory."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from random import Random
from tempfile import SpooledTemporaryFile
from typing import IO, TypeVar

from tidewaiter.clock import Clock
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Backoff
from tidewaiter.domain.http_values import Json, WireReply, can_decode, content_codings
from tidewaiter.domain.job import Job
from tidewaiter.providers.results.download_replies import SNIFFED_BYTES
from tidewaiter.providers.results.page_joining import Csv, CsvPage, JoinError, json_items, json_lines
from tidewaiter.providers.results.paged_lists import ListedItems, PagePosition, PageReader
from tidewaiter.providers.steps.remote_job_search import Matches, RemoteJobSearch, ReuseSearch
from tidewaiter.storage.base import Landing
from tidewaiter.transport.reply_bodies import BombError, StreamReply, UnpackError, unpacking_of
from tidewaiter.transport.wire import BrokenBodyError, LostReplyError, NotSentError, RedirectRefusedError, TlsError
from tidewaiter.worker.authenticated_client import read_off_loop
from tidewaiter.worker.provider_session import ProviderSession

P = TypeVar("P", ListedItems, Matches)
T = TypeVar("T")

_TRIES = 5
_LONGEST_WAIT_S = 60.0
_AGAIN = Backoff(2.0, 2.0, 60.0, 0.5)
_HEAD_BYTES = 4096
_IN_MEMORY_BYTES = 4 * 1_048_576
_PIECE_BYTES = 262_144
_ITEMS_AT_ONCE = 1000


class ListWalk:
    """Goes through the lists of one job.

    Args:
        job: the job.
        session: asks the provider for pages.
        clock: the time.
        rand: spreads the delays between tries.
        waits: whether the first page waits while the account is closed; otherwise ``AccountClosedError`` is raised.
        tries: how often a page is requested before the walk ends.
    """

    def __init__(
        self,
        job: Job,
        session: ProviderSession,
        clock: Clock,
        rand: Random,
        *,
        waits: bool = True,
        tries: int = _TRIES,
    ) -> None:
        self._job = job
        self._session = session
        self._clock = clock
        self._rand = rand
        self._waits = waits
        self._tries = tries

    async def matches(self, adoption: RemoteJobSearch, most: int) -> dict[str, Mapping[str, str]] | o.Outcome:
        """The handles of all remote jobs in the list that match, with the values that are kept of each.

        If they cannot be found, the outcome that says why.

        Args:
            adoption: the list, and what is looked for.
            most: with so many matches the rest of the list is not asked for.
        """
        found: dict[str, Mapping[str, str]] = {}

        async def read_page(page: PagePosition) -> Matches | o.Outcome:
            return await self._session.send(adoption.request(self._job, page), partial(adoption.read, self._job, page))

        async def consume(matches: Matches) -> bool:
            found.update(matches.named())
            return len(found) < most

        broken = await self.each_page(read_page, consume, adoption.reader.bounds.most_pages)
        return found if broken is None else broken

    async def newest(self, search: ReuseSearch) -> Matches | o.Outcome | None:
        """The matches on the first page that has one; ``None`` if the list has none, or why it could not be read."""
        found: list[Matches] = []

        async def read_page(page: PagePosition) -> Matches | o.Outcome:
            return await self._session.send(search.request(self._job, page), partial(search.read, self._job, page))

        async def consume(matches: Matches) -> bool:
            if matches.handles:
                found.append(matches)
            return not found

        broken = await self.each_page(read_page, consume, search.reader.bounds.most_pages)
        return next(iter(found), None) if broken is None else broken

    async def land(self, pages: PageReader, landing: Landing, largest_bytes: int) -> int | o.Outcome:
        """Write the joined file of all pages; the caller ends the landing.

        Args:
            pages: the list.
            landing: takes the file, from its beginning.
            largest_bytes: a larger file is refused.

        Returns:
            The number of items, or why there is no file.
        """
        file = _File(landing, largest_bytes)
        try:
            return await (self._land_csv(pages, file) if pages.csv else self._land_json(pages, file))
        except _TooLargeError:
            return o.Refused(f"the pages come to more than {largest_bytes} bytes")

    async def _land_json(self, pages: PageReader, file: "_File") -> int | o.Outcome:
        count = size = 0

        async def read_page(page: PagePosition) -> ListedItems | o.Outcome:
            nonlocal size
            reply = await self._session.exchange(pages.request(self._job, page))
            if not isinstance(reply, WireReply):
                return reply
            size = len(reply.body)
            return await self._session.read(reply, partial(pages.read, self._job, page))

        async def consume(listed: ListedItems) -> bool:
            nonlocal count
            for start in range(0, len(listed.items), _ITEMS_AT_ONCE):
                written = listed.items[start : start + _ITEMS_AT_ONCE]
                first = count + start == 0
                join = partial(json_lines, written) if pages.lines else partial(json_items, written, first=first)
                await file.write(await read_off_loop(size, join))
            count += len(listed.items)
            return True

        begin, end = (b"", b"") if pages.lines else (b"[", b"]\n")
        await file.write(begin)
        broken = await self.each_page(read_page, consume, pages.bounds.most_pages)
        await file.write(end)
        return count if broken is None else broken

    async def _land_csv(self, pages: PageReader, file: "_File") -> int | o.Outcome:
        so_far, held = Csv(), 0

        async def read_page(page: PagePosition) -> ListedItems | o.Outcome:
            nonlocal so_far, held
            with SpooledTemporaryFile(_IN_MEMORY_BYTES) as whole:
                head = await self._spooled(pages, page, whole, file.largest_bytes)
                if not isinstance(head, WireReply):
                    return head
                whole.seek(0)
                digest, joined, before = _digest_of(whole), CsvPage(so_far), so_far.records
                if cycle.repeats(page, (digest,)):
                    # It holds as many records as the one before it, and none of them is written again.
                    return ListedItems((digest,), page, ends=False if pages.is_full(self._job, held) else None)
                try:
                    whole.seek(0)
                    while piece := whole.read(_PIECE_BYTES):
                        await file.write(joined.feed(piece))
                    left, so_far = joined.end()
                except JoinError as error:
                    return o.Refused(str(error))
            await file.write(left)
            held = so_far.records - before
            after = pages.after(self._job, page, head, held)
            return after if isinstance(after, o.Refused) else ListedItems((digest,), after)

        cycle = _CycleDetector()
        broken = await self.each_page(read_page, _continue, pages.bounds.most_pages, cycle)
        return so_far.records if broken is None else broken

    async def _spooled(
        self, pages: PageReader, page: PagePosition, whole: IO[bytes], largest_bytes: int
    ) -> WireReply | ListedItems | o.Outcome:
        """Stream one page of CSV into a temporary file: if it breaks off, nothing of it is in the joined file.

        Returns:
            The head of the reply, or the outcome that came in place of a page.
        """
        request = pages.request(self._job, page)
        try:
            async with self._session.stream(request, send_auth=True) as reply:
                body = _PageBody(reply, largest_bytes)
                first = await body.head()
                head = WireReply(
                    reply.status,
                    reply.headers,
                    first[:_HEAD_BYTES],
                    reply.url,
                    phrase=reply.phrase,
                    foreign=not reply.own,
                )
                in_place = await self._session.read(head, partial(pages.read_without_page, self._job))
                if in_place is not None:
                    return in_place
                async for piece in body.pieces():
                    whole.write(piece)
                return head
        except BombError as error:
            return o.Refused(str(error))
        except OSError as error:
            return o.Retry(f"a page of the list could not be kept: {error.strerror or type(error).__name__}")
        except (
            BrokenBodyError, LostReplyError, NotSentError, RedirectRefusedError, TlsError, UnpackError
        ) as error:  # fmt: skip
            return o.Retry(str(error))

    async def each_page(
        self,
        read_page: Callable[[PagePosition], Awaitable[P | o.Outcome]],
        consume: Callable[[P], Awaitable[bool]],
        most: int,
        cycle: "_CycleDetector | None" = None,
    ) -> o.Outcome | None:
        """Consume every page in turn, until the last one or until ``consume`` is false; returns what went wrong.

        Args:
            read_page: asks for one page; it is called again after a failure.
            consume: gets the page.
            most: a list with more pages is refused.
            cycle: knows which pages have been there; each list has its own.

        A page that repeats the one before it is not consumed if it was requested by number or offset: the one
        before was the last.
        """
        page: PagePosition | None = PagePosition()
        cycle = cycle or _CycleDetector()
        while page is not None:
            if self._clock.now() >= self._job.deadline_at:
                return o.Retry(f"the deadline passed at page {page.number} of the list")
            if page.number > most:
                return o.Refused(
                    f"the list has more than {most} pages: raise accounts.{self._job.account}.bounds.most_pages, "
                    "or ask for less"
                )
            got = await self._with_retries(read_page, page)
            if not isinstance(got, ListedItems | Matches):
                return got
            if got.ends is None and cycle.repeats(page, got.items):
                return None
            if not await consume(got):
                return None
            if cycle.closes(page, got.items, got.after):
                return o.Refused(f"the list goes in circles: what follows page {page.number} came before")
            page = got.after
        return None

    async def once(self, read: Callable[[], Awaitable[T | o.Outcome]]) -> T | o.Outcome:
        """The reply to one request, which is tried again as a page of a list is."""
        return await self._with_retries(lambda _page: read(), PagePosition())

    async def _with_retries(
        self, read_page: Callable[[PagePosition], Awaitable[T | o.Outcome]], page: PagePosition
    ) -> T | o.Outcome:
        """One page, tried a few times, so that after one failure the pages before it are not requested again.

        If the provider asks for a long delay, the step ends and the job waits instead.
        """
        for tried in range(self._tries - 1):
            if page.number == 1 and not self._waits:  # later the step waits, or a long list would never be complete
                self._session.check_open()
            got = await read_page(page)
            if isinstance(got, o.Retry) or (isinstance(got, o.NotYet) and page.number > 1):
                if (got.retry_after_s or 0.0) > _LONGEST_WAIT_S:
                    return got
                await self._session.sleep_between_tries(max(got.retry_after_s or 0.0, _AGAIN.delay(tried, self._rand)))
            elif not isinstance(got, o.Throttled):  # after which the budget is closed, and makes the next try wait
                return got
        return await read_page(page)


async def _continue(_: ListedItems) -> bool:
    """The records of the page have been written already."""
    return True


def _digest_of(whole: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while piece := whole.read(_PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()


class _TooLargeError(Exception):
    """The joined file is larger than a file may be."""


class _File:
    """The joined file; raises ``_TooLargeError`` before it grows beyond the limit."""

    def __init__(self, landing: Landing, largest_bytes: int) -> None:
        self.largest_bytes = largest_bytes
        self._landing = landing
        self._size = 0

    async def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self.largest_bytes:
            raise _TooLargeError
        if data:
            await self._landing.write(data)


class _PageBody:
    """The body of a page as it comes in: unpacked, and a ``BrokenBodyError`` if it is shorter than its length."""

    def __init__(self, reply: StreamReply, largest_bytes: int) -> None:
        self._chunks = reply.chunks()
        self._codings = content_codings(reply.headers)
        self._can_be_undone = can_decode(self._codings)
        self._unpacking = unpacking_of(self._codings if self._can_be_undone else (), largest_bytes)
        length = reply.headers.get("content-length", "")
        self._expected = int(length) if length.isdigit() else None
        self._received = 0
        self._first: list[bytes] = []

    async def head(self) -> bytes:
        """The first bytes of the page."""
        looked_at = 0
        while looked_at < SNIFFED_BYTES and (chunk := await anext(self._chunks, b"")):
            for piece in self._unpacked(chunk):
                self._first.append(piece)
                looked_at += len(piece)
        return b"".join(self._first)

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of the page, from its first byte; raises ``UnpackError`` if its codings cannot be undone."""
        if not self._can_be_undone:
            raise UnpackError(f"A page of the list came coded as {', '.join(self._codings)}, which cannot be undone.")
        for piece in self._first:
            yield piece
        self._first = []
        async for chunk in self._chunks:
            for piece in self._unpacked(chunk):
                yield piece
        if self._expected is not None and self._received != self._expected:
            raise BrokenBodyError(f"The page ended after {self._received} of {self._expected} bytes.")
        for piece in self._unpacking.finish():
            yield piece

    def _unpacked(self, chunk: bytes) -> list[bytes]:
        self._received += len(chunk)
        return list(self._unpacking.feed(chunk))


class _CycleDetector:
    """Detects that a list comes back to a page that it had before, with one cursor in memory for any number of pages.

    Brent's cycle detection: a cursor is kept for twice as many pages as the one before it.
    """

    def __init__(self) -> None:
        self._kept: str | None = None
        self._age = 0
        self._keeps = 1
        self._before: tuple[Json, ...] = ()

    def repeats(self, page: PagePosition, items: tuple[Json, ...]) -> bool:
        """Whether a page that is asked for by its number or offset holds what the one before it held."""
        return page.number > 1 and page.next is None and bool(items) and items == self._before

    def closes(self, page: PagePosition, items: tuple[Json, ...], after: PagePosition | None) -> bool:
        """Whether the page after this one has been there before."""
        if after is None:
            return False
        if after.next is None:
            before, self._before = self._before, items
            return bool(items) and items == before
        if after.next in (self._kept, page.next):
            return True
        self._age += 1
        if self._kept is None or self._age == self._keeps:
            self._kept, self._age, self._keeps = after.next, 0, 2 * self._keeps
        return False

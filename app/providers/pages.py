"""Lists over several pages: the request for each page, and what its reply holds. Results and adopt read them alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from app.domain.job import Job
from app.domain.jsonvalue import Json
from app.domain.outcome import Refused, Retry
from app.domain.wire import WireReply, WireRequest
from app.providers.defaults import FILE_ENDS, FileTrouble, file_trouble, is_success, missing_file
from app.providers.extract import as_text, as_url, compile_pick
from app.providers.headers import retry_after
from app.providers.jmes import Search, compile_expression, is_true
from app.providers.messages import Messages
from app.providers.reading import Reading
from app.providers.requests import Build, compile_request
from app.providers.rules import Rules
from app.providers.sniff import is_html
from app.providers.spec.steps import PageSpec
from app.providers.urls import origin_of

ReadNext: TypeAlias = Callable[[Reading], str | None]


@dataclass(frozen=True, slots=True)
class Page:
    """Which page of a list is asked for; ``next`` is the cursor, or the URL, that the page before has named."""

    number: int = 1
    offset: int = 0
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """What a page holds, and the page after it; ``None`` after the last one."""

    items: tuple[Json, ...]
    after: Page | None


@dataclass(frozen=True, slots=True)
class PagedList:
    """The compiled table.

    ``by_url`` says that a page names the URL of the next one, ``counted`` that it names nothing: then the end is a page
    that is not full.
    """

    build: Build
    size: int | None
    items: Search | None
    next: ReadNext
    by_url: bool
    counted: bool
    last: Search | None
    rules: Rules

    def request(self, job: Job, page: Page) -> WireRequest:
        """The request for a page."""
        told: dict[str, Json] = {
            "page.number": page.number,
            "page.offset": page.offset,
            "page.size": self.size,
            "page.next": None if self.by_url else page.next,
        }
        request = self.build(job.but(params={**job.params, **told}), None)
        return replace(request, url=page.next) if self.by_url and page.next is not None else request

    def items_in(self, reading: Reading) -> tuple[Json, ...] | None:
        """The items of a page; ``None`` where there is no list of them."""
        found = None if self.items is None else self.items(reading.document())
        return tuple(found) if isinstance(found, list) else None

    def after(self, reading: Reading, page: Page, count: int) -> Page | None:
        """The page after this one, which holds so many items."""
        if self.last is not None and is_true(self.last(reading.document())):
            return None
        named = self.next(reading)
        if named is None and not self.counted:
            return None
        if self.counted and (count == 0 or (self.last is None and self.size is not None and count < self.size)):
            return None
        return Page(page.number + 1, page.offset + count, named)


def compile_pages(spec: PageSpec, base_url: str, settings: Mapping[str, Json], key: str) -> PagedList:
    """The compiled form of a paged request; ``key`` is where it stands in the spec."""
    return PagedList(
        build=compile_request(spec, base_url, settings),
        size=spec.size,
        items=None if spec.items is None else compile_expression(spec.items),
        next=_compile_next(spec, base_url),
        by_url=bool(spec.next_url),
        counted=not spec.next and not spec.next_url,
        last=None if spec.last is None else compile_expression(spec.last),
        rules=Rules(spec.rules, f"{key}.rules"),
    )


def _compile_next(spec: PageSpec, base_url: str) -> ReadNext:
    if spec.next_url:
        url = compile_pick(spec.next_url)
        return lambda reading: as_url(url(reading), reading.url or f"{base_url}/")
    cursor = compile_pick(spec.next)
    ends = frozenset(value.strip() for value in spec.last_values)

    def read(reading: Reading) -> str | None:
        text = (as_text(cursor(reading)) or "").strip()
        return None if not text or text in ends else text

    return read


@dataclass(frozen=True, slots=True)
class PageReader:
    """Builds the requests for the pages of a list, and reads what comes.

    ``label`` and ``media_type`` are those of the joined file, ``csv`` says what the pages are made of.
    """

    paged: PagedList
    messages: Messages = field(repr=False)
    origin: str
    label: str = ""
    media_type: str | None = None
    csv: bool = False

    def request(self, job: Job, page: Page) -> WireRequest:
        """The request for a page; raises ``UnsendableError`` where the job lacks what it needs."""
        return self.paged.request(job, page)

    def read(self, job: Job, page: Page, reply: WireReply, now: float) -> Listed | FileTrouble:
        """The items of a page of JSON, or why there are none."""
        told = self.told(job, reply, now)
        if told is not None:
            return told
        reading = Reading(reply)
        items = self.paged.items_in(reading)
        if items is not None:
            return Listed(items, self.paged.after(reading, page, len(items)))
        if reading.truncated:
            return Refused(f"page {page.number} of the list is longer than can be read: smaller pages are needed")
        if reading.malformed:
            return Retry(self.messages.unread(reading))
        return Retry(f"the reply holds no list of items: {self.messages.unmapped(reading)}")

    def told(self, job: Job, reply: WireReply, now: float) -> Listed | FileTrouble | None:
        """What a reply says other than: here is a page; ``None`` for a page, whose body is to be read."""
        reading = Reading(reply)
        verdict = self.paged.rules.judge(reading)
        reason, wait_s = self.messages.reason(reading), retry_after(reading.headers, now)
        if verdict is not None and verdict.effect == "empty":
            return Listed((), None)
        if verdict is not None and verdict.effect is not None:
            return FILE_ENDS[verdict.effect](verdict.tell(reason), wait_s)
        if self.csv and (reading.status == 206 or missing_file(reading.status, wait_s) is not None):
            # Of JSON the body decides; no bytes of CSV would be a page without records, and the last one.
            return Retry(f"HTTP {reading.status}, and no whole page of the list", wait_s)
        if is_success(reading.status):
            html = self.csv and is_html(reading.body, self.media_type, reading.headers.get("content-type"))
            return Retry("a page of HTML came in place of a page of the list") if html else None
        own = not reply.url or origin_of(reply.url) == self.origin
        return file_trouble(reading.status, reason, wait_s, own=own, proved=own, named=job.handle is not None)

    def after(self, page: Page, reply: WireReply, count: int) -> Page | None:
        """The page after one of CSV, of which the head and the number of records are known."""
        return self.paged.after(Reading(reply), page, count)

"""Lists over several pages: the request for each page, and the items in its reply. For results and adopt."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from typing import Final, TypeAlias

from tidewaiter.domain.backoff_and_limits import USUAL_BOUNDS, Bounds
from tidewaiter.domain.http_values import Json, WireReply, WireRequest
from tidewaiter.domain.job import Job
from tidewaiter.domain.outcome import NotYet, Refused, Retry
from tidewaiter.domain.own_origins import OwnOrigins
from tidewaiter.providers.replies.extract import compile_pick
from tidewaiter.providers.replies.messages import Messages
from tidewaiter.providers.replies.reply import Reading, host_of, is_own
from tidewaiter.providers.replies.reply_defaults import (
    FILE_ENDS,
    FileTrouble,
    file_trouble,
    from_other_host,
    is_success,
    missing_file,
    storage_trouble,
)
from tidewaiter.providers.replies.reply_headers import retry_after
from tidewaiter.providers.replies.reply_rules import Rules
from tidewaiter.providers.replies.xml_replies import XmlForm, xml_form
from tidewaiter.providers.requests.request_building import Build, compile_request
from tidewaiter.providers.results.download_replies import is_html
from tidewaiter.providers.spec.list_spec import PagesByParams, PageSpec
from tidewaiter.providers.spec.reply_spec import ReplySpec
from tidewaiter.providers.values.addresses import url_fault
from tidewaiter.providers.values.jmespath_expressions import Search, compile_expression, is_true
from tidewaiter.providers.values.template import PAGE_COUNTERS, refers_to
from tidewaiter.providers.values.texts import as_text, as_url


@dataclass(frozen=True, slots=True)
class Unusable:
    """The next page that a reply names cannot be requested; ``reason`` ends a sentence."""

    reason: str


_NO_CURSORS = frozenset({"", "false", "null"})
"""Texts that mean that there is no next page, as a header or a regex gives them."""
_NOT_READY: Final = 202
"""Accepted, and not processed yet (RFC 9110, section 15.3.3)."""
ReadNext: TypeAlias = Callable[[Reading], str | Unusable | None]
ReadItems: TypeAlias = Callable[[Reading], tuple[Json, ...] | None]
"""Reads the items of a page: none if their value is null; ``None`` if the reply has no list of them."""


@dataclass(frozen=True, slots=True)
class PagePosition:
    """The position of a page in a list; ``next`` is the cursor or URL from the page before."""

    number: int = 1
    offset: int = 0
    next: str | None = None


@dataclass(frozen=True, slots=True)
class ListedItems:
    """The items of a page, and the position of the next page; ``None`` after the last one.

    ``ends``: whether the page itself says that it is the last one; ``None`` if it does not say. ``url`` is that of the
    page, where relative links begin.
    """

    items: tuple[Json, ...]
    after: PagePosition | None
    ends: bool | None = field(default=None, compare=False)
    url: str = field(default="", compare=False)


class NextPage(Enum):
    """How the next page of a list is requested."""

    BY_CURSOR = "cursor"
    """With a cursor from the page before."""
    BY_URL = "url"
    """At a URL from the page before."""
    BY_COUNT = "count"
    """By its number or offset. The last page is one that is not full, or repeats the one before."""
    NEVER = "never"
    """The list has one page."""


@dataclass(frozen=True, slots=True)
class PagedList:
    """The compiled table; ``next`` reads the cursor or URL of the next page."""

    build: Build
    size: int | None
    by_params: PagesByParams
    items: ReadItems
    next: ReadNext
    kind: NextPage
    last: Search | None
    rules: Rules
    xml: XmlForm | None = None
    is_one_link: bool = False
    """Whether the one item is the link to the one file, which a header or any text may name."""

    def request(self, job: Job, page: PagePosition) -> WireRequest:
        """The request for a page."""
        start = _whole(job, self.by_params.number)
        values: dict[str, Json] = {
            "page.number": page.number if start is None else page.number + start - 1,
            "page.offset": page.offset + (_whole(job, self.by_params.offset) or 0),
            "page.size": self.size_for(job),
            "page.next": page.next if self.kind is NextPage.BY_CURSOR else None,
        }
        request = self.build(job.but(params={**job.params, **values}), None)
        return replace(request, url=page.next) if self.kind is NextPage.BY_URL and page.next is not None else request

    @property
    def counted(self) -> bool:
        """Whether pages are requested by number or offset."""
        return self.kind is NextPage.BY_COUNT

    def size_for(self, job: Job) -> int | None:
        """The number of items of a full page; ``None`` if neither the spec nor the job says."""
        chosen = _whole(job, self.by_params.size)
        return self.size if chosen is None else chosen

    def has_one_page(self, job: Job) -> bool:
        """Whether the job has requested only one page of the list."""
        return self.by_params.one_page is not None and job.params.get(self.by_params.one_page) is not None

    def ends(self, job: Job, reading: Reading, count: int) -> bool | None:
        """Whether a page with this number of items is the last one; ``None`` if it does not say.

        For a counted list without ``last``, an exactly full page is not the last one.
        """
        if self.has_one_page(job):
            return True
        if self.last is None:
            return False if self.counted and count == self.size_for(job) else None
        last = self.last(reading.document())
        return None if last is None else is_true(last)

    def after(self, job: Job, reading: Reading, page: PagePosition, count: int) -> PagePosition | Refused | None:
        """The page after this one, which has ``count`` items; ``Refused`` if it cannot be requested."""
        ends, size = self.ends(job, reading, count), self.size_for(job)
        if ends:
            return None
        named = self.next(reading)
        if isinstance(named, Unusable):
            return Refused(f"page {page.number} of the list names the next one by {named.reason}")
        if named is None and not self.counted:
            return None
        if self.counted and (count == 0 or (ends is None and size is not None and count < size)):
            return None
        return PagePosition(page.number + 1, page.offset + count, named)


def compile_pages(
    spec: PageSpec, base_url: str, settings: Mapping[str, Json], key: str, reply: ReplySpec | None = None
) -> PagedList:
    """The compiled form of a paged request; ``key`` is its place in the spec, ``reply`` how replies are read."""
    return PagedList(
        build=compile_request(spec, base_url, settings),
        size=spec.size,
        by_params=spec.by_params,
        items=_compile_items(spec.items),
        next=_compile_next(spec, base_url),
        kind=_kind_of(spec),
        last=None if spec.last is None else compile_expression(spec.last),
        rules=Rules(spec.rules, f"{key}.rules"),
        xml=xml_form(spec.reply, reply),
    )


def _compile_items(expression: str | None) -> ReadItems:
    if expression is None:
        return lambda _reading: None
    search = compile_expression(expression)

    def items(reading: Reading) -> tuple[Json, ...] | None:
        found = search(reading.document())
        if reading.malformed:
            return None
        if found is None:
            # An expression also gives null if the key is missing, as in an error reply.
            try:
                found = search(_with_lists_for_nulls(reading.document()))
            except RecursionError:
                return None
        return tuple(found) if isinstance(found, list) else None

    return items


def _kind_of(spec: PageSpec) -> NextPage:
    if spec.next_url:
        return NextPage.BY_URL
    if spec.next:
        return NextPage.BY_CURSOR
    texts = (spec.url, *spec.templates())
    return NextPage.BY_COUNT if any(refers_to(text, PAGE_COUNTERS) for text in texts) else NextPage.NEVER


def _whole(job: Job, name: str | None) -> int | None:
    """A parameter of the job that is a whole number; ``None`` if the job lacks it."""
    value = None if name is None else job.params.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _compile_next(spec: PageSpec, base_url: str) -> ReadNext:
    pick = compile_pick(spec.next_url or spec.next)
    ends = frozenset(value.strip() for value in spec.last_values)

    def cursor(reading: Reading) -> str | Unusable | None:
        value = pick(reading)
        if _is_none(value):
            return None
        text = None if value is True else as_text(value)
        if text is None:
            return Unusable("what is neither text nor a number")
        return None if text.strip() in ends else text.strip()

    def url(reading: Reading) -> str | Unusable | None:
        value, base = pick(reading), reading.url or f"{base_url}/"
        if _is_none(value):
            return None
        if not isinstance(value, str):
            return Unusable("what is no text, and so no URL")
        fault = url_fault(base, value)
        return as_url(value, base) if fault is None else Unusable(f"a URL that cannot be used: {fault}")

    return url if spec.next_url else cursor


def _is_none(value: Json) -> bool:
    """Whether the value that names the next page means that there is none: null, false, empty, or the number 0.

    No page that follows another has the number or the offset 0. The text "0" is a cursor.
    """
    if isinstance(value, str):
        return value.strip().casefold() in _NO_CURSORS
    return not is_true(value) or (isinstance(value, int | float) and value == 0)


def _with_lists_for_nulls(tree: Json) -> Json:
    """The same JSON with an empty list in the place of every null."""
    if tree is None:
        return []
    if isinstance(tree, dict):
        return {key: _with_lists_for_nulls(value) for key, value in tree.items()}
    return [_with_lists_for_nulls(value) for value in tree] if isinstance(tree, list) else tree


@dataclass(frozen=True, slots=True)
class PageReader:
    """Builds the requests for the pages of a list, and reads the replies.

    ``label`` and ``media_type`` are those of the joined file. ``csv``: the pages are CSV, else JSON. ``lines``: the
    joined file has one item a line.
    """

    paged: PagedList
    messages: Messages = field(repr=False)
    origin: OwnOrigins
    label: str = ""
    media_type: str | None = None
    csv: bool = False
    lines: bool = False
    bounds: Bounds = USUAL_BOUNDS

    def request(self, job: Job, page: PagePosition) -> WireRequest:
        """The request for a page; raises ``UnsendableError`` if the job lacks a value."""
        return self.paged.request(job, page)

    def read(self, job: Job, page: PagePosition, reply: WireReply, now: float) -> ListedItems | FileTrouble:
        """The items of a page of JSON, or why there are none."""
        without_page = self.read_without_page(job, reply, now)
        if without_page is not None:
            return without_page
        reading = Reading(reply, self.bounds.most_values, self.paged.xml)
        items = self.paged.items(reading)
        if items is not None:
            after = self.paged.after(job, reading, page, len(items))
            if isinstance(after, Refused):
                return after
            return ListedItems(items, after, self.paged.ends(job, reading, len(items)), reading.url)
        if reading.truncated:
            return Refused(
                f"page {page.number} of the list is too long to be read: request smaller pages, or raise "
                "largest_reply_bytes in the account's bounds"
            )
        if reading.fault is not None:
            return Refused(self.messages.unreadable(reading))
        if reading.status == _NOT_READY:
            return NotYet(self.messages.reason(reading), retry_after(reading.headers, now))
        if reading.malformed and not self.paged.is_one_link:
            return Retry(self.messages.unreadable(reading))
        lacking = "names no URL of a file" if self.paged.is_one_link else "holds no list of items"
        return Retry(f"the reply {lacking}: {self.messages.unmapped(reading)}")

    def read_without_page(self, job: Job, reply: WireReply, now: float) -> ListedItems | FileTrouble | None:
        """The outcome of a reply without a page; ``None`` for a page, whose body must be read."""
        reading = Reading(reply, self.bounds.most_values, self.paged.xml)
        verdict = self.paged.rules.judge(reading)
        # Made only if something is wrong: it quotes the body, without its secrets.
        reason, wait_s = partial(self.messages.reason, reading), retry_after(reading.headers, now)
        own = is_own(reply, self.origin)
        if verdict is not None and verdict.effect == "empty":
            return ListedItems((), None)
        if verdict is not None and verdict.effect is not None:
            outcome = FILE_ENDS[verdict.effect](verdict.reason_with(reason()), wait_s)
            return outcome if own else from_other_host(outcome, host_of(reply, self.origin))
        if self.csv and (reading.status == 206 or missing_file(reading.status, wait_s) is not None):
            # For JSON the body decides; an empty body of CSV would count as a last page without records.
            return Retry(f"HTTP {reading.status}, and no whole page of the list", wait_s)
        if is_success(reading.status):
            html = self.csv and is_html(reading.body, self.media_type, reading.headers.get("content-type"))
            return Retry("a page of HTML came in place of a page of the list") if html else None
        if reading.status == 401 and not own:
            return Retry(reason(), wait_s)  # a host that needs other credentials says nothing about the remote job
        stored = storage_trouble(reading, reason, wait_s, own=own)
        return stored or file_trouble(
            reading.status, reason(), wait_s, own=own, authenticated=own, has_handle=job.handle is not None
        )

    def is_full(self, job: Job, count: int) -> bool:
        """Whether the number of records says that another page follows."""
        return self.paged.last is None and self.paged.counted and count == self.paged.size_for(job)

    def after(self, job: Job, page: PagePosition, reply: WireReply, count: int) -> PagePosition | Refused | None:
        """The page after a page of CSV, from its head and its number of records."""
        return self.paged.after(job, Reading(reply, self.bounds.most_values, self.paged.xml), page, count)

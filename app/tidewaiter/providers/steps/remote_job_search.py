"""The searches for remote jobs in the provider's list: for that of a submit, and for one that can be used again."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tidewaiter.domain.formatting import rfc3339
from tidewaiter.domain.http_values import Json, WireReply, WireRequest
from tidewaiter.domain.job import Job
from tidewaiter.domain.outcome import Refused, Unauthorized
from tidewaiter.providers.credentials.login_replies import as_moment
from tidewaiter.providers.credentials.own_credentials import OwnCredentials
from tidewaiter.providers.replies.reply import is_own
from tidewaiter.providers.replies.reply_defaults import FileTrouble
from tidewaiter.providers.results.paged_lists import ListedItems, PagedList, PagePosition, PageReader, compile_pages
from tidewaiter.providers.spec.reply_spec import ReplySpec
from tidewaiter.providers.spec.step_specs import AdoptSpec, ReuseSpec, SearchSpec
from tidewaiter.providers.steps.kept_values import read_values
from tidewaiter.providers.values.jmespath_expressions import Search, compile_expression, is_true
from tidewaiter.providers.values.template import SINCE, Render, always, compile_value
from tidewaiter.providers.values.texts import as_text

_CLOCK_SKEW_S = 300.0


@dataclass(frozen=True, slots=True)
class Matches:
    """The remote jobs on a page that match a job; ``made_at`` says when each was made, if the search asks for it."""

    handles: tuple[str, ...]
    listed: ListedItems
    kept: tuple[Mapping[str, str], ...] = ()
    """The values that are kept of each item."""
    made_at: tuple[float, ...] = ()

    def named(self) -> Mapping[str, Mapping[str, str]]:
        """The handles, each with the values that are kept of its item."""
        return dict(zip(self.handles, self.kept, strict=True)) if self.kept else {one: {} for one in self.handles}

    @property
    def items(self) -> tuple[Json, ...]:
        """The items of the page."""
        return self.listed.items

    @property
    def ends(self) -> bool | None:
        """Whether the page says that it is the last one."""
        return self.listed.ends

    @property
    def after(self) -> PagePosition | None:
        """The position of the next page."""
        return self.listed.after


@dataclass(frozen=True, slots=True)
class Criteria:
    """What an item of a list must have, and how its handle is read: as an absolute URL if it is a URL."""

    match: tuple[tuple[Search, Render], ...]
    where: Search | None
    handle: Callable[[Json, str], str | None]
    keep: tuple[tuple[str, Search], ...] = ()

    def kept_of(self, job: Job, item: Json, own: OwnCredentials) -> Mapping[str, str] | str:
        """The values that are kept of an item, or why one of them cannot be."""
        found = read_values(job, [(name, search(item), False) for name, search in self.keep], own)
        return found.problem or found.values

    def accepts(self, item: Json) -> bool:
        """Whether ``where`` is true on an item."""
        return self.where is None or is_true(self.where(item))


@dataclass(frozen=True, slots=True)
class Adopt:
    """The compiled ``adopt`` table.

    ``lag_s``: how long the list may lag behind a submit. ``parks``: a person decides if the list has no match.
    ``match_all``: a job must have a value for everything that is compared.
    """

    paged: PagedList
    criteria: Criteria
    lag_s: float
    parks: bool
    match_all: bool


@dataclass(frozen=True, slots=True)
class Reuse:
    """The compiled ``reuse`` table.

    ``created`` reads when an item was made. An item older than ``within_s`` is not reused, and a job whose parameter
    ``newer`` is true, or that has one of ``only_without``, reuses none.
    """

    paged: PagedList
    criteria: Criteria
    created: Search
    within_s: float
    newer: str | None
    only_without: tuple[str, ...]
    most_pages: int

    def is_for(self, params: Mapping[str, Json]) -> bool:
        """Whether a job with these parameters may reuse a remote job."""
        newer = self.newer is not None and params.get(self.newer) is True
        return not newer and all(params.get(name) is None for name in self.only_without)


def compile_adopt(
    spec: AdoptSpec,
    base_url: str,
    settings: Mapping[str, Json],
    key: str,
    as_name: Callable[[Json, str], str | None],
    *,
    reply: ReplySpec | None = None,
) -> Adopt:
    """The compiled form of an ``adopt`` table.

    Args:
        spec: the table.
        base_url: the base of URLs that begin with ``/``.
        settings: the account's values.
        key: the place of the table in the spec.
        as_name: makes a handle from a value and its base URL.
        reply: how replies are read, unless the table says otherwise.
    """
    return Adopt(
        paged=compile_pages(spec, base_url, settings, key, reply),
        criteria=_criteria(spec, base_url, settings, as_name),
        lag_s=spec.lag_s,
        parks=spec.absent == "park",
        match_all=spec.match_all,
    )


def compile_reuse(
    spec: ReuseSpec,
    base_url: str,
    settings: Mapping[str, Json],
    key: str,
    as_name: Callable[[Json, str], str | None],
    *,
    reply: ReplySpec | None = None,
) -> Reuse:
    """The compiled form of a ``reuse`` table; the arguments are those of :func:`compile_adopt`."""
    return Reuse(
        paged=compile_pages(spec, base_url, settings, key, reply),
        criteria=_criteria(spec, base_url, settings, as_name),
        created=compile_expression(spec.created),
        within_s=spec.within_s,
        newer=spec.newer,
        only_without=spec.only_without,
        most_pages=spec.most_pages,
    )


def _criteria(
    spec: SearchSpec, base_url: str, settings: Mapping[str, Json], as_name: Callable[[Json, str], str | None]
) -> Criteria:
    name = compile_expression(spec.handle)
    return Criteria(
        match=tuple(
            (compile_expression(where), always(compile_value(str(as_text(wanted)), settings)))
            for where, wanted in spec.match.items()
        ),
        where=None if spec.where is None else compile_expression(spec.where),
        handle=lambda item, base: as_name(name(item), base or f"{base_url}/"),
        keep=tuple((name, compile_expression(where)) for name, where in spec.keep.items()),
    )


@dataclass(frozen=True, slots=True)
class RemoteJobSearch:
    """The search for a job's remote job, page by page."""

    adopt: Adopt
    reader: PageReader
    own: OwnCredentials = field(default_factory=OwnCredentials, repr=False)

    @property
    def lag_s(self) -> float:
        """Seconds by which the list may lag behind a submit."""
        return self.adopt.lag_s

    @property
    def parks(self) -> bool:
        """Whether a person decides if the list does not have the remote job."""
        return self.adopt.parks

    def request(self, job: Job, page: PagePosition) -> WireRequest:
        """The request for a page of the list."""
        return self.reader.request(job, page)

    def read(self, job: Job, page: PagePosition, reply: WireReply, now: float) -> Matches | FileTrouble:
        """The remote jobs on a page that match the job's submit, or why that cannot be decided."""
        listed = self.reader.read(job, page, reply, now)
        if not isinstance(listed, ListedItems):
            return listed
        criteria, values = self.adopt.criteria, self._match_values(job)
        lacks = len(values) < len(criteria.match)
        if (lacks and self.adopt.match_all) or (not values and criteria.where is None):
            # With less to compare, an older remote job could match.
            return Refused(f"the job has {'not all values' if values else 'none of the values'} that adopt compares")
        matching = [item for item in listed.items if criteria.accepts(item) and _has_texts(item, values)]
        handles = [criteria.handle(item, reply.url) for item in matching]
        if None in handles:
            return Refused("an item of the list matches the job, but has no handle")
        kept: list[Mapping[str, str]] = []
        for item in matching if criteria.keep else ():
            read = criteria.kept_of(job, item, self.own)
            if isinstance(read, str):
                return Refused(f"an item of the list matches the job, but {read}")
            kept.append(read)
        named = tuple(self.own.without(handle) for handle in handles if handle is not None)
        return Matches(named, listed, tuple(kept))

    def _match_values(self, job: Job) -> list[tuple[Search, str]]:
        rendered = ((search, as_text(render(job, None))) for search, render in self.adopt.criteria.match)
        return [(search, text.strip()) for search, text in rendered if text is not None]


def _has_texts(item: Json, values: list[tuple[Search, str]]) -> bool:
    return all((as_text(search(item)) or "").strip() == text for search, text in values)


@dataclass(frozen=True, slots=True)
class ReuseSearch:
    """The search for a remote job that a job can use in place of its own, page by page.

    ``now`` is when the search begins, in epoch seconds.
    """

    reuse: Reuse
    reader: PageReader
    now: float
    own: OwnCredentials = field(default_factory=OwnCredentials, repr=False)

    def request(self, job: Job, page: PagePosition) -> WireRequest:
        """The request for a page of the list; ``${page.since}`` is the oldest time that is reused."""
        since = rfc3339(math.floor(self.now - self.reuse.within_s)).replace(".000", "")
        return self.reader.request(job.but(params={**job.params, SINCE: since}), page)

    def read(self, job: Job, page: PagePosition, reply: WireReply, now: float) -> Matches | FileTrouble:
        """The remote jobs on a page that the job can use, the newest first, or why there are none.

        Nothing that a list says pauses the account: if the credentials are refused, the submit will show it.
        """
        listed = self.reader.read(job, page, reply, now)
        if not isinstance(listed, ListedItems):
            return Refused(listed.reason) if isinstance(listed, Unauthorized) else listed
        if not is_own(reply, self.reader.origin):
            return Refused("the list came from another host, which does not know the remote jobs")
        values = [(search, render(job, None)) for search, render in self.reuse.criteria.match]
        found: list[tuple[float, str, Mapping[str, str]]] = []
        for item in listed.items:
            made_at = as_moment(self.reuse.created(item), now)
            if made_at is None or not self._is_recent(made_at) or not self._matches(item, values):
                continue
            handle = self.reuse.criteria.handle(item, reply.url)
            kept = self.reuse.criteria.kept_of(job, item, self.own)
            if handle is not None and not isinstance(kept, str):
                found.append((made_at, self.own.without(handle), kept))
        found.sort(key=lambda one: one[0], reverse=True)
        times, handles, values_kept = zip(*found, strict=True) if found else ((), (), ())
        return Matches(handles, listed, values_kept, times)

    def _is_recent(self, made_at: float) -> bool:
        """Whether an item is young enough; one from the future has a wrong time, so its age is not known."""
        return -_CLOCK_SKEW_S <= self.now - made_at <= self.reuse.within_s

    def _matches(self, item: Json, values: list[tuple[Search, Json]]) -> bool:
        return self.reuse.criteria.accepts(item) and all(
            _is_same(search(item), wanted, self.now) for search, wanted in values
        )


def _is_same(found: Json, wanted: Json, now: float) -> bool:
    """Whether a value of an item is that of the job; two times are the same if they mean the same moment."""
    text, other = as_text(found), as_text(wanted)
    if text is None or other is None:
        return found == wanted
    if text.strip() == other.strip():
        return True
    # A number and a text are never the same time: 20260131 is also a number of seconds.
    if not isinstance(found, str) or not isinstance(wanted, str) or "T" not in text.upper():
        return False
    moment = as_moment(text, now)
    return moment is not None and moment == as_moment(other, now)

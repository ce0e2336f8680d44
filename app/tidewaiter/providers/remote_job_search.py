"""The search for the remote job of a submit in the provider's list, by what the submit asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tidewaiter.domain.http_values import Json, WireReply, WireRequest
from tidewaiter.domain.job import Job
from tidewaiter.domain.outcome import Refused
from tidewaiter.providers.extract import as_text
from tidewaiter.providers.jmespath_expressions import Search, compile_expression, is_true
from tidewaiter.providers.kept_values import read_values
from tidewaiter.providers.own_credentials import OwnCredentials
from tidewaiter.providers.paged_lists import ListedItems, PagedList, PagePosition, PageReader, compile_pages
from tidewaiter.providers.reply_defaults import FileTrouble
from tidewaiter.providers.spec.reply_spec import ReplySpec
from tidewaiter.providers.spec.step_specs import AdoptSpec
from tidewaiter.providers.template import Render, always, compile_value


@dataclass(frozen=True, slots=True)
class Matches:
    """The remote jobs on a page that match a job."""

    handles: tuple[str, ...]
    listed: ListedItems
    kept: tuple[Mapping[str, str], ...] = ()
    """The values that are kept of each item."""

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
class Adopt:
    """The compiled ``adopt`` table; ``handle`` reads the handle from an item, as an absolute URL if it is a URL.

    ``lag_s``: how long the list may lag behind a submit. ``parks``: a person decides if the list has no match.
    ``match_all``: a job must have a value for everything that is compared.
    """

    paged: PagedList
    match: tuple[tuple[Search, Render], ...]
    where: Search | None
    handle: Callable[[Json, str], str | None]
    lag_s: float
    parks: bool
    match_all: bool
    keep: tuple[tuple[str, Search], ...] = ()


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
    name = compile_expression(spec.handle)
    return Adopt(
        paged=compile_pages(spec, base_url, settings, key, reply),
        match=tuple(
            (compile_expression(where), always(compile_value(str(as_text(wanted)), settings)))
            for where, wanted in spec.match.items()
        ),
        where=None if spec.where is None else compile_expression(spec.where),
        handle=lambda item, base: as_name(name(item), base or f"{base_url}/"),
        lag_s=spec.lag_s,
        parks=spec.absent == "park",
        match_all=spec.match_all,
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
        values = self._match_values(job)
        lacks = len(values) < len(self.adopt.match)
        if (lacks and self.adopt.match_all) or (not values and self.adopt.where is None):
            # With less to compare, an older remote job could match.
            return Refused(f"the job has {'not all values' if values else 'none of the values'} that adopt compares")
        matching = [item for item in listed.items if self._matches(item, values)]
        handles = [self.adopt.handle(item, reply.url) for item in matching]
        if None in handles:
            return Refused("an item of the list matches the job, but has no handle")
        kept: list[Mapping[str, str]] = []
        for item in matching if self.adopt.keep else ():
            read = self._kept_of(job, item)
            if isinstance(read, str):
                return Refused(f"an item of the list matches the job, but {read}")
            kept.append(read)
        named = tuple(self.own.without(handle) for handle in handles if handle is not None)
        return Matches(named, listed, tuple(kept))

    def _kept_of(self, job: Job, item: Json) -> Mapping[str, str] | str:
        """The values that are kept of an item, or why one of them cannot be."""
        found = read_values(job, [(name, search(item), False) for name, search in self.adopt.keep], self.own)
        return found.problem or found.values

    def _match_values(self, job: Job) -> list[tuple[Search, str]]:
        rendered = ((search, as_text(render(job, None))) for search, render in self.adopt.match)
        return [(search, text.strip()) for search, text in rendered if text is not None]

    def _matches(self, item: Json, values: list[tuple[Search, str]]) -> bool:
        if self.adopt.where is not None and not is_true(self.adopt.where(item)):
            return False
        return all((as_text(search(item)) or "").strip() == text for search, text in values)

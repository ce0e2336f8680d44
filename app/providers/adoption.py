"""Adopt: finding the remote job of a submit in the provider's list, by what the submit asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.domain.job import Job
from app.domain.jsonvalue import Json
from app.domain.outcome import Refused
from app.domain.wire import WireReply, WireRequest
from app.providers.defaults import FileTrouble
from app.providers.extract import as_text
from app.providers.jmes import Search, compile_expression, is_true
from app.providers.own import OwnCredentials
from app.providers.pages import Listed, Page, PagedList, PageReader, compile_pages
from app.providers.spec.steps import AdoptSpec
from app.providers.template import Render, always, compile_value


@dataclass(frozen=True, slots=True)
class Matches:
    """The remote jobs on a page that may be the one that is looked for."""

    handles: tuple[str, ...]
    listed: Listed

    @property
    def items(self) -> tuple[Json, ...]:
        """What the page holds."""
        return self.listed.items

    @property
    def ends(self) -> bool | None:
        """Whether the page says that it is the last one."""
        return self.listed.ends

    @property
    def after(self) -> Page | None:
        """The page after it."""
        return self.listed.after


@dataclass(frozen=True, slots=True)
class Adopt:
    """The compiled table; ``handle`` reads the name of the remote job out of an item, made absolute where it is a URL.

    ``lag_s`` is how long the list may lag behind a submit, ``parks`` whether a remote job that is not in it is a
    matter for a person, ``match_all`` whether a job must have everything that is compared.
    """

    paged: PagedList
    match: tuple[tuple[Search, Render], ...]
    where: Search | None
    handle: Callable[[Json, str], str | None]
    lag_s: float
    parks: bool
    match_all: bool


def compile_adopt(
    spec: AdoptSpec,
    base_url: str,
    settings: Mapping[str, Json],
    key: str,
    as_name: Callable[[Json, str], str | None],
) -> Adopt:
    """The compiled form of an ``adopt`` table.

    Args:
        spec: the table.
        base_url: what URLs that begin with ``/`` follow.
        settings: the account's values.
        key: where the table stands in the spec.
        as_name: makes a handle of a value, and of the URL that a relative one is relative to.
    """
    name = compile_expression(spec.handle)
    return Adopt(
        paged=compile_pages(spec, base_url, settings, key),
        match=tuple(
            (compile_expression(where), always(compile_value(str(as_text(wanted)), settings)))
            for where, wanted in spec.match.items()
        ),
        where=None if spec.where is None else compile_expression(spec.where),
        handle=lambda item, base: as_name(name(item), base or f"{base_url}/"),
        lag_s=spec.lag_s,
        parks=spec.absent == "park",
        match_all=spec.match_all,
    )


@dataclass(frozen=True, slots=True)
class Adoption:
    """Looks for a job's remote job, page by page."""

    adopt: Adopt
    reader: PageReader
    own: OwnCredentials = field(default_factory=OwnCredentials, repr=False)

    @property
    def lag_s(self) -> float:
        """Seconds by which the list may lag behind a submit."""
        return self.adopt.lag_s

    @property
    def parks(self) -> bool:
        """Whether a person decides where the list does not have the remote job."""
        return self.adopt.parks

    def request(self, job: Job, page: Page) -> WireRequest:
        """The request for a page of the list."""
        return self.reader.request(job, page)

    def read(self, job: Job, page: Page, reply: WireReply, now: float) -> Matches | FileTrouble:
        """The remote jobs on a page that are what the job's submit asked for, or why that cannot be decided."""
        listed = self.reader.read(job, page, reply, now)
        if not isinstance(listed, Listed):
            return listed
        wanted = self._wanted(job)
        lacks = len(wanted) < len(self.adopt.match)
        if (lacks and self.adopt.match_all) or (not wanted and self.adopt.where is None):
            # With less to compare, something older would be taken for what the submit made.
            return Refused(f"the job has {'not everything' if wanted else 'nothing'} of what adopt compares")
        meant = [item for item in listed.items if self._is_meant(item, wanted)]
        handles = [self.adopt.handle(item, reply.url) for item in meant]
        if None in handles:
            return Refused("an item of the list is what was asked for, but it names no remote job")
        return Matches(tuple(self.own.without(handle) for handle in handles if handle is not None), listed)

    def _wanted(self, job: Job) -> list[tuple[Search, str]]:
        rendered = ((search, as_text(render(job, None))) for search, render in self.adopt.match)
        return [(search, text.strip()) for search, text in rendered if text is not None]

    def _is_meant(self, item: Json, wanted: list[tuple[Search, str]]) -> bool:
        if self.adopt.where is not None and not is_true(self.adopt.where(item)):
            return False
        return all((as_text(search(item)) or "").strip() == text for search, text in wanted)

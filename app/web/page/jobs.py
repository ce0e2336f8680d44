"""The list of jobs: filters, search by what names a job, page by page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from yarl import URL

from app.desk import Desk
from app.domain.job import Job, State
from app.store.search import Filter, JobSearch
from app.web.page.frame import Frame
from app.web.page.sight import Sight
from app.web.page.texts import visible
from app.web.problems import FieldFault, ProblemError

_LIMIT: Final = 50
_LONGEST_SEARCH: Final = 4096
_LARGEST_ID: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for."""

    wanted: Filter
    text: str
    before_id: int | None

    @property
    def is_narrow(self) -> bool:
        """Whether anything narrows the list."""
        return self.wanted != Filter() or bool(self.text)

    def address(self, **changes: str | int | None) -> str:
        """The address with some of it changed, from its first page on unless ``before`` says otherwise."""
        asked: dict[str, str | int | None] = {
            "state": self.wanted.state.value if self.wanted.state else None,
            "account": self.wanted.account,
            "operation": self.wanted.operation,
            "q": self.text,
            **changes,
        }
        return str(URL("/jobs").with_query({name: str(value) for name, value in asked.items() if value}))


class JobsRoom:
    """The page at ``/jobs``.

    Args:
        frame: makes the page.
        sight: gives the number of jobs in each state.
        desk: knows the accounts and their operations.
        search: finds the jobs.
    """

    def __init__(self, frame: Frame, sight: Sight, desk: Callable[[], Desk], search: JobSearch) -> None:
        self._frame = frame
        self._sight = sight
        self._desk = desk
        self._search = search

    def routes(self) -> list[web.RouteDef]:
        """Where it is."""
        return [web.get("/jobs", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        asked = read(request.query)
        view = await self._sight.look()
        operations = sorted({name for account in self._desk().accounts.values() for name in account.operations})
        if asked.text:
            named = await self._search.named(asked.text, operations)
            found, older, down_to = [job for job in named if _matches(job, asked.wanted)], None, None
        else:
            page = await self._search.page(asked.wanted, asked.before_id, _LIMIT)
            found, older, down_to = list(page.jobs), page.before_id, page.down_to
        return self._frame.page(
            request,
            "jobs.html",
            title="Jobs",
            view=view,
            asked=asked,
            found=found,
            older=None if older is None else asked.address(before=older),
            down_to=down_to,
            counts=view.picture.counts,
            total=sum(view.picture.counts.values()),
            accounts=sorted(self._desk().accounts),
            operations=operations,
        )


def read(query: Mapping[str, str]) -> Asked:
    """What an address asks for.

    Raises:
        ProblemError: it asks for what cannot be.
    """
    faults = []
    state, before_id = None, None
    if given := query.get("state"):
        try:
            state = State(given)
        except ValueError:
            known = ", ".join(one.value for one in State)
            faults.append(FieldFault(f"there is no state {given[:64]!r}; there are: {known}", parameter="state"))
    if given := query.get("before"):
        before_id = as_number(given)
        if before_id is None:
            faults.append(FieldFault("is the number of a job, from which on older ones are listed", parameter="before"))
    faults += [
        FieldFault("holds control characters, which nothing here has", parameter=name)
        for name in ("account", "operation", "q")
        if visible(query.get(name, "")) != query.get(name, "")
    ]
    text = query.get("q", "").strip()
    if len(text) > _LONGEST_SEARCH:
        faults.append(FieldFault(f"has at most {_LONGEST_SEARCH} characters", parameter="q"))
    if faults:
        raise ProblemError(400, "this list cannot be shown as the address asks for it", errors=faults)
    wanted = Filter(query.get("account") or None, query.get("operation") or None, state)
    return Asked(wanted, text, before_id)


def as_number(given: str) -> int | None:
    """The number of a job as it stands in an address; ``None`` where it is none."""
    is_number = given.isascii() and given.isdigit() and len(given) <= len(str(_LARGEST_ID))
    return int(given) if is_number and 0 < int(given) <= _LARGEST_ID else None


def _matches(job: Job, wanted: Filter) -> bool:
    pairs = ((wanted.account, job.account), (wanted.operation, job.operation), (wanted.state, job.state))
    return all(asked is None or asked == has for asked, has in pairs)

"""The list of jobs: filters, search by what names a job, page by page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web
from yarl import URL

from app.desk import Desk
from app.domain.formatting import visible
from app.domain.job import State
from app.store.listing import JobList, Wanted
from app.web.bodies import number_of
from app.web.page.frame import Frame
from app.web.page.sight import Sight
from app.web.problems import FieldFault, ProblemError
from app.web.rules import GuardedRoute, reading

_LIMIT: Final = 50
_LONGEST_SEARCH: Final = 4096


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for: one state or any, and jobs with smaller numbers than ``before_id``."""

    wanted: Wanted
    state: State | None
    before_id: int | None

    @property
    def text(self) -> str:
        """What is looked for."""
        return self.wanted.search or ""

    @property
    def is_filtered(self) -> bool:
        """Whether a filter narrows the list, the search apart."""
        return replace(self.wanted, search=None) != Wanted()

    def address(self, **changes: str | int | None) -> str:
        """The address with some of it changed, from its first page on unless ``before`` says otherwise."""
        asked: dict[str, str | int | None] = {
            "state": self.state.value if self.state else None,
            "account": self.wanted.account,
            "operation": self.wanted.operation,
            "q": self.wanted.search,
            **changes,
        }
        return str(URL("/jobs").with_query({name: str(value) for name, value in asked.items() if value}))


class JobsRoom:
    """The page at ``/jobs``.

    Args:
        frame: makes the page.
        sight: gives the number of jobs in each state.
        desk: knows the accounts and their operations.
        lists: finds the jobs.
    """

    def __init__(
        self, frame: Frame, sight: Sight, desk: Callable[[web.Request], Desk], lists: Callable[[web.Request], JobList]
    ) -> None:
        self._frame = frame
        self._sight = sight
        self._desk = desk
        self._lists = lists

    def routes(self) -> list[GuardedRoute]:
        """Where it is."""
        return [reading("/jobs", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        asked = read(request.query)
        view = await self._sight.look(request)
        offered = self._desk(request).offered
        found = await self._lists(request).page(asked.wanted, _LIMIT + 1, asked.before_id, offered)
        shown = found[:_LIMIT]
        return self._frame.page(
            request,
            "jobs.html",
            title="Jobs",
            view=view,
            asked=asked,
            found=shown,
            older=asked.address(before=shown[-1].id) if len(found) > len(shown) else None,
            counts=view.picture.counts,
            total=sum(view.picture.counts.values()),
            accounts=sorted(offered),
            operations=sorted({name for operations in offered.values() for name in operations}),
        )


def read(query: Mapping[str, str]) -> Asked:
    """What an address asks for.

    Raises:
        ProblemError: it asks for what cannot be.
    """
    faults = [
        FieldFault("holds control characters, which nothing here has", parameter=name)
        for name in ("account", "operation", "q")
        if visible(query.get(name, "")) != query.get(name, "")
    ]
    state, before_id = None, None
    if given := query.get("state"):
        try:
            state = State(given)
        except ValueError:
            known = ", ".join(one.value for one in State)
            faults.append(FieldFault(f"there is no state {given[:64]!r}; there are: {known}", parameter="state"))
    if given := query.get("before"):
        before_id = number_of(given)
        if before_id is None:
            faults.append(FieldFault("is the number of a job, from which on older ones are listed", parameter="before"))
    text = query.get("q", "").strip().removeprefix("#")
    if len(text) > _LONGEST_SEARCH:
        faults.append(FieldFault(f"has at most {_LONGEST_SEARCH} characters", parameter="q"))
    if faults:
        raise ProblemError(400, "this list cannot be shown as the address asks for it", errors=faults)
    wanted = Wanted(
        account=query.get("account") or None,
        operation=query.get("operation") or None,
        states=() if state is None else (state,),
        search=text or None,
    )
    return Asked(wanted, state, before_id)

"""The list of jobs: filters, a search and pages."""

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
    """What the address asks for: filters, one state or any, and only jobs with numbers below ``before_id``."""

    wanted: Wanted
    state: State | None
    before_id: int | None

    @property
    def text(self) -> str:
        """The text of the search."""
        return self.wanted.search or ""

    @property
    def is_filtered(self) -> bool:
        """Whether a filter is set, other than the search."""
        return replace(self.wanted, search=None) != Wanted()

    def address(self, **changes: str | int | None) -> str:
        """The address with some parameters changed; the first page unless ``before`` is given."""
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
        renderer: makes the page.
        dashboard: counts the jobs in each state.
        desk: has the accounts and their operations.
        lists: finds the jobs.
    """

    def __init__(
        self,
        renderer: Frame,
        dashboard: Sight,
        desk: Callable[[web.Request], Desk],
        lists: Callable[[web.Request], JobList],
    ) -> None:
        self._renderer = renderer
        self._dashboard = dashboard
        self._desk = desk
        self._lists = lists

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [reading("/jobs", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        asked = read(request.query)
        view = await self._dashboard.read(request)
        offered = self._desk(request).offered
        found = await self._lists(request).page(asked.wanted, _LIMIT + 1, asked.before_id, offered)
        shown = found[:_LIMIT]
        return self._renderer.page(
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
    """The query of a request for the list.

    Raises:
        ProblemError: a parameter is invalid.
    """
    faults = [
        FieldFault("has control characters, which no account, operation or job has", parameter=name)
        for name in ("account", "operation", "q")
        if visible(query.get(name, "")) != query.get(name, "")
    ]
    state, before_id = None, None
    if given := query.get("state"):
        try:
            state = State(given)
        except ValueError:
            known = ", ".join(one.value for one in State)
            faults.append(FieldFault(f"there is no state {given[:64]!r}; the states are: {known}", parameter="state"))
    if given := query.get("before"):
        before_id = number_of(given)
        if before_id is None:
            faults.append(FieldFault("must be the number of a job; the list shows older ones", parameter="before"))
    text = query.get("q", "").strip().removeprefix("#")
    if len(text) > _LONGEST_SEARCH:
        faults.append(FieldFault(f"must have at most {_LONGEST_SEARCH} characters", parameter="q"))
    if faults:
        raise ProblemError(400, "the address of this list has invalid parameters", errors=faults)
    wanted = Wanted(
        account=query.get("account") or None,
        operation=query.get("operation") or None,
        states=() if state is None else (state,),
        search=text or None,
    )
    return Asked(wanted, state, before_id)

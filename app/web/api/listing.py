"""Lists of jobs through the API: filters, a search, and pages that follow one another by cursor."""

from typing import Final

from aiohttp import hdrs, web

from app.domain.job import State
from app.domain.job_view import jobs_json
from app.store.listing import Wanted
from app.web.api import shapes
from app.web.api.cursors import Page
from app.web.api.office import Office
from app.web.api.reading import LONGEST_VALUE, moment_of, refuse_query
from app.web.api.rendering import answer
from app.web.api.routes import Answer, Parameter, Query, Route
from app.web.problems import FieldFault

MOST_LISTED: Final = 1000
_USUAL: Final = 50
TEXT: Final = {"type": "string", "minLength": 1, "maxLength": LONGEST_VALUE}
_TIME: Final = {"type": "string", "format": "date-time"}

ACCOUNT: Final = Parameter("account", "only of this account", TEXT)
STATES: Final = Parameter(
    "state", "only in this state; given several times, in any of them", {"enum": [state.value for state in State]}, True
)
LIMIT: Final = Parameter(
    "limit",
    f"how many at most; {_USUAL} where it is not given",
    {"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": _USUAL},
)
CURSOR: Final = Parameter("cursor", "where the page before ended: see `next`", TEXT)


class Listing:
    """The room of lists."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def routes(self) -> list[Route]:
        """What it serves."""
        return [
            Route(
                "GET", "/v1/jobs", "listJobs", "List jobs, the newest first", self.jobs,
                {200: Answer("a page", shapes.JobPage, headers={hdrs.LINK: 'the next page, rel="next" (RFC 8288)'})},
                query=(
                    ACCOUNT,
                    Parameter(
                        "operation",
                        "only of this operation; without `account` or `unique_key`, of the accounts that have it now",
                        TEXT,
                    ),
                    STATES,
                    Parameter("unique_key", "only with this unique key", TEXT),
                    Parameter("created_after", "only made after this time", _TIME),
                    Parameter("created_before", "only made before this time", _TIME),
                    Parameter(
                        "q", "a job's number, its handle, or the beginning of its unique key or operation", TEXT
                    ),
                    LIMIT,
                    CURSOR,
                ), limited=True,
            )
        ]  # fmt: skip

    async def jobs(self, request: web.Request, query: Query) -> web.Response:
        """A page of jobs."""
        faults: list[FieldFault] = []
        wanted, limit = _wanted(query, faults), limit_of(query, faults)
        page = Page("/v1/jobs", query)
        before = page.begin(faults)
        refuse_query(faults)
        found = await self._office.lists(request).page(wanted, limit + 1, before, self._office.desk(request).offered)
        shown = jobs_json(found[:limit])
        if len(found) <= limit:
            return answer({"jobs": shown, "next": None})
        after = page.following(found[limit - 1].id)
        return answer({"jobs": shown, "next": after}, headers={hdrs.LINK: f'<{after}>; rel="next"'})


def _wanted(query: Query, faults: list[FieldFault]) -> Wanted:
    def text(name: str) -> str | None:
        return query[name][0] if name in query else None

    return Wanted(
        account=text("account"),
        operation=text("operation"),
        states=states_of(query, faults),
        unique_key=text("unique_key"),
        created_after=_moment(query, "created_after", faults),
        created_before=_moment(query, "created_before", faults),
        search=text("q"),
    )


def states_of(query: Query, faults: list[FieldFault]) -> frozenset[State]:
    """The states that a query names; what is none is added to ``faults``."""
    named = query.get("state", ())
    there_are = {state.value for state in State}
    if any(one not in there_are for one in named):
        faults.append(FieldFault(f"must be one of {', '.join(State)}", parameter="state"))
        return frozenset()
    return frozenset(State(one) for one in named)


def _moment(query: Query, name: str, faults: list[FieldFault]) -> float | None:
    if name not in query:
        return None
    at = moment_of(query[name][0])
    if at is None:
        reason = "must be a time with its offset, such as 2026-11-21T14:00:00Z; in a URL a + is written %2B"
        faults.append(FieldFault(reason, parameter=name))
    return at


def limit_of(query: Query, faults: list[FieldFault]) -> int:
    """How many a page may hold; what is no such number is added to ``faults``."""
    text = query["limit"][0] if "limit" in query else str(_USUAL)
    if text.isascii() and text.isdigit() and len(text) <= len(str(MOST_LISTED)) and 1 <= int(text) <= MOST_LISTED:
        return int(text)
    faults.append(FieldFault(f"must be a whole number from 1 to {MOST_LISTED}", parameter="limit"))
    return _USUAL

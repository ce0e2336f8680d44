"""The list of jobs through the API, with its filters and its search."""

from typing import Final

from aiohttp import hdrs, web

from app.domain.job_view import job_json
from app.store.listing import Wanted
from app.web.api import shapes
from app.web.api.cursors import ACCOUNT, CURSOR, LIMIT, STATES, TEXT, PageRequest, states_of
from app.web.api.office import Office
from app.web.api.reading import moment_of, refuse_query
from app.web.api.routes import Answer, Parameter, Query, Route
from app.web.problems import FieldFault

_TIME: Final = {"type": "string", "format": "date-time"}


class Listing:
    """The route of the list of jobs."""

    def __init__(self, context: Office) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """The routes."""
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
        wanted, page = _wanted(query, faults), PageRequest.read("/v1/jobs", query, faults)
        refuse_query(faults)
        offered = self._context.desk(request).offered
        found = await self._context.lists(request).page(wanted, page.lookup, page.before_id, offered)
        return page.response("jobs", found, job_json)


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


def _moment(query: Query, name: str, faults: list[FieldFault]) -> float | None:
    if name not in query:
        return None
    at = moment_of(query[name][0])
    if at is None:
        reason = "must be a time with its offset, such as 2026-11-21T14:00:00Z; in a URL a + is written %2B"
        faults.append(FieldFault(reason, parameter=name))
    return at

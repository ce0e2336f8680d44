"""The list of jobs through the API: its parameters, and the page that they ask for."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from aiohttp import hdrs, web

from tidewaiter.database.job_list import LARGEST_ID
from tidewaiter.domain.job import Job
from tidewaiter.domain.job_json import job_json
from tidewaiter.services.job_counts import FORMS, MOST_COUNTED, PATTERN, USUAL_FORM, count_jobs, value_reader
from tidewaiter.web.api import body_schemas as shapes
from tidewaiter.web.api.http_headers import applied, wait_of
from tidewaiter.web.api.job_conditions import CONDITIONS, conditions_of
from tidewaiter.web.api.job_routes import PREFER, gone, has_ended, refuse_if_full
from tidewaiter.web.api.job_schemas import JobCountsShape
from tidewaiter.web.api.paging import CURSOR, LIMIT, TEXT, USUAL, PageRequest
from tidewaiter.web.api.query_values import MOST_IDS, numbers_of
from tidewaiter.web.api.request_input import refuse_query
from tidewaiter.web.api.routing import ApiContext, ApiParameter, ApiResponse, ApiRoute, QueryParameters, json_reply
from tidewaiter.web.callers import scope_of
from tidewaiter.web.problems import FieldFault

IDS: Final = ApiParameter(
    "id",
    "only this job; if given several times, these jobs, all on one page unless `limit` is less",
    {"type": "integer", "minimum": 1, "maximum": LARGEST_ID},
    many=True,
    most=MOST_IDS,
)
UNTIL: Final = ApiParameter(
    "until",
    "with `id` and `Prefer: wait=N`: `all` waits until all of these jobs have ended or wait for a person, `any` until "
    "one of them has",
    {"type": "string", "enum": ["all", "any"], "default": "all"},
)

BY: Final = ApiParameter(
    "by", f"what the jobs are counted by: {FORMS}", {**TEXT, "pattern": PATTERN, "default": USUAL_FORM}
)


class JobListRoutes:
    """The route of the list of jobs."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def routes(self) -> list[ApiRoute]:
        """The routes."""
        return [
            ApiRoute(
                "GET", "/v1/jobs", "listJobs", "List jobs, the newest first", self.jobs,
                {
                    200: ApiResponse(
                        "a page", shapes.JobPage, headers={hdrs.LINK: 'the next page, rel="next" (RFC 8288)'}
                    )
                },
                query=(
                    IDS,
                    UNTIL,
                    *CONDITIONS,
                    LIMIT,
                    CURSOR,
                ),
                headers=(PREFER,),
                detail="With `id` and `Prefer: wait=N` the reply comes when the jobs have ended or wait for a person.",
                limited=True,
            ),
            ApiRoute(
                "GET", "/v1/jobs:count", "countJobs", "Count jobs by what they have in common", self.count,
                {200: ApiResponse("the counts", JobCountsShape)}, query=(BY, *CONDITIONS),
                detail=f"The newest {MOST_COUNTED:,} jobs that match are counted.", limited=True,
            ),
        ]  # fmt: skip

    async def jobs(self, request: web.Request, query: QueryParameters) -> web.Response:
        """A page of jobs, at once or when those that the query names have ended."""
        faults: list[FieldFault] = []
        conditions, is_enough = conditions_of(query, faults), _end_of(query, faults)
        filters = replace(conditions, numbers=numbers_of(query, faults))
        page = PageRequest.read("/v1/jobs", query, faults, usual=MOST_IDS if filters.numbers else USUAL)
        refuse_query(faults)
        wait_s = wait_of(request) if filters.numbers else None
        if wait_s:
            watch = self._context.watch
            refuse_if_full(watch)
            await watch.wait_for_many(filters.numbers, is_enough, wait_s, scope_of(request), gone(request))
        offered = self._context.jobs(request).offered
        found = await self._context.job_lists(request).page(filters, page.lookup, page.before_id, offered)
        response = page.response("jobs", found, job_json)
        response.headers.update(applied(wait_s))
        return response

    async def count(self, request: web.Request, query: QueryParameters) -> web.Response:
        """The jobs that match, counted."""
        faults: list[FieldFault] = []
        conditions = conditions_of(query, faults)
        by = query["by"][0] if "by" in query else USUAL_FORM
        if value_reader(by) is None:
            faults.append(FieldFault(f"must be {FORMS}", parameter="by"))
        refuse_query(faults)
        offered = self._context.jobs(request).offered
        return json_reply((await count_jobs(self._context.job_lists(request), conditions, by, offered)).as_json())


def _end_of(query: QueryParameters, faults: list[FieldFault]) -> Callable[[Collection[Job]], bool]:
    """Whether enough of the jobs that a query names have ended."""
    until = query["until"][0] if "until" in query else "all"
    if until not in ("all", "any"):
        faults.append(FieldFault("must be all or any", parameter="until"))
    return lambda jobs: (any if until == "any" else all)(map(has_ended, jobs))

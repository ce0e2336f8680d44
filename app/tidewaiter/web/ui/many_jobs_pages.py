"""One action on many jobs by the page: a review that counts and explains, then the form that does it."""

import urllib.parse
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from aiohttp import web
from multidict import MultiDict, MultiMapping
from yarl import URL

from tidewaiter.database.job_list import JobList
from tidewaiter.services import JobService
from tidewaiter.services.many_jobs import MOST_AT_ONCE, JobAction, ManyJobs, ManyResult, Selection
from tidewaiter.web.callers import TARGET, actor_of
from tidewaiter.web.problems import FieldFault, ProblemError
from tidewaiter.web.request_reading import number_of, read_bytes
from tidewaiter.web.route_rules import GuardedRoute, form_route, read_route
from tidewaiter.web.ui.job_list_query import JobListQuery, read_job_list_query
from tidewaiter.web.ui.notices import NOTICE, VERBS, done_to_many
from tidewaiter.web.ui.page_renderer import PageRenderer

_LARGEST_FORM: Final = 65_536
_SHOWN: Final = 20
_MOST_REFUSED: Final = 20


class ManyJobsPages:
    """The page at ``/jobs/review``, and its forms.

    Args:
        renderer: makes the page.
        jobs: carries out the actions.
        job_lists: finds the jobs.
    """

    def __init__(
        self,
        renderer: PageRenderer,
        jobs: Callable[[web.Request], JobService],
        job_lists: Callable[[web.Request], JobList],
    ) -> None:
        self._renderer = renderer
        self._jobs = jobs
        self._job_lists = job_lists

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        forms = [form_route(f"/jobs:{action}", partial(self._act, action)) for action in JobAction]
        return [read_route("/jobs/review", self._review), *forms]

    async def _review(self, request: web.Request) -> web.Response:
        action, (selection, query) = _action_of(request.query), selection_of(request.query)
        result = ManyResult(())
        if selection.numbers or selection.by_filter:
            result = await self._many(request).preview(action, selection, MOST_AT_ONCE)
        verb, _ = VERBS[action]
        return self._renderer.page(
            request,
            "review.html",
            title=f"{verb} jobs",
            verb=verb,
            action=action,
            result=result,
            shown=[job for _, job in result.done[::-1][:_SHOWN]],
            refused=[reason for _, reason in result.refused[:_MOST_REFUSED]],
            most=MOST_AT_ONCE,
            fields=_fields(selection, query),
            back=query.address(),
        )

    async def _act(self, action: JobAction, request: web.Request) -> web.Response:
        given = await _read_fields(request)
        selection, query = selection_of(given)
        if not selection.numbers and not selection.by_filter:
            raise ProblemError(422, "no jobs are selected: select some, or set a filter")
        result = await self._many(request).act(action, selection, actor=actor_of(request))
        how = "by filter" if selection.by_filter else "by number"
        request[TARGET] = f"{len(result.done)} jobs {how}"
        done = done_to_many(action, result)
        kept = [("unhandled", "true")] if query.filters.unhandled else query.parameters()
        raise web.HTTPSeeOther(str(URL("/jobs").with_query([*kept, (NOTICE, done)])))

    def _many(self, request: web.Request) -> ManyJobs:
        return ManyJobs(self._jobs(request), self._job_lists(request))


def review_address(action: JobAction, parameters: Mapping[str, str]) -> str:
    """The address at which a person reviews an action on all jobs that match."""
    return str(URL("/jobs/review").with_query({"action": action.value, **parameters}))


def selection_of(given: MultiMapping[str]) -> tuple[Selection, JobListQuery]:
    """The jobs that a form names: the selected rows, or those that match its filters.

    Raises:
        ProblemError: a field is invalid.
    """
    query = read_job_list_query(MultiDict((name, value) for name, value in given.items() if name != "before"))
    numbers = tuple(number_of(one) or 0 for one in given.getall("job", []))
    if 0 in numbers or len(numbers) > MOST_AT_ONCE:
        fault = FieldFault(f"must be numbers of jobs, at most {MOST_AT_ONCE}", parameter="job")
        raise ProblemError(400, "the selection is invalid", errors=[fault])
    by_rows = numbers or given.get("chosen") == "rows"  # the list says so, because no row may be selected
    if by_rows and given.get("all") != "true":
        return Selection(numbers), query
    return Selection((), query.filters), query


def _action_of(given: MultiMapping[str]) -> JobAction:
    try:
        return JobAction(given.get("action", JobAction.RETRY))
    except ValueError:
        known = ", ".join(JobAction)
        raise ProblemError(
            400, "there is no such action", errors=[FieldFault(f"must be one of: {known}", parameter="action")]
        ) from None


def _fields(selection: Selection, query: JobListQuery) -> list[tuple[str, str]]:
    """The fields of the form; beside numbers the filters only say to which list it leads back."""
    return [*(("job", str(number)) for number in selection.numbers), *query.parameters()]


async def _read_fields(request: web.Request) -> MultiDict[str]:
    raw = await read_bytes(request, _LARGEST_FORM)
    try:
        fields = urllib.parse.parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=MOST_AT_ONCE + 20)
    except ValueError:
        raise ProblemError(400, "the form cannot be read") from None
    return MultiDict(fields)

"""One action on many jobs through the API: those with some numbers, or all that match a filter."""

from functools import partial

from aiohttp import web

from tidewaiter.services.many_jobs import MOST_AT_ONCE, MOST_COUNTED, JobAction, ManyJobs, ManyResult, Selection
from tidewaiter.web.api.job_conditions import conditions_of
from tidewaiter.web.api.job_schemas import ManyJobsBody, ManyJobsShape
from tidewaiter.web.api.request_input import body_problem, read_body
from tidewaiter.web.api.routing import ApiContext, ApiResponse, ApiRoute, QueryParameters, json_reply
from tidewaiter.web.callers import TARGET, actor_of
from tidewaiter.web.problems import FieldFault

_TITLES = {
    JobAction.RETRY: ("retryJobs", "Submit many jobs again"),
    JobAction.CANCEL: ("cancelJobs", "Stop many jobs"),
    JobAction.POLL: ("pollJobs", "Make the next steps of many jobs due now"),
    JobAction.ACKNOWLEDGE: ("acknowledgeJobs", "Acknowledge many failures"),
}


class ManyJobsRoutes:
    """The routes of actions on many jobs."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def routes(self) -> list[ApiRoute]:
        """The routes."""
        return [
            ApiRoute(
                "POST", f"/v1/jobs:{action}", name, title, partial(self.act, action),
                {200: ApiResponse("what was done, or would be done", ManyJobsShape)}, body=ManyJobsBody,
                detail=(
                    f"{action.effect} At most {MOST_AT_ONCE} jobs are changed; `more` says that others match. With "
                    f"`dry_run` nothing is changed, and up to {MOST_COUNTED:,} jobs are counted. Jobs that do not "
                    "permit the action are in `refused`; the others are changed."
                ),
                limited=True,
            )
            for action, (name, title) in _TITLES.items()
        ]  # fmt: skip

    async def act(self, action: JobAction, request: web.Request, _: QueryParameters) -> web.Response:
        """Act on many jobs, or say what would be done."""
        body = await read_body(request, ManyJobsBody)
        selection = _selection_of(body)
        many = ManyJobs(self._context.jobs(request), self._context.job_lists(request))
        if body.dry_run:
            result = await many.preview(action, selection)
        else:
            result = await many.act(action, selection, actor=actor_of(request))
        request[TARGET] = target_of(selection, result, dry_run=body.dry_run)
        return json_reply(_result_json(action, result, dry_run=body.dry_run))


def target_of(selection: Selection, result: ManyResult, *, dry_run: bool) -> str:
    """What the request acted on, for the audit."""
    how = "by filter" if selection.by_filter else "by number"
    return f"{len(result.done)} jobs {how}{' (dry run)' if dry_run else ''}"


def _selection_of(body: ManyJobsBody) -> Selection:
    faults: list[FieldFault] = []
    if body.filter is None:
        selection = Selection(body.ids)
    else:
        selection = Selection((), conditions_of(body.filter.as_query(), faults))
    if faults:
        raise body_problem([FieldFault(fault.detail, f"/filter/{fault.parameter}") for fault in faults])
    if bool(body.ids) == selection.by_filter:
        raise body_problem([FieldFault("give ids, or a filter with at least one condition, and not both", "")])
    return selection


def _result_json(action: JobAction, result: ManyResult, *, dry_run: bool) -> dict[str, object]:
    return {
        "action": action.value,
        "dry_run": dry_run,
        "count": len(result.done),
        "more": result.more,
        "jobs": [{"id": number, "continues_as": job.id, "state": job.state.value} for number, job in result.done],
        "refused": [{"id": number, "reason": reason} for number, reason in result.refused],
    }

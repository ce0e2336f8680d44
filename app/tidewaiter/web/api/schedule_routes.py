"""Recurring jobs, through the API."""

from typing import Final

from aiohttp import hdrs, web

from tidewaiter.domain.job_json import job_json
from tidewaiter.services.resource_json import schedule_json
from tidewaiter.web.api import schedule_schemas as shapes
from tidewaiter.web.api.body_schemas import JobShape
from tidewaiter.web.api.request_input import read_body, read_reason
from tidewaiter.web.api.routing import ApiContext, ApiResponse, ApiRoute, QueryParameters, json_reply
from tidewaiter.web.callers import Role, actor_of

_AGAIN: Final = "1"


class ScheduleRoutes:
    """The routes of schedules."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def routes(self) -> list[ApiRoute]:
        """The routes."""
        headers: dict[str, str] = {
            hdrs.LOCATION: "address of the job",
            hdrs.RETRY_AFTER: "seconds after which to look",
        }
        return [
            ApiRoute(
                "GET", "/v1/schedules", "listSchedules", "List the recurring jobs", self.every,
                {200: ApiResponse("the schedules", shapes.SchedulesShape)}, limited=True,
            ),
            ApiRoute(
                "POST", "/v1/schedules/{name}/run", "runSchedule", "Submit a schedule's job now", self.run,
                {202: ApiResponse("the job, not at its end yet", JobShape, headers=headers)},
                body=shapes.ScheduleRunBody, problems=(404, 409),
                detail="It is submitted in addition to the ticks, with the dates of today or of the given day.",
                role=Role.SUBMIT, limited=True,
            ),
            ApiRoute(
                "POST", "/v1/schedules/{name}/pause", "pauseSchedule", "Pause a schedule", self.pause,
                {200: ApiResponse("its status", shapes.ScheduleShape)}, body=shapes.SchedulePauseBody,
                problems=(404, 409), limited=True,
                detail="Its ticks are not served until somebody resumes it. Jobs that exist continue.",
            ),
            ApiRoute(
                "POST", "/v1/schedules/{name}/resume", "resumeSchedule", "End the pause of a schedule", self.resume,
                {200: ApiResponse("its status", shapes.ScheduleShape)}, problems=(404, 409),
                detail="The ticks that have passed in the pause count as missed: `catch_up` decides whether none, the "
                "last one or all of them are served.", limited=True,
            ),
        ]  # fmt: skip

    async def every(self, request: web.Request, _: QueryParameters) -> web.Response:
        """The status of all schedules."""
        return json_reply(
            {"schedules": [schedule_json(one) for one in await self._context.schedules(request).statuses()]}
        )

    async def run(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Submit the job of a schedule now."""
        body = await read_body(request, shapes.ScheduleRunBody)
        name, schedules = request.match_info["name"], self._context.schedules(request)
        job = await schedules.run(name, actor=actor_of(request), params=body.params, as_of=body.as_of)
        headers: dict[str, str] = {hdrs.LOCATION: f"/v1/jobs/{job.id}", hdrs.RETRY_AFTER: _AGAIN}
        return json_reply(job_json(job), 202, headers)

    async def pause(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Pause a schedule."""
        reason = await read_reason(request, shapes.SchedulePauseBody)
        name, actor = request.match_info["name"], actor_of(request)
        return json_reply(schedule_json(await self._context.schedules(request).pause(name, reason, actor=actor)))

    async def resume(self, request: web.Request, _: QueryParameters) -> web.Response:
        """End the pause of a schedule."""
        name, schedules = request.match_info["name"], self._context.schedules(request)
        await schedules.resume(name, actor=actor_of(request))
        return json_reply(schedule_json(await schedules.status(name)))

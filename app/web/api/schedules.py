"""Schedules through the API: list them, and run one now."""

from typing import Final

from aiohttp import hdrs, web

from app.desk.views import schedule_json
from app.domain.job_view import job_json
from app.web.api import shapes
from app.web.api.office import Office
from app.web.api.routes import Answer, Query, Route, answer
from app.web.callers import Role, actor_of

_AGAIN: Final = "1"


class Schedules:
    """The routes of schedules."""

    def __init__(self, context: Office) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """The routes."""
        headers: dict[str, str] = {
            hdrs.LOCATION: "address of the job",
            hdrs.RETRY_AFTER: "seconds after which to look",
        }
        return [
            Route(
                "GET", "/v1/schedules", "listSchedules", "List the recurring jobs", self.every,
                {200: Answer("the schedules", shapes.SchedulesShape)}, limited=True,
            ),
            Route(
                "POST", "/v1/schedules/{name}/run", "runSchedule", "Submit a schedule's job now", self.run,
                {202: Answer("the job, not at its end yet", shapes.JobShape, headers=headers)}, problems=(404, 422),
                detail="It is submitted in addition to the ticks, with the dates of today.",
                role=Role.SUBMIT, limited=True,
            ),
        ]  # fmt: skip

    async def every(self, request: web.Request, _: Query) -> web.Response:
        """The status of all schedules."""
        return answer({"schedules": [schedule_json(one) for one in await self._context.schedules(request).standings()]})

    async def run(self, request: web.Request, _: Query) -> web.Response:
        """Submit the job of a schedule now."""
        job = await self._context.schedules(request).run(request.match_info["name"], actor=actor_of(request))
        headers: dict[str, str] = {hdrs.LOCATION: f"/v1/jobs/{job.id}", hdrs.RETRY_AFTER: _AGAIN}
        return answer(job_json(job), 202, headers)

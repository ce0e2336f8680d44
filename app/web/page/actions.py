"""What admins may do: forms that are taken, done at the desk, and answered with the page that shows what came of it."""

from collections.abc import Callable

from aiohttp import web

from app.desk import Desk, RequestError, ScheduleDesk
from app.domain.job import State
from app.web.page.frame import read_form
from app.web.page.job import job_number
from app.web.page.notices import to

_LONGEST_REASON = 500


class ActionsRoom:
    """Takes the forms. The rule of access lets only admins come here, and no other site's page.

    Args:
        desk: does what is asked.
        schedules: asks for the jobs of schedules.
    """

    def __init__(self, desk: Callable[[], Desk], schedules: Callable[[], ScheduleDesk]) -> None:
        self._desk = desk
        self._schedules = schedules

    def routes(self) -> list[web.RouteDef]:
        """Where the forms lead."""
        return [
            web.post("/jobs/{id}/cancel", self._cancel),
            web.post("/jobs/{id}/retry", self._retry),
            web.post("/jobs/{id}/poll", self._poll),
            web.post("/jobs/{id}/adopt", self._adopt),
            web.post("/accounts/{name}/pause", self._pause),
            web.post("/accounts/{name}/resume", self._resume),
            web.post("/schedules/{name}/run", self._run),
        ]

    async def _cancel(self, request: web.Request) -> web.Response:
        job = await self._desk().cancel(job_number(request))
        raise to(f"/jobs/{job.id}", "cancelled" if job.state is State.CANCELLED else "cancelling")

    async def _retry(self, request: web.Request) -> web.Response:
        number = job_number(request)
        again = await self._desk().retry(number)
        raise to(f"/jobs/{again.id}", "requeued" if again.id == number else "retried")

    async def _poll(self, request: web.Request) -> web.Response:
        job = await self._desk().poll_now(job_number(request))
        raise to(f"/jobs/{job.id}", "hurried")

    async def _adopt(self, request: web.Request) -> web.Response:
        number = job_number(request)
        handle = (await read_form(request)).get("handle")
        if not handle:
            raise RequestError("adopting takes the provider's name for the remote job; the field was empty")
        await self._desk().adopt(number, handle)
        raise to(f"/jobs/{number}", "adopted")

    async def _pause(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        reason = (await read_form(request)).get("reason", "")[:_LONGEST_REASON]
        await self._desk().pause(name, reason or None)
        raise to(f"/accounts/{name}", "paused")

    async def _resume(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        await self._desk().resume(name)
        raise to(f"/accounts/{name}", "resumed")

    async def _run(self, request: web.Request) -> web.Response:
        job = await self._schedules().run(request.match_info["name"])
        raise to(f"/jobs/{job.id}", "ran")

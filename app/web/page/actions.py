"""The forms of admins: each calls the desk and redirects to the page that shows the result."""

from collections.abc import Callable

from aiohttp import web

from app.desk import Desk, RequestError, ScheduleDesk
from app.domain.job import State
from app.web.callers import REASON, Role, actor_of
from app.web.page.forms import read_form
from app.web.page.job import job_number
from app.web.page.notices import to
from app.web.rules import GuardedRoute, acting

_LONGEST_REASON = 500


class ActionsRoom:
    """Takes the forms. Access control permits admins only, and no page of another site.

    Args:
        desk: carries out the actions.
        schedules: submits the jobs of schedules.
    """

    def __init__(self, desk: Callable[[web.Request], Desk], schedules: Callable[[web.Request], ScheduleDesk]) -> None:
        self._desk = desk
        self._schedules = schedules

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [
            acting("/jobs/{id}/cancel", self._cancel),
            acting("/jobs/{id}/retry", self._retry),
            acting("/jobs/{id}/poll", self._poll),
            acting("/jobs/{id}/adopt", self._adopt),
            acting("/accounts/{name}/pause", self._pause),
            acting("/accounts/{name}/resume", self._resume),
            acting("/schedules/{name}/run", self._run, Role.SUBMIT),
        ]

    async def _cancel(self, request: web.Request) -> web.Response:
        job = await self._desk(request).cancel(job_number(request), actor=actor_of(request))
        raise to(f"/jobs/{job.id}", "cancelled" if job.state is State.CANCELLED else "cancelling")

    async def _retry(self, request: web.Request) -> web.Response:
        number = job_number(request)
        again = await self._desk(request).retry(number, actor=actor_of(request))
        raise to(f"/jobs/{again.id}", "requeued" if again.id == number else "retried")

    async def _poll(self, request: web.Request) -> web.Response:
        job = await self._desk(request).poll_now(job_number(request), actor=actor_of(request))
        raise to(f"/jobs/{job.id}", "polled")

    async def _adopt(self, request: web.Request) -> web.Response:
        number = job_number(request)
        handle = (await read_form(request)).get("handle")
        if not handle:
            raise RequestError("adopting needs the provider's name for the remote job; the field was empty")
        await self._desk(request).adopt(number, handle, actor=actor_of(request))
        raise to(f"/jobs/{number}", "adopted")

    async def _pause(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        reason = (await read_form(request)).get("reason", "")[:_LONGEST_REASON]
        request[REASON] = reason
        await self._desk(request).pause(name, reason or None, actor=actor_of(request))
        raise to(f"/accounts/{name}", "paused")

    async def _resume(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        await self._desk(request).resume(name, actor=actor_of(request))
        raise to(f"/accounts/{name}", "resumed")

    async def _run(self, request: web.Request) -> web.Response:
        job = await self._schedules(request).run(request.match_info["name"], actor=actor_of(request))
        raise to(f"/jobs/{job.id}", "ran")

"""Takes the forms of the pages: what admins may do, signing in and signing out.

The reply to each form is a redirect, so that loading the page again repeats nothing.
"""

import urllib.parse
from collections.abc import Callable
from datetime import date
from typing import Final

from aiohttp import web

from tidewaiter.domain.formatting import visible
from tidewaiter.domain.job import State
from tidewaiter.services import AccountService, JobService, RequestError, ScheduleService
from tidewaiter.web.access_control import SESSION_COOKIE, SESSION_S, SIGN_IN, SIGN_OUT
from tidewaiter.web.callers import CALLER, REASON, REMOTE, Role, actor_of
from tidewaiter.web.problems import ProblemError
from tidewaiter.web.request_reading import read_bytes
from tidewaiter.web.route_rules import GuardedRoute, form_route
from tidewaiter.web.ui.job_pages import job_in_path
from tidewaiter.web.ui.notices import redirect_after
from tidewaiter.web.ui.page_renderer import PageRenderer

_FORM: Final = "application/x-www-form-urlencoded"
_LARGEST_FORM: Final = 16_384
_MOST_FIELDS: Final = 20
_LONGEST_REASON = 500
_LONGEST_NEXT: Final = 2048


class ActionForms:
    """Takes the forms. Access control permits admins only, and no page of another site.

    Args:
        jobs: carries out the actions on jobs.
        accounts: pauses and resumes accounts.
        schedules: submits the jobs of schedules.
    """

    def __init__(
        self,
        jobs: Callable[[web.Request], JobService],
        accounts: Callable[[web.Request], AccountService],
        schedules: Callable[[web.Request], ScheduleService],
    ) -> None:
        self._jobs = jobs
        self._accounts = accounts
        self._schedules = schedules

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [
            form_route("/jobs/{id}/cancel", self._cancel),
            form_route("/jobs/{id}/retry", self._retry),
            form_route("/jobs/{id}/poll", self._poll),
            form_route("/jobs/{id}/adopt", self._adopt),
            form_route("/jobs/{id}/acknowledge", self._acknowledge),
            form_route("/accounts/{name}/pause", self._pause),
            form_route("/accounts/{name}/resume", self._resume),
            form_route("/schedules/{name}/run", self._run, Role.SUBMIT),
            form_route("/schedules/{name}/pause", self._pause_schedule),
            form_route("/schedules/{name}/resume", self._resume_schedule),
        ]

    async def _cancel(self, request: web.Request) -> web.Response:
        job = await self._jobs(request).cancel(job_in_path(request), actor=actor_of(request))
        raise redirect_after(f"/jobs/{job.id}", "cancelled" if job.state is State.CANCELLED else "cancelling")

    async def _retry(self, request: web.Request) -> web.Response:
        number = job_in_path(request)
        again = await self._jobs(request).retry(number, actor=actor_of(request))
        raise redirect_after(f"/jobs/{again.id}", "requeued" if again.id == number else "retried")

    async def _poll(self, request: web.Request) -> web.Response:
        job = await self._jobs(request).poll_now(job_in_path(request), actor=actor_of(request))
        raise redirect_after(f"/jobs/{job.id}", "polled")

    async def _acknowledge(self, request: web.Request) -> web.Response:
        job = await self._jobs(request).acknowledge(job_in_path(request), actor=actor_of(request))
        raise redirect_after(f"/jobs/{job.id}", "acknowledged")

    async def _adopt(self, request: web.Request) -> web.Response:
        number = job_in_path(request)
        handle = (await read_form(request)).get("handle")
        if not handle:
            raise RequestError("adopting needs the provider's name for the remote job; the field was empty")
        await self._jobs(request).adopt(number, handle, actor=actor_of(request))
        raise redirect_after(f"/jobs/{number}", "adopted")

    async def _pause(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        reason = (await read_form(request)).get("reason", "")[:_LONGEST_REASON]
        request[REASON] = reason
        await self._accounts(request).pause(name, reason or None, actor=actor_of(request))
        raise redirect_after(f"/accounts/{name}", "paused")

    async def _resume(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        await self._accounts(request).resume(name, actor=actor_of(request))
        raise redirect_after(f"/accounts/{name}", "resumed")

    async def _run(self, request: web.Request) -> web.Response:
        day = (await read_form(request)).get("as_of", "")
        try:
            as_of = date.fromisoformat(day) if day else None
        except ValueError:
            raise RequestError(f"{day[:32]!r} is no date, such as 2026-01-31") from None
        job = await self._schedules(request).run(request.match_info["name"], actor=actor_of(request), as_of=as_of)
        raise redirect_after(f"/jobs/{job.id}", "ran")

    async def _pause_schedule(self, request: web.Request) -> web.Response:
        reason = (await read_form(request)).get("reason", "")[:_LONGEST_REASON]
        request[REASON] = reason
        await self._schedules(request).pause(request.match_info["name"], reason or None, actor=actor_of(request))
        raise redirect_after("/schedules", "schedule-paused")

    async def _resume_schedule(self, request: web.Request) -> web.Response:
        await self._schedules(request).resume(request.match_info["name"], actor=actor_of(request))
        raise redirect_after("/schedules", "schedule-resumed")


class LoginPages:
    """The page at ``/login``, and ``/logout``.

    Args:
        renderer: makes the page.
        is_secure: whether browsers use https, so that they send the cookie over https only.
    """

    def __init__(self, renderer: PageRenderer, is_secure: Callable[[], bool]) -> None:
        self._renderer = renderer
        self._is_secure = is_secure

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.get(SIGN_IN, self._show), web.post(SIGN_IN, self._sign_in), web.post(SIGN_OUT, self._sign_out)]

    async def _show(self, request: web.Request) -> web.Response:
        onward = local_path(request.query.get("next", ""))
        if not self._renderer.access.needs_token or request[CALLER].role > Role.NOBODY:
            raise web.HTTPSeeOther(onward)
        return self._page(request, onward)

    async def _sign_in(self, request: web.Request) -> web.Response:
        form = await read_form(request)
        onward = local_path(form.get("next", ""))
        cookie = self._renderer.access.sign_in(form.get("token", ""), request[REMOTE])
        if cookie is None:
            return self._page(request, onward, status=401, fault="This token is not known. It may have expired.")
        redirect = web.HTTPSeeOther(onward)
        redirect.set_cookie(
            SESSION_COOKIE,
            cookie,
            max_age=int(SESSION_S),
            path="/",
            httponly=True,
            samesite="Strict",
            secure=self._is_secure() or request.secure,
        )
        raise redirect

    async def _sign_out(self, request: web.Request) -> web.Response:
        await self._renderer.access.sign_out(request.cookies.get(SESSION_COOKIE, ""))
        redirect = redirect_after(SIGN_IN, "signed-out")
        redirect.del_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="Strict")
        raise redirect

    def _page(self, request: web.Request, onward: str, *, status: int = 200, fault: str | None = None) -> web.Response:
        return self._renderer.page(request, "login.html", status=status, title="Sign in", onward=onward, fault=fault)


def local_path(given: str) -> str:
    """A path of this listener to continue at; the first page in place of anything else."""
    is_path = given.startswith("/") and not given.startswith(("//", "/\\")) and len(given) <= _LONGEST_NEXT
    is_plain = given.isascii() and visible(given) == given and not any(sign in given for sign in "\\\r\n\t ")
    return given if is_path and is_plain and not given.startswith((SIGN_IN, SIGN_OUT)) else "/"


async def read_form(
    request: web.Request, *, largest: int = _LARGEST_FORM, most_fields: int = _MOST_FIELDS, as_given: bool = False
) -> dict[str, str]:
    """The fields of a form, stripped of blanks. A line ends with a line feed.

    Args:
        request: the request.
        largest: the size limit in bytes.
        most_fields: the largest number of fields.
        as_given: leave invisible characters as they are, for a caller that looks for them.

    Raises:
        ProblemError: the body is no form, is too large, or does not come in time.
    """
    if request.can_read_body and request.content_type != _FORM:
        raise ProblemError(415, f"a form comes as {_FORM}")
    raw = await read_bytes(request, largest)
    charset = request.charset or "utf-8"
    try:
        fields = urllib.parse.parse_qsl(
            raw.decode(charset), keep_blank_values=True, encoding=charset, max_num_fields=most_fields
        )
    except (ValueError, LookupError):
        raise ProblemError(400, "the form cannot be read") from None
    texts = {name: value.replace("\r\n", "\n").strip() for name, value in fields}
    return texts if as_given else {name: visible(text) for name, text in texts.items()}

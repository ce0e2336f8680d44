"""Signing in with a token, and signing out. The session is a cookie that scripts cannot read."""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from app.domain.formatting import visible
from app.web.access import SESSION_COOKIE, SESSION_S, SIGN_IN, SIGN_OUT
from app.web.callers import CALLER, REMOTE, Role
from app.web.page.forms import read_form
from app.web.page.frame import Frame
from app.web.page.notices import to

_LONGEST_NEXT: Final = 2048


class LoginRoom:
    """The page at ``/login``, and ``/logout``.

    Args:
        renderer: makes the page.
        is_secure: whether browsers use https, so that they send the cookie over https only.
    """

    def __init__(self, renderer: Frame, is_secure: Callable[[], bool]) -> None:
        self._renderer = renderer
        self._is_secure = is_secure

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.get(SIGN_IN, self._show), web.post(SIGN_IN, self._sign_in), web.post(SIGN_OUT, self._sign_out)]

    async def _show(self, request: web.Request) -> web.Response:
        onward = own_path(request.query.get("next", ""))
        if not self._renderer.access.needs_token or request[CALLER].role > Role.NOBODY:
            raise web.HTTPSeeOther(onward)
        return self._page(request, onward)

    async def _sign_in(self, request: web.Request) -> web.Response:
        form = await read_form(request)
        onward = own_path(form.get("next", ""))
        cookie = self._renderer.access.sign_in(form.get("token", ""), request[REMOTE])
        if cookie is None:
            return self._page(request, onward, status=401, fault="This token is not known. It may have expired.")
        answer = web.HTTPSeeOther(onward)
        answer.set_cookie(
            SESSION_COOKIE,
            cookie,
            max_age=int(SESSION_S),
            path="/",
            httponly=True,
            samesite="Strict",
            secure=self._is_secure() or request.secure,
        )
        raise answer

    async def _sign_out(self, request: web.Request) -> web.Response:
        await self._renderer.access.sign_out(request.cookies.get(SESSION_COOKIE, ""))
        answer = to(SIGN_IN, "signed-out")
        answer.del_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="Strict")
        raise answer

    def _page(self, request: web.Request, onward: str, *, status: int = 200, fault: str | None = None) -> web.Response:
        return self._renderer.page(request, "login.html", status=status, title="Sign in", onward=onward, fault=fault)


def own_path(given: str) -> str:
    """A path of this listener to continue at; the first page in place of anything else."""
    is_path = given.startswith("/") and not given.startswith(("//", "/\\")) and len(given) <= _LONGEST_NEXT
    is_plain = given.isascii() and visible(given) == given and not any(sign in given for sign in "\\\r\n\t ")
    return given if is_path and is_plain and not given.startswith((SIGN_IN, SIGN_OUT)) else "/"

"""An API with a login, for tests: its tokens are ``canary-token-1``, ``canary-token-2`` and so on."""

import asyncio
from collections.abc import Callable
from textwrap import dedent

from aiohttp import web

from tests.support.spec_samples import POLL, RESULTS, SUBMIT

LOGIN = """
[auth]
type = "session"

[auth.login]
url = "/login"
form = { user = "export", password = "${account.password}" }
token = "token"
expires_in = "expires_in"
"""
_HEAD = """
name = "demo"
title = "Demo"
base_url = "${account.server}/v1"
error = "error"

[account]
server = { type = "url", help = "the server" }
login_server = { type = "url", help = "where tokens are given", default = "https://login.example.com" }
password = { help = "the password", secret = true }
"""
_CANCEL = """
[operations.report.cancel]
url = "/reports/${handle}"
"""


def spec_with(login: str = LOGIN) -> str:
    """A spec whose accounts sign in."""
    return dedent(_HEAD) + login + SUBMIT + POLL + RESULTS + _CANCEL


class Api:
    """Answers whoever carries the last token that it gave; remembers what it was asked."""

    def __init__(self) -> None:
        self.logins = 0
        self.tokens = 0
        self.taken = 0
        self.asked: list[tuple[str, str | None]] = []
        self.headers: list[dict[str, str]] = []
        self.forms: list[str] = []
        self.login_status = 200
        self.login_headers: dict[str, str] = {}
        self.token_name = "token"
        self.refuses_all = False
        self.let_in = asyncio.Event()
        self.let_in.set()
        self.asked_in = asyncio.Event()
        self.good: Callable[[str | None], bool] = lambda given: given == f"Bearer canary-token-{self.tokens}"
        self.on_login: Callable[[], None] = lambda: None

    def application(self) -> web.Application:
        """The server's routes."""
        application = web.Application()
        application.router.add_post("/v1/login", self._login)
        application.router.add_get("/v1/away", self._away)
        application.router.add_get("/v1/open", self._open)
        application.router.add_route("*", "/v1/data", self._data)
        application.router.add_route("*", "/v1/reports", self._data)
        application.router.add_route("*", "/v1/reports/{id}", self._data)
        return application

    def revoke(self) -> None:
        """The last token is no good any more; the next will be."""
        revoked = f"Bearer canary-token-{self.tokens}"
        self.good = lambda given: given != revoked and given is not None

    def _note(self, what: str, request: web.Request) -> str | None:
        given = request.headers.get("Authorization")
        self.asked.append((what, given))
        self.headers.append(dict(request.headers))
        return given

    async def _login(self, request: web.Request) -> web.Response:
        self.forms.append(await request.text())
        self._note("login", request)
        self.logins += 1
        self.asked_in.set()
        self.on_login()
        await self.let_in.wait()
        if self.login_status >= 400:
            return web.json_response({"error": "who are you"}, status=self.login_status, headers=self.login_headers)
        if self.login_status != 200:
            return web.Response(status=self.login_status, headers=self.login_headers)
        self.tokens += 1
        return web.json_response({self.token_name: f"canary-token-{self.tokens}", "expires_in": 3600})

    async def _data(self, request: web.Request) -> web.Response:
        given = self._note(request.method, request)
        if self.refuses_all or not self.good(given):
            token = (given or "").removeprefix("Bearer ")
            return web.json_response({"error": f"renew {token}, please"}, status=401)
        self.taken += request.method == "POST"
        return web.json_response({"ok": True})

    async def _away(self, request: web.Request) -> web.Response:
        self._note("away", request)
        return web.Response(status=302, headers={"Location": request.query["to"]})

    async def _open(self, request: web.Request) -> web.Response:
        self._note("GET", request)
        return web.Response(body=b"a file")

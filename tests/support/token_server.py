"""An API whose token endpoint replaces refresh tokens, and revokes them all when an old one is sent twice.

As Auth0 does: https://auth0.com/docs/secure/tokens/refresh-tokens/refresh-token-rotation. The refresh tokens are
``canary-rt-0``, ``canary-rt-1`` and so on, the access tokens ``canary-at-1`` and so on.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from aiohttp import web

Answer: TypeAlias = Callable[[web.Request, web.Response], Awaitable[web.StreamResponse]]
"""Makes another reply of the one that the server would give to a renewal."""

SPEC = """
name = "rotating"
title = "Rotating"
base_url = "${account.server}/v1"
error = "error"

[account]
server = { type = "url", help = "the server" }
login = { help = "the refresh token of a person's login", secret = true }

[auth]
type = "oauth2"
grant = "refresh_token"
token_url = "/token"
client_id = "public"
refresh_token = "${account.login}"
rotates = true

[operations.report]
title = "Report"
repeatable = true
schedule = { first_delay_s = 0.1, interval_s = 0.1 }

[operations.report.submit]
url = "/reports"
handle = "id"

[operations.report.poll]
url = "/reports/${handle}"

[[operations.report.poll.rules]]
word = "status"
words = { pending = "pending", done = "ready" }

[operations.report.results]
url = "/reports/${handle}/file"
"""


async def _as_it_is(_: web.Request, response: web.Response) -> web.StreamResponse:
    return response


@dataclass(slots=True)
class TokenServer:
    """``sent`` are the refresh tokens that came in, ``reused`` those that came in although they were spent."""

    answer: Answer = _as_it_is
    lasts_s: float = 3600
    rotates: bool = True
    sent: list[str] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    submits: int = 0
    refused: int = 0
    renewals: int = 0
    revoked: bool = False
    good: str = "canary-rt-0"
    issued: int = 0

    def application(self) -> web.Application:
        """The server's routes."""
        application = web.Application()
        application.router.add_post("/v1/token", self._token)
        application.router.add_get("/v1/data", self._data)
        application.router.add_post("/v1/reports", self._submit)
        application.router.add_get("/v1/reports/{id}", self._data)
        application.router.add_get("/v1/reports/{id}/file", self._data)
        return application

    def log_in_anew(self, refresh_token: str) -> None:
        """What a person does: a new family of tokens begins."""
        self.good, self.revoked = refresh_token, False

    def end_access(self) -> None:
        """The last access token is no good any more."""
        self.issued += 1

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        token = str(form.get("refresh_token"))
        self.sent.append(token)
        if form.get("grant_type") != "refresh_token" or form.get("client_id") != "public":
            return web.json_response({"error": "invalid_request"}, status=400)
        if self.revoked or token != self.good:
            if not self.revoked and token.startswith("canary-rt-"):
                self.reused.append(token)
            self.revoked = True
            refusal = {"error": "invalid_grant", "error_description": f"{token} is spent"}
            return await self.answer(request, web.json_response(refusal, status=400))
        self.issued += 1
        self.renewals += 1
        body: dict[str, str | float] = {
            "access_token": f"canary-at-{self.issued}",
            "token_type": "bearer",
            "expires_in": self.lasts_s,
        }
        if self.rotates:
            stem, _, number = self.good.rpartition("-")
            self.good = f"{stem}-{int(number) + 1}"
            body["refresh_token"] = self.good
        return await self.answer(request, web.json_response(body))

    def _is_signed(self, request: web.Request) -> bool:
        is_good = request.headers.get("Authorization") == f"Bearer canary-at-{self.issued}"
        self.refused += not is_good
        return is_good

    def _refusal(self) -> web.Response:
        """It quotes what it should keep for itself."""
        return web.json_response({"error": f"log in with {self.good}"}, status=401)

    async def _submit(self, request: web.Request) -> web.Response:
        if not self._is_signed(request):
            return self._refusal()
        self.submits += 1
        return web.json_response({"id": f"r-{self.submits}"})

    async def _data(self, request: web.Request) -> web.Response:
        if not self._is_signed(request):
            return self._refusal()
        if request.path.endswith("/file"):
            return web.Response(body=b"a,b\n1,2\n", content_type="text/csv")
        return web.json_response({"status": "done"})

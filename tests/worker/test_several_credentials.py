"""Several credentials and a login with HTTP Basic, on a real server."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.stored_jobs import StandingClock
from tests.worker.client_setup import ClientSetup, address_of
from tests.worker.login_api import Api
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.transport.aiohttp_wire import AiohttpWire

DEVELOPER = """
[account.developer]
help = "the key of the application"
secret = true
"""
AUTH = """
[auth]
type = "several"

[[auth.of]]
type = "session"

[auth.of.login]
url = "/login"
form = { user = "export" }
token = "token"
expires_in = "expires_in"
basic = { username = "export", password = "${account.password}" }

[[auth.of]]
type = "header"
name = "Developer-Token"
value = "${account.developer}"
"""
BASIC = f"Basic {base64.b64encode(b'export:canary-password').decode()}"


@asynccontextmanager
async def serving(api: Api) -> AsyncIterator[ClientSetup]:
    """A client with two credentials for the API."""
    async with AiohttpWire() as wire, TestServer(api.application(), host="127.0.0.1") as running:
        setup = ClientSetup(
            wire, address_of(running), StandingClock(), login=DEVELOPER + AUTH, developer="canary-developer"
        )
        yield setup
        setup.log.close()


async def test_a_token_and_a_key() -> None:
    """Both are on each request, also with the next token; the login has only its own."""
    api = Api()
    async with serving(api) as setup:
        await setup.ask()
        api.revoke()
        await setup.ask()
    sent = [(what, headers.get("Authorization"), headers.get("Developer-Token"))
            for (what, _), headers in zip(api.asked, api.headers, strict=True)]  # fmt: skip
    assert sent == [
        ("login", BASIC, None),
        ("GET", "Bearer canary-token-1", "canary-developer"),
        ("GET", "Bearer canary-token-1", "canary-developer"),
        ("login", BASIC, None),
        ("GET", "Bearer canary-token-2", "canary-developer"),
    ]


async def test_another_host_gets_none_of_them() -> None:
    """A redirect leads away: neither the token nor the key goes along."""
    api, seen = Api(), list[dict[str, str]]()

    async def look(request: web.Request) -> web.Response:
        seen.append(dict(request.headers))
        return web.Response(text="a file")

    other = web.Application()
    other.router.add_get("/file", look)
    async with serving(api) as setup, TestServer(other, host="127.0.0.1") as away:
        target = str(away.make_url("/file")).replace("127.0.0.1", "localhost")
        request = WireRequest("GET", f"{setup.data.url.removesuffix('/data')}/away?to={target}")
        assert (await setup.ask(request)).status == 200
    assert "canary" not in str(seen)
    assert len(seen) == 1

"""A login and more origins of the provider, on real servers: who needs the token, and who gets it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.stored_jobs import StandingClock
from tests.worker.client_setup import ClientSetup, address_of
from tests.worker.login_api import LOGIN, Api
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.transport.aiohttp_wire import AiohttpWire

ORIGINS = """
[account.files]
type = "url"
help = "where the files are"

[account.public]
type = "url"
help = "where the public files are"

[account.key]
help = "another key"
secret = true

[origins.files]
url = "${account.files}"

[origins.public]
url = "${account.public}"
auth = false

[auths.other]
type = "header"
name = "X-Key"
value = "${account.key}"
"""


@dataclass(slots=True)
class Provider:
    """A client, the API with its login, and the addresses of a server that stands for two more origins."""

    setup: ClientSetup
    api: Api
    files: str
    public: str
    seen: list[tuple[str | None, str | None]]
    statuses: list[int]


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    """All of it, until the block is left."""
    api, seen, statuses = Api(), list[tuple[str | None, str | None]](), list[int]()

    async def look(request: web.Request) -> web.Response:
        seen.append((request.headers.get("Authorization"), request.headers.get("X-Key")))
        return web.Response(text="a file", status=statuses.pop(0) if statuses else 200)

    application = web.Application()
    application.router.add_get("/file", look)
    spec = ORIGINS.replace("[auths.other]", '[probe]\nurl = "/x"\nauth = "other"\n\n[auths.other]') + LOGIN
    async with (
        AiohttpWire() as wire,
        TestServer(api.application(), host="127.0.0.1") as running,
        TestServer(application, host="127.0.0.1") as other,
    ):
        files = address_of(other)
        public = files.replace("127.0.0.1", "localhost")
        setup = ClientSetup(
            wire, address_of(running), StandingClock(), login=spec, files=files, public=public, key="canary-key"
        )
        yield Provider(setup, api, f"{files}/file", f"{public}/file", seen, statuses)
        setup.log.close()


async def test_a_declared_origin_gets_the_token() -> None:
    """After one login, as the main origin does."""
    async with provider() as shop:
        assert (await shop.setup.ask(WireRequest("GET", shop.files))).status == 200
    assert (shop.api.logins, shop.seen) == (1, [("Bearer canary-token-1", None)])


async def test_a_declared_origin_refuses_the_token() -> None:
    """It is renewed, and the request is sent once more."""
    async with provider() as shop:
        shop.statuses.append(401)
        assert (await shop.setup.ask(WireRequest("GET", shop.files))).status == 200
    assert shop.seen == [("Bearer canary-token-1", None), ("Bearer canary-token-2", None)]


async def test_no_login_for_a_request_without_the_token() -> None:
    """Neither for an origin that gets no credentials, nor for a request that has others, or none."""
    async with provider() as shop:
        await shop.setup.ask(WireRequest("GET", shop.public))
        await shop.setup.ask(WireRequest("GET", shop.files, auth="other"))
        await shop.setup.ask(WireRequest("GET", shop.files, auth=False))
        await shop.setup.ask(
            replace(shop.setup.data, url=f"{shop.setup.data.url.removesuffix('data')}open", auth=False)
        )
    assert shop.api.asked == [("GET", None)]
    assert shop.seen == [(None, None), (None, "canary-key"), (None, None)]


async def test_a_refusal_of_other_credentials_renews_no_token() -> None:
    """The token was not on that request, so it is not to blame."""
    async with provider() as shop:
        shop.statuses.append(401)
        assert (await shop.setup.ask(WireRequest("GET", shop.files, auth="other"))).status == 401
    assert (shop.api.logins, len(shop.seen)) == (0, 1)


async def test_streams_follow_the_same_rules() -> None:
    """A download from an origin without credentials needs no login."""
    async with provider() as shop:
        async with shop.setup.client.stream(WireRequest("GET", shop.public), send_auth=True) as reply:
            assert (reply.status, reply.own) == (200, True)
        async with shop.setup.client.stream(WireRequest("GET", shop.files), send_auth=True) as reply:
            assert (reply.status, reply.own) == (200, True)
    assert shop.seen == [(None, None), ("Bearer canary-token-1", None)]

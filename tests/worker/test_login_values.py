"""A login that names the server of the account, on real servers and in a whole daemon."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.named_server_spec import SPEC
from tests.support.scripted_provider import Answer, config_for, daemon_for, open_provider
from tests.support.stored_jobs import StandingClock
from tests.worker.client_setup import ClientSetup, address_of
from tidewaiter.config import Config
from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.job import State
from tidewaiter.transport.aiohttp_wire import AiohttpWire

LOGIN = """
[account.instance]
type = "url"
help = "where requests may go"

[origins.instances]
url = "${account.instance}"

[auth]
type = "session"

[auth.login]
url = "${account.server}/v1/login"
token = "token"
keep = { instance = "instance_url", tenant = "tenant" }

[probe]
url = "/probe"
headers = { X-Tenant = "${login.tenant}" }
"""


class Instances:
    """The login server, and the instance that it names; the instance is another origin."""

    def __init__(self) -> None:
        self.named: list[str] = []
        self.logins = 0
        self.asked: list[tuple[str, str, str | None, str | None]] = []
        self.statuses: list[int] = []

    def application(self) -> web.Application:
        """The routes of both."""
        application = web.Application()
        application.router.add_post("/v1/login", self._login)
        application.router.add_get("/{path:.*}", self._answer)
        return application

    async def _login(self, _: web.Request) -> web.Response:
        self.logins += 1
        named = self.named[min(self.logins, len(self.named)) - 1]
        return web.json_response(
            {"token": f"canary-token-{self.logins}", "instance_url": named, "tenant": "canary-tenant"}
        )

    async def _answer(self, request: web.Request) -> web.Response:
        sent = (request.headers.get("Authorization"), request.headers.get("X-Tenant"))
        self.asked.append((request.host, request.path, *sent))
        return web.json_response({"error": f"of {sent}"}, status=self.statuses.pop(0) if self.statuses else 200)


async def _asked(named: str, *, statuses: tuple[int, ...] = ()) -> tuple[Instances, object, str]:
    """What two requests come to if the login names this; ``{}`` stands for the port of the declared instance."""
    instances = Instances()
    instances.statuses += statuses
    async with AiohttpWire() as wire, TestServer(instances.application(), host="127.0.0.1") as running:
        login = address_of(running)
        declared = login.replace("127.0.0.1", "localhost")
        instances.named.append(named.format(running.port))
        setup = ClientSetup(wire, login, StandingClock(), login=LOGIN, instance=declared, base_url="${login.instance}")
        setup.redactor.join(setup.log.redactor)
        request = WireRequest("GET", "https://instance.login.invalid/data", {"X-Tenant": "tenant.login.invalid"})
        results = await asyncio.gather(
            setup.client.exchange(request), setup.client.exchange(request), return_exceptions=True
        )
        shown = setup.log.redactor.clean(f"canary-tenant at {declared}")
        setup.log.close()
        return instances, results, f"{setup.output.getvalue()}{shown}"


async def test_requests_go_where_the_login_says() -> None:
    """With the token and the values, after one login."""
    instances, _, output = await _asked("http://localhost:{}")
    assert instances.logins == 1
    assert [(path, auth, tenant) for _, path, auth, tenant in instances.asked] == [
        ("/data", "Bearer canary-token-1", "canary-tenant")
    ] * 2
    assert all(host.startswith("localhost:") for host, *_ in instances.asked)
    assert "canary" not in output
    assert "[redacted] at http://localhost:" in output


async def test_a_token_that_ended() -> None:
    """The next login may name another instance; the request is built anew for it."""
    instances, _, _ = await _asked("http://localhost:{}", statuses=(401,))
    assert instances.logins == 2
    assert "Bearer canary-token-2" in {auth for _, _, auth, _ in instances.asked}


@pytest.mark.parametrize("named", ["http://127.0.0.1:{}", "http://evil.example.com", "http://localhost:1", "x"])
async def test_a_login_that_leads_elsewhere(named: str) -> None:
    """Nothing is sent, and the account is refused: a person must look."""
    instances, results, _ = await _asked(named)
    assert instances.asked == []
    assert [type(getattr(one, "outcome", None)) for one in results] == [o.Unauthorized] * 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("place", ["/{0}?x={0}#{0}", "/?{0}={0}"])
async def test_a_link_that_asks_for_the_values(place: str) -> None:
    """A host that is not the provider's gets its own link back, byte for byte, and nothing of the login."""
    asked: list[tuple[str, str]] = []

    async def collect(request: web.Request) -> web.Response:
        asked.append((request.raw_path, str(request.headers)))
        return web.Response()

    instances, hostile = Instances(), web.Application()
    hostile.router.add_get("/{path:.*}", collect)
    async with (
        AiohttpWire() as wire,
        TestServer(instances.application(), host="127.0.0.1") as running,
        TestServer(hostile, host="127.0.0.1") as other,
    ):
        login = address_of(running)
        declared = login.replace("127.0.0.1", "localhost")
        instances.named.append(declared)
        setup = ClientSetup(wire, login, StandingClock(), login=LOGIN, instance=declared, base_url="${login.instance}")
        written = place.format("tenant.login.invalid")
        request = WireRequest("GET", f"{address_of(other)}{written}", {"Accept": "tenant.login.invalid"})
        await setup.client.exchange(request)
        async with setup.client.stream(request, send_auth=True):
            pass
        setup.log.close()
    assert [path for path, _ in asked] == [written.partition("#")[0]] * 2
    assert "canary" not in str(asked)


def _configured(folder: Path, server: str, database_url: str) -> Config:
    config = config_for(folder, SPEC, server, database_url)
    spec = folder / "specs" / "shop.toml"
    spec.write_text(spec.read_text().replace('base_url = "${account.server}"', 'base_url = "${login.instance}"'))
    return config


@pytest.mark.slow
async def test_a_whole_export(tmp_path: Path, sqlite_url: str) -> None:
    """Submit, polls and the file go to the instance, and no request goes to the stand-in."""
    states = iter(("WORKING", "DONE"))
    url: list[str] = []

    async def login(_: web.Request) -> web.StreamResponse:
        return web.json_response({"token": "canary-token", "instance_url": f"{url[0]}/rest/e9/"})

    async def submit(_: web.Request) -> web.StreamResponse:
        return web.json_response({"id": "r-1"}, status=201)

    async def poll(_: web.Request) -> web.StreamResponse:
        return web.json_response({"state": next(states)})

    async def file(request: web.Request) -> web.StreamResponse:
        return web.Response(text=request.headers["Authorization"].replace("canary-token", "good"))

    answers: dict[str, Answer] = {
        "POST /login": login,
        "POST /rest/e9/reports": submit,
        "GET /rest/e9/reports/r-1": poll,
        "GET /rest/e9/reports/r-1/file": file,
    }
    async with open_provider(answers) as shop:
        url.append(shop.url)
        config = await asyncio.to_thread(_configured, tmp_path, shop.url, sqlite_url)
        async with daemon_for(config) as running:
            done = await running.run()
            landed = await running.file(done.id)
    assert (done.state, landed) == (State.SUCCEEDED, b"Bearer good")
    assert shop.times("POST /rest/e9/reports") == 1

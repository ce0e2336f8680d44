"""Tokens that the account signs, on a real server: as its own tokens, and as assertions for a token endpoint."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.providers.signing_specs import EC_KEY, pem, verified
from tests.support.stored_jobs import StandingClock
from tests.worker.client_setup import ClientSetup, address_of
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.transport.aiohttp_wire import AiohttpWire

KEY = '[account.key]\ntype = "private_key"\nhelp = "the key"\nsecret = true\n'
JWT = f"""
{KEY}
[auth]
type = "jwt"
key = "${{account.key}}"
algorithm = "ES256"
lifetime_s = 600
claims = {{ iss = "shop" }}
"""
BEARER = f"""
{KEY}
[auth]
type = "oauth2"
grant = "jwt_bearer"
token_url = "/login"
lifetime_s = 900
assertion = {{ key = "${{account.key}}", algorithm = "ES256", lifetime_s = 600, claims = {{ iss = "shop" }} }}
"""


class Server:
    """An API that checks signatures and times by its own clock, which the test moves."""

    def __init__(self, clock: StandingClock) -> None:
        self.clock = clock
        self.tokens: list[str] = []
        self.assertions: list[str] = []
        self.login: Callable[[str], Awaitable[web.Response]] = self._usual
        self.refuses_all = False

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application()
        application.router.add_post("/v1/login", self._login)
        application.router.add_route("*", "/v1/data", self._data)
        return application

    async def _login(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.assertions.append(str(form["assertion"]))
        return await self.login(self.assertions[-1])

    async def _usual(self, assertion: str) -> web.Response:
        self._in_time(verified(assertion))
        return web.json_response({"access_token": "canary-token", "expires_in": 300})

    async def _data(self, request: web.Request) -> web.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.tokens.append(token)
        if token != "canary-token" and (self.refuses_all or not self._in_time(verified(token))):
            return web.json_response({"error": f"{token} is not valid"}, status=401)
        return web.json_response({"ok": True})

    def _in_time(self, claims: Mapping[str, Any]) -> bool:
        return bool(claims["iat"] <= self.clock.now() < claims["exp"])


@asynccontextmanager
async def serving(auth: str, limits: Limits | None = None) -> AsyncIterator[tuple[Server, ClientSetup]]:
    """The server and a client for it; both have clocks of their own."""
    server, clock = Server(StandingClock()), StandingClock()
    async with AiohttpWire() as wire, TestServer(server.application(), host="127.0.0.1") as running:
        setup = ClientSetup(wire, address_of(running), clock, limits, login=auth, key=pem(EC_KEY))
        setup.redactor.join(setup.log.redactor)  # as a daemon does
        yield server, setup
        setup.log.close()


async def test_one_signature_for_fifty() -> None:
    """Fifty requests share one token, and no login is sent for it."""
    async with serving(JWT) as (server, setup):
        replies = await asyncio.gather(*(setup.ask() for _ in range(50)))
        output = setup.output.getvalue()
    assert [reply.status for reply in replies] == [200] * 50
    assert len(set(server.tokens)) == 1
    assert server.tokens[0] not in output
    assert "session.renewed" in output


async def test_a_token_is_signed_anew_before_it_ends() -> None:
    """A minute before its end, by the clock of the daemon."""
    async with serving(JWT) as (server, setup):
        await setup.ask()
        setup.clock.at += 539.0  # type: ignore[attr-defined]  # it stands
        server.clock.at += 539.0
        await setup.ask()
        setup.clock.at += 2.0  # type: ignore[attr-defined]
        server.clock.at += 2.0
        await setup.ask()
    assert len(server.tokens) == 3
    assert server.tokens[0] == server.tokens[1] != server.tokens[2]


async def test_a_clock_that_jumps_back() -> None:
    """The provider says that the token has ended, and the next one is good."""
    async with serving(JWT) as (server, setup):
        setup.clock.at += 3600.0  # type: ignore[attr-defined]  # wrong, and corrected afterwards
        server.clock.at += 3600.0
        await setup.ask()
        setup.clock.at -= 3600.0  # type: ignore[attr-defined]
        server.clock.at -= 3600.0
        reply = await setup.ask()
    assert reply.status == 200
    assert len(set(server.tokens)) == 2


async def test_a_key_that_the_provider_does_not_know() -> None:
    """Two tries, the second with a new token; then the account is refused, and no token is shown."""
    async with serving(JWT) as (server, setup):
        server.refuses_all = True
        failure = await setup.failure()
        output = setup.output.getvalue()
    assert failure == o.Unauthorized("a new token was refused as well: HTTP 401: [redacted] is not valid")
    assert len(server.tokens) == 2
    assert not any(token in output for token in server.tokens)


async def test_a_signature_costs_no_request() -> None:
    """An account that may send one request in a long time needs only that one."""
    async with serving(JWT, Limits(requests=1, period_s=3600.0)) as (server, setup):
        assert (await setup.ask()).status == 200
    assert len(server.tokens) == 1


async def test_a_signature_is_no_reply_of_the_provider() -> None:
    """It does not end a row of failures, as a login that succeeded does."""
    async with serving(JWT) as (_, setup):
        for number in range(4):
            setup.budget.failed(f"failure {number}")
        await setup.ask()
        setup.budget.failed("the fifth")
        assert setup.budget.breaker == "open"


async def test_a_grant_by_assertion() -> None:
    """Each login has a new assertion."""
    async with serving(BEARER) as (server, setup):
        assert (await setup.ask()).status == 200
        setup.clock.at += 290.0  # type: ignore[attr-defined]
        assert (await setup.ask()).status == 200
    assert len(server.assertions) == 2
    assert len({verified(one)["jti"] for one in server.assertions}) == 2


async def test_a_token_endpoint_that_quotes_the_assertion() -> None:
    """Neither the assertion nor its signature is shown, in the reason or in the log."""
    async with serving(BEARER) as (server, setup):

        async def echo(assertion: str) -> web.Response:
            signature = assertion.rpartition(".")[2]
            return web.json_response({"error": f"bad {assertion} signed {signature}"}, status=400)

        server.login = echo
        failure = await setup.failure()
        output = setup.output.getvalue()
    assert failure == o.Unauthorized("the login failed: HTTP 400: bad [redacted] signed [redacted]")
    assert not any(part in output for part in (server.assertions[0], server.assertions[0].rpartition(".")[2]))


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (web.Response(text="<html>Sign in</html>", content_type="text/html"), o.Retry),
        (web.Response(body=b"x" * 200_000), o.Retry),
        (web.Response(body=b'{"access_token": "' + b"x" * 200_000), o.Retry),
        (web.json_response({"token": "t"}), o.Unauthorized),
        (web.json_response({"access_token": ["t"]}), o.Unauthorized),
        (web.Response(status=302, headers={"Location": "/v1/data"}), o.Retry),
        (web.Response(status=307, headers={"Location": "https://evil.example.com/"}), o.Retry),
    ],
)
async def test_a_token_endpoint_that_lies(response: web.Response, outcome: type[o.Outcome]) -> None:
    """No reply but a token opens the account, and the assertion goes nowhere else."""
    async with serving(BEARER) as (server, setup):

        async def lie(_assertion: str) -> web.Response:
            return response

        server.login = lie
        assert type(await setup.failure()) is outcome
    assert len(server.assertions) == 1
    assert server.tokens == []

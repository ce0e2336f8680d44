"""More origins of a provider: which credentials each gets, directly, by a redirect, and behind another host."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.support.byte_servers import ReceivedRequest, Server, answering, reply, serving
from tests.transport.clients import to
from tidewaiter.clock import SystemClock
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.http_values import Credentials, WireRequest
from tidewaiter.domain.own_origins import AuthChoice, DeclaredOrigin
from tidewaiter.transport.account_client import AccountClient, ClientSettings
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.request_budget import Budget
from tidewaiter.transport.wire import RedirectRefusedError

MAIN = Credentials({"Authorization": "Bearer main-s3cret"})
OTHER = Credentials({"X-Other": "other-s3cret"}, (("k", "other-s3cret"),))


def seen(asked: ReceivedRequest) -> str:
    """Which credentials a request carried."""
    text = f"{asked.target}{asked.headers}"
    return " ".join(name for name in ("main", "other") if f"{name}-s3cret" in text) or "none"


class Servers:
    """The provider's main server, one declared origin, and a host that is not declared."""

    def __init__(self, main: Server, declared: Server, away: Server) -> None:
        self.main, self.declared, self.away = main, declared, away

    def client(self, wire: AiohttpWire, auth: AuthChoice = True, budget: Budget | None = None) -> AccountClient:
        """A client whose declared origin gets these credentials."""
        settings = ClientSettings(self.main.origin, True, 2**16, declared=(DeclaredOrigin(self.declared.origin, auth),))
        usual = Budget(SystemClock(), random.Random(1), Limits())
        return AccountClient(wire, settings, MAIN, budget or usual, named={"other": OTHER})


@asynccontextmanager
async def three(
    main: bytes = reply(200, b"ok"), declared: bytes = reply(200, b"ok"), away: bytes = reply(200, b"ok")
) -> AsyncIterator[Servers]:
    """Three servers, each with one answer."""
    async with AsyncExitStack() as stack:
        yield Servers(*[await stack.enter_async_context(serving(answering(one))) for one in (main, declared, away)])


@pytest.mark.parametrize(("auth", "credentials"), [(True, "main"), (False, "none"), ("other", "other")])
async def test_the_credentials_of_an_origin(auth: AuthChoice, credentials: str) -> None:
    """They are what the origin says, whether the spec, a link, or a redirect of the provider led there."""
    async with three() as servers, AiohttpWire() as wire:
        direct = await servers.client(wire, auth).exchange(WireRequest("GET", f"{servers.declared.origin}/f"))
        assert seen(servers.declared.asked[-1]) == credentials
        assert not direct.foreign
    async with three() as servers, AiohttpWire() as wire:
        servers.main.answer = answering(to(f"{servers.declared.origin}/f"))
        reached = await servers.client(wire, auth).exchange(WireRequest("GET", f"{servers.main.origin}/f"))
        assert (reached.status, reached.foreign) == (200, False)
        assert seen(servers.main.asked[-1]) == "main"
        assert seen(servers.declared.asked[-1]) == credentials


@pytest.mark.parametrize(
    ("origin", "request_", "credentials"),
    [
        (True, False, "none"),
        (True, "other", "other"),
        (False, "other", "none"),
        ("other", True, "other"),
        ("other", False, "none"),
        (True, "unknown", "none"),
    ],
)
async def test_a_request_with_credentials_of_its_own(
    origin: AuthChoice, request_: AuthChoice, credentials: str
) -> None:
    """The origin decides what may go there; within that the request chooses."""
    async with three() as servers, AiohttpWire() as wire:
        client = servers.client(wire, origin)
        await client.exchange(WireRequest("GET", f"{servers.declared.origin}/f", auth=request_))
        assert seen(servers.declared.asked[-1]) == credentials


async def test_a_chain_that_began_without_credentials() -> None:
    """A public host, or a request without credentials, cannot fetch the account's by a redirect."""
    async with three() as servers, AiohttpWire() as wire:
        servers.declared.answer = answering(to(f"{servers.main.origin}/secret"))
        await servers.client(wire, False).exchange(WireRequest("GET", f"{servers.declared.origin}/f"))
        assert seen(servers.main.asked[-1]) == "none"
        await servers.client(wire).exchange(WireRequest("GET", f"{servers.declared.origin}/f", auth=False))
        assert seen(servers.main.asked[-1]) == "none"


async def test_a_redirect_to_a_host_that_is_not_declared() -> None:
    """It gets nothing, and a hop back to a declared origin gets nothing either: another host chose it."""
    async with three() as servers, AiohttpWire() as wire:
        servers.declared.answer = answering(to(f"{servers.away.origin}/x"))
        servers.away.answer = answering(to(f"{servers.main.origin}/y"))
        reached = await servers.client(wire).exchange(WireRequest("GET", f"{servers.declared.origin}/f"))
        assert reached.foreign
        assert [seen(servers.declared.asked[0]), seen(servers.away.asked[0]), seen(servers.main.asked[0])] == [
            "main", "none", "none"
        ]  # fmt: skip


async def test_named_credentials_in_the_address_of_another_host() -> None:
    """They are credentials as well, so nothing is sent."""
    async with three() as servers, AiohttpWire() as wire:
        servers.main.answer = answering(to(f"{servers.away.origin}/x?k=other-s3cret"))
        with pytest.raises(RedirectRefusedError, match="carries the account's credentials"):
            await servers.client(wire).exchange(WireRequest("GET", f"{servers.main.origin}/f"))
        assert servers.away.asked == []


async def test_a_declared_origin_counts_against_the_limit() -> None:
    """Its requests are requests to the provider."""
    async with three() as servers, AiohttpWire() as wire:
        budget = Budget(SystemClock(), random.Random(1), Limits(requests=2, period_s=3600.0))
        client = servers.client(wire, budget=budget)
        await client.exchange(WireRequest("GET", f"{servers.declared.origin}/f"))
        await client.exchange(WireRequest("GET", f"{servers.main.origin}/f"))
        assert len(budget.snapshot()) == 2


async def test_cookies_of_a_login_are_credentials() -> None:
    """They go with the account's own credentials only, though the server is the same."""
    async with three(reply(200, b"ok", "Set-Cookie: session=cookie-s3cret; Path=/")) as servers, AiohttpWire() as wire:
        client = servers.client(wire)
        await client.sign_in(WireRequest("POST", f"{servers.main.origin}/login"))
        client.use(MAIN)
        for auth in (True, False, "other"):
            await client.exchange(WireRequest("GET", f"{servers.main.origin}/f", auth=auth))
    sent = ["cookie-s3cret" in str(asked.headers) for asked in servers.main.asked]
    assert sent == [False, True, False, False]

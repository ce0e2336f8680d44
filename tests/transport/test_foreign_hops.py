"""A redirect chain that left the provider: a hop back to it carries no credentials."""

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from tests.support.byte_servers import Server, answering, reply, serving
from tests.transport.clients import secret, to
from tidewaiter.clock import SystemClock
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.http_values import Credentials, WireRequest
from tidewaiter.transport.account_client import AccountClient, ClientSettings
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.request_budget import Budget
from tidewaiter.transport.wire import Timeouts

CREDENTIALS = Credentials(
    {"Authorization": "Bearer s3cret", "X-Key": "s3cret"}, (("access_token", "s3cret"),), (("member", "s3cret"),)
)


@dataclass(slots=True)
class Three:
    """The provider, two other hosts, and the account's client."""

    provider: Server
    first: Server
    second: Server
    client: AccountClient
    budget: Budget
    told: list[int]

    def lead_back(self, *last: bytes) -> None:
        """Provider to the first host, from there to the second, and back to the provider, which answers ``last``."""
        self.provider.answer = answering(to(f"{self.first.origin}/1"), *last)
        self.first.answer = answering(to(f"{self.second.origin}/2"))
        self.second.answer = answering(to(f"{self.provider.origin}/back"))


@pytest.fixture
async def three(wire: AiohttpWire) -> AsyncIterator[Three]:
    """Three real servers; each port is an origin of its own."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(answering(reply()))) for _ in range(3)]
        budget, told = Budget(SystemClock(), random.Random(1), Limits(requests=1000, period_s=3600.0)), list[int]()

        def on_reply(status: int, _headers: Mapping[str, str]) -> None:
            told.append(status)

        client = AccountClient(
            wire,
            ClientSettings(servers[0].origin, True, 1000, Timeouts(connect_s=5.0, read_s=5.0, overall_s=5.0)),
            CREDENTIALS,
            budget,
            on_reply=on_reply,
        )
        yield Three(servers[0], servers[1], servers[2], client, budget, told)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_comes_back_is_sent_without_credentials(three: Three, stream: bool) -> None:
    """Neither headers nor query nor members of the credentials go along, nor a header of the spec, nor a body."""
    three.lead_back(to("/on"), reply(200, b"home"))
    headers = {"Accept": "text/csv", "X-Spec-Key": "s3cret", "Cookie": "s3cret"}
    request = WireRequest("GET", f"{three.provider.origin}/result", headers, b"key=s3cret")
    if stream:
        async with three.client.stream(request, send_auth=True) as answered:
            assert not answered.own
            assert await answered.read(100) == (b"home", False)
    else:
        got = await three.client.exchange(request)
        assert (got.body, got.foreign, got.url) == (b"home", True, f"{three.provider.origin}/on")
    first, back, on = three.provider.asked
    assert secret(first)
    assert (back.target, on.target) == ("/back", "/on")
    for asked in (*three.first.asked, *three.second.asked, back, on):
        assert not secret(asked)
        assert asked.headers["accept"] == "text/csv"
        assert "cookie" not in asked.headers


async def test_what_never_left_keeps_its_credentials(three: Three) -> None:
    """A redirect within the provider, and a link that the provider names, are its own word."""
    three.provider.answer = answering(to("/on"), reply(200, b"home"))
    got = await three.client.exchange(WireRequest("GET", f"{three.provider.origin}/result"))
    assert not got.foreign
    async with three.client.stream(WireRequest("GET", f"{three.provider.origin}/f"), send_auth=True) as answered:
        assert answered.own
    assert all(asked.headers["authorization"] == "Bearer s3cret" for asked in three.provider.asked)
    assert all("access_token=s3cret" in asked.target for asked in three.provider.asked)


async def test_a_link_elsewhere_that_leads_to_the_provider(three: Three) -> None:
    """The chain begins at another host, so that host chose where at the provider it ends."""
    three.first.answer = answering(to(f"{three.provider.origin}/admin/delete-all"))
    async with three.client.stream(WireRequest("GET", f"{three.first.origin}/f"), send_auth=True) as answered:
        assert not answered.own
    assert not secret(three.provider.asked[0])


async def test_it_is_a_request_to_the_provider_all_the_same(three: Three) -> None:
    """Each takes a permit of the budget; what it says of limits counts for nobody, for it was asked as nobody."""
    three.lead_back(to("/on"), reply(429, b"", "Retry-After: 1000"))
    got = await three.client.exchange(WireRequest("GET", three.provider.origin))
    assert got.status == 429
    assert len(three.budget.snapshot()) == len(three.provider.asked) == 3
    assert three.told == [302]


async def test_cookies_of_a_login(three: Three) -> None:
    """What a login set, and what the provider set within the chain, stays out of it too, and is not ended by it."""
    login = reply(200, b"", "Set-Cookie: session=s3cret; Path=/")
    three.provider.answer = answering(login)
    await three.client.sign_in(WireRequest("POST", f"{three.provider.origin}/login"))
    three.client.use(CREDENTIALS)
    three.provider.answer = answering(
        reply(302, b"", f"Location: {three.first.origin}/1", "Set-Cookie: chain=s3cret; Path=/"),
        reply(302, b"", "Location: /again", "Set-Cookie: session=; Path=/; Max-Age=0", "Set-Cookie: new=1; Path=/"),
        reply(),
    )
    three.first.answer = answering(to(f"{three.provider.origin}/back"))
    await three.client.exchange(WireRequest("GET", f"{three.provider.origin}/result"))
    _, first, back, again = three.provider.asked
    assert first.headers["cookie"] == "session=s3cret"
    assert "cookie" not in back.headers
    assert again.headers["cookie"] == "new=1"
    await three.client.exchange(WireRequest("GET", f"{three.provider.origin}/result"))
    assert three.provider.asked[-1].headers["cookie"] == "session=s3cret"


async def test_fields_that_a_reply_has_named_for_a_link(three: Three) -> None:
    """The origin of the link gets them, and no other; none of them replaces a field of ours."""
    named = (("X-Named", "theirs"), ("accept", "theirs"), ("Authorization", "theirs"))
    three.first.answer = answering(to("/again"), to(f"{three.second.origin}/2"), reply(200, b"file"))
    three.second.answer = answering(to(f"{three.first.origin}/back"))
    request = WireRequest("GET", f"{three.first.origin}/f", {"Accept": "text/csv"}, named_headers=named)
    async with three.client.stream(request, send_auth=True):
        pass
    first, again, back = three.first.asked
    for asked in (first, again):
        assert asked.headers["x-named"] == asked.headers["authorization"] == "theirs"
        assert asked.headers["accept"] == "text/csv"
    assert not {"x-named", "authorization"} & {*three.second.asked[0].headers, *back.headers}
    at_home = WireRequest("GET", f"{three.provider.origin}/f", {}, named_headers=named)
    async with three.client.stream(at_home, send_auth=True):
        pass
    assert three.provider.asked[0].headers["authorization"] == "Bearer s3cret"
    assert three.provider.asked[0].headers["x-named"] == "theirs"

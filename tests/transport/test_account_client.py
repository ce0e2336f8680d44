"""The account client: manual redirects, credentials for the provider only, a permit for each hop to it."""

import asyncio
import random
from contextlib import AbstractAsyncContextManager
from urllib.parse import unquote_to_bytes

import pytest

from tests.support.byte_servers import ReceivedRequest, Server, answering, reply, serving
from tests.transport.clients import account, secret, to
from tidewaiter.clock import SystemClock
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.http_values import Credentials, WireRequest
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.request_budget import Budget
from tidewaiter.transport.wire import BlockedAddressError, LostReplyError, RawReply, RedirectRefusedError, Timeouts

QUERY = "access_token=s3cret%2F%2B%C3%BC"


def counting() -> Budget:
    """A budget that only counts; see ``spent``."""
    return Budget(SystemClock(), random.Random(1), Limits(requests=1000, period_s=3600.0))


def spent(budget: Budget) -> int:
    """How many requests the budget has admitted, in flight or done."""
    return len(budget.snapshot())


async def test_an_exchange(wire: AiohttpWire) -> None:
    """The request goes out with the account's credentials, the reply comes back without them."""
    async with serving(answering(reply(201, b"{}", "X-Odd: 1"))) as server:
        client = account(wire, server)
        answered = await client.exchange(WireRequest("POST", f"{server.origin}/jobs?a=%2f&b", {"X-Own": "1"}, b"body"))
    asked = server.asked[0]
    assert (asked.method, asked.target, asked.body) == ("POST", f"/jobs?a=%2f&b&{QUERY}", b"body")
    assert (asked.headers["authorization"], asked.headers["x-key"]) == ("Bearer s3cret", "s3cret")
    assert asked.headers["x-own"] == "1"
    assert (answered.status, answered.body, answered.headers["x-odd"], answered.truncated) == (201, b"{}", "1", False)
    assert answered.url == f"{server.origin}/jobs?a=%2f&b"


class Recording:
    """A wire that leads nowhere and remembers what was to go out."""

    def __init__(self) -> None:
        self.sent: list[WireRequest] = []

    def open(
        self, request: WireRequest, *, private_ok: PermittedNetworks, timeouts: Timeouts, stream: bool
    ) -> AbstractAsyncContextManager[RawReply]:
        """No reply."""
        self.sent.append(request)
        raise LostReplyError("Nobody is there.")


async def test_credentials_win_over_a_header_of_the_request() -> None:
    """A header is never sent twice in two spellings."""
    wire = Recording()
    client = account(wire, Server(answering(reply()), port=1))
    with pytest.raises(LostReplyError):
        await client.exchange(WireRequest("GET", "http://127.0.0.1:1", {"authorization": "Basic old", "A": "b"}))
    assert wire.sent[0].headers == {"A": "b", "Authorization": "Bearer s3cret", "X-Key": "s3cret"}
    assert wire.sent[0].url == f"http://127.0.0.1:1?{QUERY}"


async def test_renewed_credentials(wire: AiohttpWire) -> None:
    """After ``use`` the old token is gone."""
    async with serving(answering(reply())) as server:
        client = account(wire, server)
        client.use(Credentials({"X-Token": "new"}))
        await client.exchange(WireRequest("GET", f"{server.origin}/"))
    assert server.asked[0].headers["x-token"] == "new"
    assert not secret(server.asked[0])


async def test_a_long_reply_is_cut_at_the_limit(wire: AiohttpWire) -> None:
    """The buffer has a limit, and the reply says so."""
    async with serving(answering(reply(200, b"x" * 101))) as server:
        answered = await account(wire, server, body_limit=100).exchange(WireRequest("GET", server.origin))
    assert (answered.body, answered.truncated) == (b"x" * 100, True)


async def test_five_redirects_are_followed(wire: AiohttpWire) -> None:
    """Of every kind, relative or absolute, with credentials on each hop to the provider, each query pair once."""
    statuses = (301, 302, 303, 307, 308)
    hops = [to(f"/{status}?{QUERY}&n={status}", status) for status in statuses]
    async with serving(answering(*hops, reply())) as server:
        answered = await account(wire, server).exchange(WireRequest("HEAD", f"{server.origin}/start"))
    assert answered.status == 200
    assert answered.url == f"{server.origin}/308?{QUERY}&n=308"
    assert [asked.method for asked in server.asked] == ["HEAD"] * 6
    assert [asked.target for asked in server.asked[1:]] == [f"/{status}?{QUERY}&n={status}" for status in statuses]
    assert all(asked.headers["authorization"] == "Bearer s3cret" for asked in server.asked)


async def test_a_stale_value_in_the_query_is_replaced(wire: AiohttpWire) -> None:
    """An address may hold a token that was renewed since: two of one name would be anybody's guess."""
    name, _, value = QUERY.partition("=")
    async with serving(answering(reply())) as server:
        client = account(wire, server)
        await client.exchange(WireRequest("GET", f"{server.origin}/1?{name}=old&n=%2f&%{ord(name[0]):02X}{name[1:]}=x"))
        await client.exchange(WireRequest("GET", f"{server.origin}/2?{name}={value}&n=1"))
    assert [asked.target for asked in server.asked] == [f"/1?n=%2f&{QUERY}", f"/2?{QUERY}&n=1"]


async def test_our_credentials_in_another_spelling_lead_nowhere_else(wire: AiohttpWire) -> None:
    """A redirect to another host that carries them is refused, however they are encoded."""
    name, _, value = QUERY.partition("=")
    spelled = "".join(f"%{byte:02x}" for byte in unquote_to_bytes(value))
    async with (
        serving(answering(reply())) as other,
        serving(answering(to(f"{other.origin}/?{name}={spelled}"))) as server,
    ):
        with pytest.raises(RedirectRefusedError, match="carries the account's credentials"):
            await account(wire, server).exchange(WireRequest("GET", f"{server.origin}/"))
    assert not other.asked


@pytest.mark.fault(36)
async def test_the_sixth_redirect_is_refused(wire: AiohttpWire) -> None:
    """A circle of redirects ends."""
    async with serving(answering(to("/again"))) as server:
        with pytest.raises(RedirectRefusedError, match="More than 5"):
            await account(wire, server).exchange(WireRequest("GET", f"{server.origin}/"))
    assert len(server.asked) == 6


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_submit_is_never_redirected(wire: AiohttpWire, method: str, status: int) -> None:
    """A redirect of anything but GET and HEAD is the reply, for the rules to read."""
    async with serving(answering(to("/elsewhere", status))) as server:
        answered = await account(wire, server).exchange(WireRequest(method, f"{server.origin}/", {}, b"submit"))
    assert (answered.status, answered.headers["location"]) == (status, "/elsewhere")
    assert len(server.asked) == 1


@pytest.mark.fault(36)
@pytest.mark.parametrize("stream", [False, True])
async def test_credentials_never_leave_the_provider(wire: AiohttpWire, stream: bool) -> None:
    """On another origin nothing of the account goes along, of the request's own headers only the harmless.

    Another port is another origin. A body, which may hold a key, stays too. Nothing of it comes back at the provider.
    """
    headers = {"Accept": "text/csv", "Range": "bytes=5-", "If-Range": '"a"', "X-Spec-Key": "s3cret", "Cookie": "s3cret"}
    async with serving(answering(reply())) as provider, serving(answering(reply())) as host:
        provider.answer = answering(to(f"{host.origin}/signed?X-Sig=a%2Fb"), reply(200, b"home"))
        host.answer = answering(to(f"{provider.origin}/back"))
        client = account(wire, provider)
        request = WireRequest("GET", f"{provider.origin}/result", headers, b"key=s3cret")
        if stream:
            async with client.stream(request, send_auth=True) as answered:
                assert not answered.own
                assert await answered.read(100) == (b"home", False)
        else:
            assert (await client.exchange(request)).body == b"home"
    first, last = provider.asked
    away = host.asked[0]
    assert secret(first)
    assert first.body == b"key=s3cret"
    assert not secret(away)
    assert away.target == "/signed?X-Sig=a%2Fb"
    assert {name: away.headers[name] for name in ("accept", "range", "if-range")} == {
        "accept": "text/csv",
        "range": "bytes=5-",
        "if-range": '"a"',
    }
    assert not secret(last)


async def test_a_link_to_another_origin(wire: AiohttpWire) -> None:
    """A file host that the provider names sees nothing of the account from the first request on."""
    async with serving(answering(reply())) as provider, serving(answering(reply(200, b"a,b"))) as host:
        request = WireRequest("GET", f"{host.origin}/f?X-Sig=1", {"X-Spec-Key": "s3cret"})
        async with account(wire, provider).stream(request, send_auth=True) as answered:
            assert (answered.status, answered.own, answered.url) == (200, False, request.url)
            assert b"".join([chunk async for chunk in answered.chunks()]) == b"a,b"
    assert not secret(host.asked[0])
    assert not provider.asked


async def test_a_link_without_credentials(wire: AiohttpWire) -> None:
    """A signed address on the provider's own origin may not bear a second proof; the spec says so."""
    async with serving(answering(reply(200, b"a,b"))) as server:
        request = WireRequest("GET", f"{server.origin}/f?X-Sig=1")
        async with account(wire, server).stream(request, send_auth=False) as answered:
            assert answered.own
    assert not secret(server.asked[0])
    assert server.asked[0].target == "/f?X-Sig=1"


@pytest.mark.invariant(10)
async def test_credentials_written_into_an_address_abroad(wire: AiohttpWire) -> None:
    """A provider that puts the account's key into a redirect to another host is not obeyed."""
    async with serving(answering(reply())) as provider, serving(answering(reply())) as host:
        provider.answer = answering(to(f"{host.origin}/f?a=1&{QUERY}"))
        with pytest.raises(RedirectRefusedError) as caught:
            await account(wire, provider).exchange(WireRequest("GET", f"{provider.origin}/"))
    assert "s3cret" not in str(caught.value)
    assert not host.connections


async def test_a_redirect_without_an_address(wire: AiohttpWire) -> None:
    """It is a reply like any other."""
    async with serving(answering(reply(302, b"?"))) as server:
        assert (await account(wire, server).exchange(WireRequest("GET", server.origin))).status == 302


async def test_a_redirect_to_nonsense(wire: AiohttpWire) -> None:
    """It is refused, and says whose it was."""
    async with serving(answering(to("ftp://s3cret/"))) as server:
        with pytest.raises(RedirectRefusedError, match=server.origin):
            await account(wire, server).exchange(WireRequest("GET", server.origin))


@pytest.mark.fault(57)
async def test_a_redirect_into_the_private_network(wire: AiohttpWire) -> None:
    """Permission is the account's, on every hop."""
    async with serving(answering(reply())) as server:
        client = account(wire, server, private_ok=False)
        with pytest.raises(BlockedAddressError):
            await client.exchange(WireRequest("GET", server.origin))
        assert not server.connections


# --- the budget -----------------------------------------------------------------------------------------------------


@pytest.mark.invariant(8)
async def test_every_hop_to_the_provider_takes_a_permit(wire: AiohttpWire) -> None:
    """Redirects to the provider included, requests to the file host not."""
    budget = counting()
    async with serving(answering(reply())) as provider, serving(answering(reply())) as host:
        provider.answer = answering(to("/second"), to(f"{host.origin}/f"), reply())
        host.answer = answering(to("/g"), reply())
        await account(wire, provider, budget=budget).exchange(WireRequest("GET", provider.origin))
        assert spent(budget) == len(provider.asked) == 2
        assert len(host.asked) == 2
        async with account(wire, provider, budget=budget).stream(WireRequest("GET", provider.origin), send_auth=True):
            assert spent(budget) == len(provider.asked) == 3


async def admits(budget: Budget) -> bool:
    """Whether a request is admitted before long."""
    try:
        async with asyncio.timeout(0.3):
            (await budget.admit()).done()
    except TimeoutError:
        return False
    return True


async def test_a_prepaid_permit(wire: AiohttpWire) -> None:
    """A permit that the lane has taken pays for the first hop, and is done afterwards even where no hop needed it."""
    budget = counting()
    async with serving(answering(to("/second"), reply())) as server, serving(answering(reply())) as host:
        await account(wire, server, budget=budget).exchange(WireRequest("GET", server.origin), await budget.admit())
        assert spent(budget) == len(server.asked) == 2
        budget = Budget(SystemClock(), random.Random(1), Limits(requests=1, period_s=0.05))
        await account(wire, server, budget=budget).exchange(WireRequest("GET", host.origin), await budget.admit())
        assert await admits(budget)


async def test_a_permit_is_done_with_the_headers(wire: AiohttpWire) -> None:
    """While the headers are awaited the request keeps its place in the window; while the body is read, no longer."""
    budget = Budget(SystemClock(), random.Random(1), Limits(requests=1, period_s=0.05))
    headers, body, asked = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def answer(_asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await headers.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
        await body.wait()
        writer.write(b"x")

    async with serving(answer) as server:
        exchange = asyncio.create_task(account(wire, server, budget=budget).exchange(WireRequest("GET", server.origin)))
        await asked.wait()
        assert not await admits(budget)
        headers.set()
        assert await admits(budget)
        assert not exchange.done()
        body.set()
        assert (await exchange).body == b"x"


@pytest.mark.invariant(12)
async def test_a_failed_or_cancelled_exchange_gives_its_place_back(wire: AiohttpWire) -> None:
    """No way out leaves a permit in flight for ever."""
    budget = Budget(SystemClock(), random.Random(1), Limits(requests=1, period_s=0.05))
    asked = asyncio.Event()

    async def drop(_asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def keep_waiting(_asked: ReceivedRequest, _writer: asyncio.StreamWriter) -> None:
        asked.set()

    async with serving(drop) as server:
        client = account(wire, server, budget=budget)
        with pytest.raises(LostReplyError):
            await client.exchange(WireRequest("GET", server.origin))
        assert await admits(budget)
        server.answer = keep_waiting
        exchange = asyncio.create_task(client.exchange(WireRequest("GET", server.origin)))
        await asked.wait()
        exchange.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exchange
        assert await admits(budget)

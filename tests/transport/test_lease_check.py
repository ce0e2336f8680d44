"""The last check of the lease: no hop is sent after its end, however long the connection took."""

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from tests.support.byte_servers import ReceivedRequest, Server, reply, serving
from tidewaiter.clock import SystemClock
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.http_values import Credentials, WireRequest
from tidewaiter.metrics.process_metrics import PROVIDER, Metrics
from tidewaiter.transport.account_client import AccountClient, ClientSettings
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.counting_wire import CountingWire
from tidewaiter.transport.request_budget import Budget
from tidewaiter.transport.wire import LeaseOverError, Timeouts, TransportError, Wire


class Lease:
    """A lease that a test ends."""

    def __init__(self) -> None:
        self.held = True

    def __call__(self) -> bool:
        return self.held


def account(wire: Wire, server: Server, lease: Callable[[], bool], timeouts: Timeouts | None = None) -> AccountClient:
    """A client whose provider is ``server``."""
    return AccountClient(
        wire,
        ClientSettings(server.origin, True, 1000, timeouts or Timeouts(connect_s=5.0, read_s=5.0, overall_s=5.0)),
        Credentials({}),
        Budget(SystemClock(), random.Random(1), Limits()),
        may_send=lease,
    )


async def ask(client: AccountClient, kind: str, url: str) -> None:
    """One request of a kind."""
    request = WireRequest("GET", url)
    match kind:
        case "exchange":
            await client.exchange(request)
        case "login":
            await client.sign_in(request)
        case _:
            async with client.stream(request, send_auth=kind == "own file") as got:
                await got.read(10)


@pytest.mark.parametrize("kind", ["exchange", "login", "own file", "file"])
async def test_nothing_leaves(wire: AiohttpWire, kind: str) -> None:
    """Polls, logins, and downloads from the provider and from other hosts."""
    lease = Lease()
    lease.held = False
    async with serving(_redirecting(lease, "")) as server, serving(_redirecting(lease, "")) as elsewhere:
        url = elsewhere.origin if kind == "file" else server.origin
        with pytest.raises(LeaseOverError):
            await ask(account(wire, server, lease), kind, url)
    assert server.asked == elsewhere.asked == []


@pytest.mark.parametrize("abroad", [False, True])
@pytest.mark.parametrize("kind", ["exchange", "file"])
async def test_no_redirect_is_followed(wire: AiohttpWire, kind: str, abroad: bool) -> None:
    """The lease ends while the first hop is under way: the second does not leave, wherever it leads."""
    lease = Lease()
    async with AsyncExitStack() as stack:
        elsewhere = await stack.enter_async_context(serving(_redirecting(lease, "")))
        target = f"{elsewhere.origin}/there" if abroad else "/there"
        server = await stack.enter_async_context(serving(_redirecting(lease, target)))
        with pytest.raises(LeaseOverError):
            await ask(account(wire, server, lease), kind, f"{server.origin}/here")
    assert [asked.target for asked in server.asked] == ["/here"]
    assert elsewhere.asked == []


async def test_a_connection_that_took_too_long(wire: AiohttpWire) -> None:
    """The lease is looked at when the connection stands; what is told of the request's departure is true."""
    told: list[bool] = []
    looks = iter([True, False])
    metered = Metrics().requests("shop", PROVIDER)
    async with serving(_redirecting(Lease(), "")) as server:
        counted = CountingWire(wire, server.origin, metered, metered, SystemClock())
        client = account(counted, server, lambda: next(looks))
        with pytest.raises(LeaseOverError):
            await client.exchange(WireRequest("GET", server.origin), on_send=told.append)
    assert (server.asked, told) == ([], [])


async def test_a_header_that_cannot_be_written(wire: AiohttpWire) -> None:
    """What fails before its first byte was surely not sent."""
    told: list[bool] = []
    async with serving(_redirecting(Lease(), "")) as server:
        with pytest.raises(ValueError, match="header"):
            await account(wire, server, Lease()).exchange(
                WireRequest("GET", server.origin, {"X-A": "a\r\nX-B: b"}), on_send=told.append
            )
    assert (server.asked, told) == ([], [True, False])


async def test_no_connection_is_no_departure(wire: AiohttpWire) -> None:
    """A request that never found its server is never told to have left."""
    told: list[bool] = []
    async with serving(_redirecting(Lease(), "")) as server:
        pass
    with pytest.raises(TransportError):
        await account(wire, server, Lease()).exchange(WireRequest("POST", server.origin), on_send=told.append)
    assert told == []


def _redirecting(
    lease: Lease, target: str
) -> Callable[[ReceivedRequest, asyncio.StreamWriter], "asyncio.Future[None]"]:
    """Ends the lease, then redirects."""

    async def answer(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        lease.held = False
        writer.write(reply(302, b"", f"Location: {target}") if target else reply())
        await writer.drain()

    return answer  # type: ignore[return-value]  # a coroutine function

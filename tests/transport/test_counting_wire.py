"""The wire that counts: over real sockets, each request once, by where it went and how it ended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.support.byte_servers import Asked, Server, answering, reply, reset
from tests.support.byte_servers import serving as serving_at
from tidewaiter.clock import SystemClock
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.metrics.readings import RequestCounter
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.counting_wire import CountingWire
from tidewaiter.transport.wire import LostReplyError, NotSentError, Timeouts


@dataclass(slots=True)
class Metered:
    """A counting wire to a server that stands for the provider."""

    wire: CountingWire
    server: Server
    provider: RequestCounter = field(default_factory=RequestCounter)
    elsewhere: RequestCounter = field(default_factory=RequestCounter)

    async def get(self, url: str) -> tuple[int, bytes]:
        """Status and body of a GET."""
        request = WireRequest("GET", url)
        async with self.wire.open(request, private_ok=True, timeouts=Timeouts(), stream=False) as raw:
            body, _ = await raw.read(1000)
        return raw.status, body


@asynccontextmanager
async def metered(*replies: bytes) -> AsyncIterator[Metered]:
    """The wire, and a server with these replies."""
    provider, elsewhere = RequestCounter(), RequestCounter()
    async with serving_at(answering(*replies)) as server, AiohttpWire() as wire:
        yield Metered(
            CountingWire(wire, server.origin, provider, elsewhere, SystemClock()), server, provider, elsewhere
        )


async def test_replies_are_passed_on_and_counted() -> None:
    """Whoever asks gets the reply as it came; its class is counted with the seconds until its headers."""
    async with metered(reply(200, b"one"), reply(404), reply(503)) as place:
        assert await place.get(f"{place.server.origin}/a") == (200, b"one")
        assert (await place.get(f"{place.server.origin}/b"))[0] == 404
        assert (await place.get(f"{place.server.origin}/c"))[0] == 503
    assert {status: count for status, count in place.provider.statuses.items() if count} == {
        "2xx": 1,
        "4xx": 1,
        "5xx": 1,
    }
    assert place.provider.latency.cumulative()[-1] == ("+Inf", 3.0)
    assert 0 < place.provider.latency.total < 60


async def test_other_hosts_are_counted_apart() -> None:
    """A file's host is not the provider."""
    async with metered(reply(200)) as place, serving_at(answering(reply(200))) as files:
        await place.get(f"{files.origin}/file")
    assert place.provider.statuses["2xx"] == 0
    assert place.elsewhere.statuses["2xx"] == 1


async def test_requests_without_a_reply() -> None:
    """One that could not be sent and one whose reply was lost are told apart, and have no latency."""

    async def broken(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        reset(writer)

    async with metered(reply(200)) as place:
        with pytest.raises(NotSentError):
            await place.get("http://127.0.0.1:1/nobody")
        place.server.answer = broken
        with pytest.raises(LostReplyError):
            await place.get(f"{place.server.origin}/reset")
    assert place.elsewhere.statuses["unsent"] == 1
    assert place.provider.statuses["lost"] == 1
    assert place.provider.latency.cumulative()[-1] == ("+Inf", 0.0)

"""The simulated network: carries requests to emulators in the same process, and loses some."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate
from random import Random
from urllib.parse import unquote

from multidict import CIMultiDict

from tidewaiter.clock import Clock
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.emulators.controls import FaultKind, InjectedFault
from tidewaiter.emulators.emulated_replies import Reply, page_reply, spoiled
from tidewaiter.emulators.server import EmulatedCall, EmulatedRoute, EmulatedServer, RecordedRequest
from tidewaiter.transport.wire import BrokenBodyError, LostReplyError, NotSentError, Timeouts, TlsError

_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the network is: each number is the chance that it happens to one request."""

    refused: float = 0.0
    lost_request: float = 0.0
    lost_reply: float = 0.0
    broken_body: float = 0.0
    slow: float = 0.0
    latency_s: float = 0.05


class SimulatedReply:
    """One reply; its body may break off."""

    def __init__(self, reply: Reply, url: str, date: str, *, breaks: bool) -> None:
        self.status = reply.status
        self.phrase = reply.reason or ""
        self.url = url
        self.headers: CIMultiDict[str] = CIMultiDict({"Date": date, **reply.headers})
        self._body = reply.body
        self._breaks = breaks
        if reply.content_type is not None:
            self.headers["Content-Type"] = reply.content_type
        self.headers["Content-Length"] = str(reply.body.size)

    async def read(self, limit: int) -> tuple[bytes, bool]:
        """The body up to ``limit`` bytes, and whether there was more."""
        whole = b"".join([chunk async for chunk in self.chunks()])
        return whole[:limit], len(whole) > limit

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, in pieces; breaks off half way if the weather says so."""
        end = self._body.size // 2 if self._breaks else self._body.size
        for start in range(0, end, _CHUNK):
            for piece in self._body.chunks(start, min(end, start + _CHUNK)):
                yield piece
            await asyncio.sleep(0)
        if self._breaks:
            raise BrokenBodyError("the connection broke in the middle of the body")


class SimulatedWire:
    """Carries requests to emulators by their origins.

    ``weather`` may be changed while it runs; ``sent`` counts the requests that reached a server. Before
    ``refuse_before_s`` (virtual seconds) nobody answers at all, before ``distrust_before_s`` nobody can prove who they
    are; ``distrusted`` counts how often that was found out.
    """

    def __init__(self, servers: Sequence[EmulatedServer], clock: Clock, rand: Random) -> None:
        self.weather = Weather()
        self.sent = 0
        self.refuse_before_s = 0.0
        self.distrust_before_s = 0.0
        self.distrusted = 0
        self._clock = clock
        self._rand = rand
        self._servers = {server.origin: (server, _compiled(server)) for server in servers}

    @asynccontextmanager
    async def open(
        self, request: WireRequest, *, private_ok: PermittedNetworks, timeouts: Timeouts, stream: bool
    ) -> AsyncIterator[SimulatedReply]:
        """One request, one hop."""
        assert private_ok, "the emulators stand on loopback"
        weather, chance = self.weather, self._rand.random
        if self._clock.monotonic() < self.distrust_before_s:
            self.distrusted += 1
            raise TlsError("No safe connection to the provider: its certificate was refused, it has expired.")
        if chance() < weather.refused or self._clock.monotonic() < self.refuse_before_s:
            raise NotSentError("connection refused")
        await self._clock.sleep(weather.latency_s * chance())
        if chance() < weather.lost_request:
            await self._clock.sleep(timeouts.overall_s)
            raise LostReplyError("no reply in time")
        server, fault, reply = self._answer(request)
        await self._clock.sleep(weather.latency_s * chance())
        takes_s = reply.delay_s + (fault.seconds if fault.kind is FaultKind.LATENCY else 0.0)
        await self._clock.sleep(min(takes_s, timeouts.overall_s))
        if takes_s > timeouts.overall_s:
            raise LostReplyError("no reply in time")
        if fault.kind in (FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER) or chance() < weather.lost_reply:
            raise LostReplyError("the connection was reset before the reply")
        if chance() < weather.slow:
            await self._clock.sleep(5.0)
        breaks = fault.kind in (FaultKind.TRUNCATE, FaultKind.STALL) or chance() < weather.broken_body
        date = formatdate(server.server_now(), usegmt=True)
        yield SimulatedReply(spoiled(reply, fault), request.url, date, breaks=breaks)

    def _answer(self, request: WireRequest) -> tuple[EmulatedServer, InjectedFault, Reply]:
        """Let the server whose origin it is answer, in one go."""
        origin = "/".join(request.url.split("/", 3)[:3])
        server, routes = self._servers[origin]
        path_qs = request.url[len(origin) :]
        path = path_qs.partition("?")[0] or "/"
        self.sent += 1
        route, arguments = _found(routes, request.method, path) or (_unknown(server), {})
        fault = server.faults.take(route.name)
        headers = CIMultiDict(request.headers)
        asked = RecordedRequest(self._clock.now(), request.method, path_qs, route.name, headers, request.body or b"")
        server.requests.append(asked)
        if fault.kind is FaultKind.RESET_BEFORE:
            return server, fault, page_reply(500, "never seen")
        refused = server._refused(fault)
        return server, fault, refused or route.answer(EmulatedCall(asked, arguments, fault))


def _found(
    routes: Sequence[tuple[EmulatedRoute, re.Pattern[str]]], method: str, path: str
) -> tuple[EmulatedRoute, dict[str, str]] | None:
    for route, pattern in routes:
        match = pattern.fullmatch(path) if route.method == method else None
        if match is not None:
            return route, {name: unquote(value) for name, value in match.groupdict().items()}
    return None


def _unknown(server: EmulatedServer) -> EmulatedRoute:
    return EmulatedRoute("unknown", "*", "", server.unknown)


def _compiled(server: EmulatedServer) -> list[tuple[EmulatedRoute, re.Pattern[str]]]:
    """The server's routes with aiohttp's path patterns as regular expressions."""
    return [(route, re.compile(_pattern(route.path))) for route in server.routes()]


def _pattern(path: str) -> str:
    return re.sub(
        r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})+))?\}", lambda found: f"(?P<{found[1]}>{found[2] or '[^/]+'})", path
    )

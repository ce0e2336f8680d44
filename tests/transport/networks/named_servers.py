"""Servers on several addresses of this machine, and names that lead to them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.support.byte_servers import reply
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.networks import Network, PermittedNetworks, network_of
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.wire import BlockedAddressError, Timeouts

QUICK = Timeouts(connect_s=2.0, read_s=2.0, overall_s=3.0)


@dataclass
class Names(AbstractResolver):
    """A resolver whose names have the addresses that a test gives them, each lookup the next answer."""

    answers: dict[str, list[list[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The next answer of a name; the last one for ever."""
        self.asked.append(host)
        left = self.answers[host.rstrip(".")]
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class Doors:
    """Listeners with one port on several addresses of this machine; each counts who came."""

    port: int
    seen: dict[str, int] = field(default_factory=dict)


@asynccontextmanager
async def doors(*hosts: str) -> AsyncIterator[Doors]:
    """Servers on these addresses, all with the same port."""
    found, servers = Doors(0), []

    def door(host: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        found.seen[host] = 0

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while await reader.readuntil(b"\r\n\r\n"):
                    writer.write(reply(200, host.encode()))
            except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                writer.close()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found.seen[host] += 1
            tasks.add(asyncio.create_task(talk(reader, writer)))

        return connected

    tasks: set[asyncio.Task[None]] = set()
    for host in hosts:
        servers.append(await asyncio.start_server(door(host), host, found.port))
        found.port = servers[0].sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        for server in servers:
            server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def networks(*texts: str) -> tuple[Network, ...]:
    """These networks, permitted."""
    return tuple(map(network_of, texts))


async def got(wire: AiohttpWire, url: str, private_ok: PermittedNetworks, *, fresh: bool = False) -> bytes:
    """What answers there; each of the doors says its own address."""
    request = WireRequest("GET", url, fresh=fresh)
    async with wire.open(request, private_ok=private_ok, timeouts=QUICK, stream=False) as answered:
        body, _ = await answered.read(100)
        return body


async def refused(wire: AiohttpWire, url: str, private_ok: PermittedNetworks) -> str:
    """Why nothing was sent there."""
    with pytest.raises(BlockedAddressError) as caught:
        await got(wire, url, private_ok)
    return str(caught.value)

"""A real HTTP proxy: tunnels (CONNECT) and requests in absolute form, with a sign-in, and with faults on demand."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.byte_servers import ReceivedRequest


@dataclass(slots=True)
class ProxyServer:
    """What a proxy was asked; every name leads to this machine.

    ``user`` and ``password`` are what it wants to hear. ``kinds`` are the kinds of sign-in that it
    names. ``says`` is sent instead of doing what it was asked.
    ``cut_after`` is how many bytes of the remote it passes on before it dies.
    """

    user: str | None = None
    password: str = ""
    kinds: str = "Basic"
    says: bytes | None = None
    cut_after: int | None = None
    port: int = 0
    scheme: str = "http"
    connections: int = 0
    asked: list[ReceivedRequest] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def permits(self, asked: ReceivedRequest) -> bool:
        """Whether a request has the right sign-in."""
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return self.user is None or asked.headers.get("proxy-authorization") == f"Basic {token}"


@asynccontextmanager
async def proxying(tls: ssl.SSLContext | None = None, **settings: object) -> AsyncIterator[ProxyServer]:
    """A proxy on a port of its own, until the block is left; ``settings`` are those of :class:`ProxyServer`."""
    proxy = ProxyServer(scheme="https" if tls else "http", **settings)  # type: ignore[arg-type]  # named by each test
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        proxy.connections += 1
        try:
            await _serve(proxy, proxy.connections, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            tasks.discard(task)
            writer.transport.abort()

    listener = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listener.wait_closed()


async def _serve(proxy: ProxyServer, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    asked = ReceivedRequest(method, target, headers, body, number)
    proxy.asked.append(asked)
    kinds = f"Proxy-Authenticate: {proxy.kinds}\r\n".encode()
    refusal = b"HTTP/1.1 407 Who are you\r\n" + kinds + b"Content-Length: 0\r\n\r\n"
    says = proxy.says if proxy.permits(asked) else refusal
    if says is not None:
        writer.write(says)
        await writer.drain()
        writer.write_eof() if writer.can_write_eof() else writer.close()
        await reader.read()  # until the other side has read it and closes, too
        return
    parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
    there, back = await asyncio.open_connection("127.0.0.1", parts.port)
    try:
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = target.partition("://")[2].partition("/")[2]
            fields = [line for line in head[1:] if line and not line.lower().startswith("proxy-")]
            back.write("\r\n".join([f"{method} /{path} HTTP/1.1", *fields, "", ""]).encode("latin-1") + body)
        sending = asyncio.create_task(_pass_on(reader, back, None))
        with suppress(OSError):
            await _pass_on(there, writer, proxy.cut_after)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    finally:
        back.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None) -> None:
    """Pass bytes on until there are no more, or until so many have passed."""
    left = most
    while left != 0 and (piece := await reader.read(65_536 if left is None else left)):
        writer.write(piece)
        await writer.drain()
        left = None if left is None else left - len(piece)

"""Small servers that answer byte for byte what a test tells them, and remember what they were asked."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came over the wire; ``connection`` counts the connections from 1."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


Answer = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Server:
    """What a server was asked, and where it listens; ``answer`` may be changed at any time."""

    answer: Answer
    port: int = 0
    scheme: str = "http"
    connections: int = 0
    asked: list[Asked] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


def reply(status: int = 200, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    """A reply as bytes, with a Content-Length that is true unless ``length`` says otherwise."""
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def answering(*replies: bytes) -> Answer:
    """Send each of these in turn, the last one for ever."""
    left = list(replies)

    async def answer(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()

    return answer


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection with RST."""
    transport = writer.transport
    assert isinstance(transport, asyncio.WriteTransport)
    transport.abort()


@asynccontextmanager
async def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server on a port of its own, until the block is left."""
    server = Server(answer, scheme="https" if tls else "http")
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        try:
            await _talk(server, server.connections, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            tasks.discard(task)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    listener = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls, limit=2**24)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listener.wait_closed()


async def _talk(server: Server, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        asked = Asked(method, target, headers, body, number)
        server.asked.append(asked)
        await server.answer(asked, writer)

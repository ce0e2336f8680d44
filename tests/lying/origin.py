"""The origin: HTTP/1.1 on raw sockets, which sends exactly the bytes that a script says and ends as it says."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.lying.answers import Request, Script

Handle = Callable[[Request], Script]

_RST = struct.pack("ii", 1, 0)
_SEEN_S = 0.001


@dataclass(frozen=True, slots=True)
class Origin:
    """Two ports on loopback, which are two origins: the provider's own, and that of a file host."""

    own: str
    foreign: str


class _Connection(asyncio.Protocol):
    """One connection: requests in, scripts out, one after the other."""

    def __init__(self, handle: Handle, tasks: "set[asyncio.Task[None]]", *, foreign: bool) -> None:
        self._handle = handle
        self._tasks = tasks
        self._foreign = foreign
        self._buffer = b""
        self._playing: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._playing is None:
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if self._playing is not None:
            self._playing.cancel()

    def _next(self) -> None:
        request = self._parsed()
        if request is None:
            return
        request.foreign = self._foreign
        self._playing = asyncio.get_running_loop().create_task(self._play(self._handle(request)))
        self._tasks.add(self._playing)
        self._playing.add_done_callback(self._tasks.discard)

    def _parsed(self) -> Request | None:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = (line.partition(":")[::2] for line in lines)
        fields = {name.strip().lower(): value.strip() for name, value in pairs}
        length = int(fields.get("content-length", "0"))
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        return Request(method, target, fields, rest[:length])

    async def _play(self, script: Script) -> None:
        for piece in script.pieces:
            if isinstance(piece, bytes):
                self._transport.write(piece)
            else:
                await asyncio.sleep(piece)
        self._playing = None
        if script.end == "keep":
            self._next()
            return
        await asyncio.sleep(_SEEN_S)  # what was sent is read before the connection breaks
        if script.end == "reset":
            raw: socket.socket = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
            self._transport.abort()
        else:
            self._transport.close()


@asynccontextmanager
async def listening(handle: Handle) -> AsyncIterator[Origin]:
    """Both origins, served by one handler, until the block is left."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(*, foreign: bool) -> tuple[asyncio.Server, str]:
        server = await loop.create_server(lambda: _Connection(handle, tasks, foreign=foreign), "127.0.0.1", 0)
        return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    (own, own_url), (other, other_url) = await serve(foreign=False), await serve(foreign=True)
    try:
        yield Origin(own_url, other_url)
    finally:
        own.close()
        other.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

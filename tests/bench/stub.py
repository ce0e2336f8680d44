"""A stub of Symplify's batch API, as lean as asyncio allows, in a process of its own: it must never be the bottleneck.

``python -m tests.bench.stub FD [RESULT_URL]`` serves on a listening socket that it inherits. Batches are PENDING for
ever; with a result URL they are FINISHED, and their result redirects there. ``GET /counters`` tells what was asked.
"""

import asyncio
import json
import socket
import sys
import time
from typing import cast

_HEAD = (
    b"HTTP/1.1 %s\r\nServer: nginx\r\nDate: Thu, 01 Oct 2026 12:00:00 GMT\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: keep-alive\r\n"
)
_BATCH = (
    b'{"id":%s,"type":" STAT_EXPORT","customerId":5004,"startTime":1790000000000,"endTime":null,'
    b'"affected":%d,"processed":%d,"total":501,"status":"%s"}'
)


class _Stub:
    def __init__(self, result_url: str | None) -> None:
        self._result_url = result_url
        self._polls = 0
        self._first_poll_at: float | None = None
        self._redirect_at: float | None = None

    def answer(self, request: bytes) -> bytes:
        """The reply to one request without a body."""
        path = request.split(b" ", 2)[1]
        if path == b"/counters":
            return _reply(b"200 OK", json.dumps(self._counters()).encode())
        if path.endswith(b"/result"):
            self._redirect_at = time.monotonic()
            return _reply(b"302 Found", b"", b"Location: %s\r\n" % (self._result_url or "/").encode())
        self._polls += 1
        if self._first_poll_at is None:
            self._first_poll_at = time.monotonic()
        number = path[path.rfind(b"/") + 1 :]
        batch = (number, 0, 0, b"PENDING") if self._result_url is None else (number, 500, 500, b"FINISHED")
        return _reply(b"200 OK", _BATCH % batch)

    def _counters(self) -> dict[str, float | None]:
        return {
            "polls": self._polls,
            "first_poll_at": self._first_poll_at,
            "redirect_at": self._redirect_at,
            "now": time.monotonic(),
        }


class _Connection(asyncio.Protocol):
    def __init__(self, stub: _Stub) -> None:
        self._stub = stub
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *requests, self._rest = (self._rest + data).split(b"\r\n\r\n")
        self._transport.write(b"".join([self._stub.answer(request) for request in requests]))


def _reply(status: bytes, body: bytes, more: bytes = b"") -> bytes:
    return _HEAD % (status, len(body)) + more + b"\r\n" + body


async def _serve(listener: socket.socket, stub: _Stub) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(stub), sock=listener)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(socket.socket(fileno=int(sys.argv[1])), _Stub(sys.argv[2] if sys.argv[2:] else None)))

"""A remote job of many small files, as lean as asyncio allows: ``python -m tests.bench.list_server FD FILES BYTES``.

``GET /jobs/N`` lists the files, ``GET /files/N`` is one of them, ``POST /jobs`` makes a job.
"""

import asyncio
import json
import socket
import sys
from typing import cast


class _Replies:
    def __init__(self, files: int, size: int) -> None:
        listed = [{"url": f"/files/{number}", "name": f"part-{number}.json"} for number in range(files)]
        self._list = _reply(json.dumps({"files": listed}).encode())
        self._made = _reply(b'{"id": 1}')
        self._file = _reply(b"[" + b"1" * (size - 2) + b"]", b'ETag: "v1"\r\n')

    def to(self, request: bytes) -> bytes:
        """The reply to one request without a body."""
        method, path, _ = request.split(b" ", 2)
        if path.startswith(b"/files/"):
            return self._file
        return self._made if method == b"POST" else self._list


class _Connection(asyncio.Protocol):
    def __init__(self, replies: _Replies) -> None:
        self._replies = replies
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *requests, self._rest = (self._rest + data).split(b"\r\n\r\n")
        self._transport.write(b"".join([self._replies.to(request) for request in requests]))


def _reply(body: bytes, more: bytes = b"") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n"
    return head % (len(body), more) + body


async def _serve(listener: socket.socket, replies: _Replies) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(replies), sock=listener)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(socket.socket(fileno=int(sys.argv[1])), _Replies(int(sys.argv[2]), int(sys.argv[3]))))

"""A stub of Symplify's batch API whose batches become ready: three PENDING replies, then FINISHED and a 10 KB file.

``python -m tests.bench.landing_stub FD`` serves on a listening socket that it inherits.
"""

import asyncio
import itertools
import socket
import sys
from collections import Counter
from typing import Final, cast

FILE_BYTES: Final = 10_240
PENDING_POLLS: Final = 3
_HEAD = (
    b"HTTP/1.1 %s\r\nServer: nginx\r\nDate: Thu, 01 Oct 2026 12:00:00 GMT\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: keep-alive\r\n"
)
_FILE = b'[{"row":"' + b"x" * (FILE_BYTES - 12) + b'"}]'
_BATCH = (
    b'{"id":%s,"type":" STAT_EXPORT","customerId":5004,"startTime":1790000000000,"endTime":null,'
    b'"affected":0,"processed":%d,"total":501,"status":"%s"}'
)
_LENGTH = b"content-length:"


class _Batches:
    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._polls: Counter[bytes] = Counter()

    def answer(self, head: bytes) -> bytes:
        """The reply to one request."""
        method, path, _ = head.split(b" ", 2)
        if method == b"POST":
            return _reply(b"200 OK", b'{"batchId":"%d"}' % next(self._numbers))
        if path.startswith(b"/file/"):
            return _reply(b"200 OK", _FILE)
        if path.endswith(b"/result"):
            number = path.split(b"/")[-2]
            return _reply(b"302 Found", b"", b"Location: /file/%s.json\r\n" % number)
        number = path[path.rfind(b"/") + 1 :]
        self._polls[number] += 1
        if self._polls[number] <= PENDING_POLLS:
            return _reply(b"200 OK", _BATCH % (number, self._polls[number], b"PENDING"))
        return _reply(b"200 OK", _BATCH % (number, 501, b"FINISHED"))


class _Connection(asyncio.Protocol):
    def __init__(self, batches: _Batches) -> None:
        self._batches = batches
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:end]
            after = end + 4 + _length(head)
            if len(self._rest) < after:
                return
            self._rest = self._rest[after:]
            self._transport.write(self._batches.answer(head))


def _length(head: bytes) -> int:
    at = head.lower().find(_LENGTH)
    return 0 if at < 0 else int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])


def _reply(status: bytes, body: bytes, more: bytes = b"") -> bytes:
    return _HEAD % (status, len(body)) + more + b"\r\n" + body


async def _serve(listener: socket.socket) -> None:
    batches = _Batches()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(batches), sock=listener)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(socket.socket(fileno=int(sys.argv[1]))))

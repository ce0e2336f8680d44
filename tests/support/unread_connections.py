"""Callers who pipeline requests and never read an answer, and somebody who asks for the health meanwhile."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

from tests.support.api_server import ApiServer

_REQUEST = b"GET /v1/jobs?limit=1000 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@contextmanager
def unreading(site: ApiServer, number: int) -> Iterator[list[socket.socket]]:
    """So many connections, none of which reads."""
    held: list[socket.socket] = []
    port = int(site.base.rpartition(":")[2])
    try:
        for _ in range(number):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            held.append(one)
        yield held
    finally:
        for one in held:
            one.close()


async def push(held: list[socket.socket], pipelined: int) -> None:
    """Send the requests on every connection, as far as it takes them."""
    loop = asyncio.get_running_loop()
    for one in held:
        try:
            async with asyncio.timeout(5):
                await loop.sock_sendall(one, _REQUEST * pipelined)
        except (OSError, TimeoutError):
            continue  # hung up on, or full


async def healthy(site: ApiServer, times: int) -> list[int]:
    """The statuses of so many looks at the health, each on a connection of its own and within three seconds."""
    found = []
    port = int(site.base.rpartition(":")[2])
    for _ in range(times):
        try:
            async with asyncio.timeout(3):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                with closing(writer):
                    writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                    line = await reader.readline()
            found.append(int(line.split()[1]) if line else 0)
        except (OSError, TimeoutError):
            found.append(0)
        await asyncio.sleep(0.05)
    return found

"""A network that loses replies, so that nobody hears of what was done, and one that damages what is sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(slots=True)
class Losses:
    """Of the requests whose first line holds ``of``, this many replies are still to be lost."""

    of: bytes
    left: int
    lost: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def losing(port: int, losses: Losses, damaged: bytes | None = None) -> AsyncIterator[str]:
    """The origin of a way to a server on loopback that breaks as soon as such a reply comes along.

    Wherever ``damaged`` is sent along it, the last byte arrives as another.
    """

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        asked = bytearray()

        async def ask() -> None:
            while chunk := await _read(reader):
                asked.extend(chunk)
                there_writer.write(chunk.replace(damaged, damaged[:-1] + b"?") if damaged else chunk)
                await _drain(there_writer)

        async def answer() -> None:
            while chunk := await _read(there_reader):
                request_line = bytes(asked).partition(b"\r\n")[0]
                if losses.left and losses.of in request_line:
                    losses.left -= 1
                    losses.lost.append(request_line)
                    return
                asked.clear()
                writer.write(chunk)
                await _drain(writer)

        async with asyncio.TaskGroup() as group:
            ways = [group.create_task(ask()), group.create_task(answer())]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            # The other way then reads the end of its connection, and is done as well.
            writer.close()
            there_writer.close()
        for end in (writer, there_writer):
            with suppress(OSError):
                await end.wait_closed()

    writers: list[asyncio.StreamWriter] = []
    connections: list[asyncio.Task[None]] = []

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        connections.append(asyncio.create_task(forward(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    async with server:
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for writer in writers:
                writer.close()
            await asyncio.gather(*connections)


async def _read(reader: asyncio.StreamReader) -> bytes:
    """What has come; nothing where the connection has ended, in whatever way."""
    try:
        return await reader.read(65_536)
    except ConnectionError:
        return b""


async def _drain(writer: asyncio.StreamWriter) -> None:
    """Wait until there is room; a connection that has ended is noticed by whoever reads from it."""
    with suppress(ConnectionError):
        await writer.drain()

"""A relay between a client and the listener that breaks connections, and a clock whose delays are short."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.support.byte_servers import reset
from tidewaiter.clock import SystemClock


class QuickClock(SystemClock):
    """The time; who sleeps sleeps a hundredth of it."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 100)


@dataclass(slots=True)
class Relay:
    """Where it listens, the requests that it has passed on, and after how many bytes of replies it breaks."""

    origin: str = ""
    breaks_after: list[int] = field(default_factory=list)
    """One number for each of the next connections; later ones are left alone."""
    requests: list[str] = field(default_factory=list)


@asynccontextmanager
async def relaying(base: str) -> AsyncIterator[Relay]:
    """A relay to a listener."""
    relay, serving = Relay(), set[asyncio.Task[None]]()
    host, _, port = base.removeprefix("http://").partition(":")

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.ensure_future(serve(reader, writer)))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = relay.breaks_after.pop(0) if relay.breaks_after else None
        to_reader, to_writer = await asyncio.open_connection(host, int(port))

        async def upwards() -> None:
            while data := await reader.read(65_536):
                relay.requests.append(data.decode("latin-1"))
                to_writer.write(data)

        sending = asyncio.ensure_future(upwards())
        try:
            while data := await to_reader.read(1024):
                writer.write(data if left is None else data[:left])
                await writer.drain()
                if left is not None:
                    left -= len(data)
                    if left <= 0:
                        break
        except ConnectionError:
            pass
        finally:
            sending.cancel()
            to_writer.close()
            reset(writer)

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        relay.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield relay
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

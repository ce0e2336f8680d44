"""A callback listener on a real socket with a real database, and a client that sends exact bytes."""

import asyncio
import io
import socket
from dataclasses import dataclass, field

from tests.support.log_lines import log_lines
from tests.support.stored_jobs import StandingClock, Stores
from tidewaiter.database.wake_up_store import WakeUp
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Job
from tidewaiter.domain.url import callback_hash_of

TOKEN = "T" * 43
OTHER = "o" * 43


class LoopClock(StandingClock):
    """A clock that the test moves; ``sleep`` lets the event loop go on."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


@dataclass(slots=True)
class CallbackSetup:
    """The listener, the database behind it, and what both have said."""

    stores: Stores
    clock: LoopClock
    socket: socket.socket
    running: asyncio.Future[None]
    output: io.StringIO
    woken: list[WakeUp] = field(default_factory=list)
    writes: int = 0

    async def call(self, raw: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send these bytes on a connection of their own; the answer's status, headers and body."""
        reader, writer = await asyncio.open_connection(*self.socket.getsockname())
        writer.write(raw)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        return int(lines[0].split()[1]), headers, body

    async def post(self, token: str = TOKEN, body: bytes = b"", *headers: str, path: str = "/callbacks/") -> int:
        """A callback as a provider sends it; the answer's status."""
        request_lines = [f"POST {path}{token} HTTP/1.1", "Host: tide", f"Content-Length: {len(body)}", *headers]
        status, _, _ = await self.call("\r\n".join(request_lines).encode() + b"\r\n\r\n" + body)
        return status

    async def polling(self, token: str = TOKEN) -> Job:
        """A job that was submitted with this token and waits for its remote job; its own writes are not counted."""
        job = await self.stores.accepted(await self.stores.add(), o.Intended("intent", callback_hash_of(token)))
        job = await self.stores.accepted(job, o.Accepted(f"handle-{job.id}", retry_after_s=600.0))
        self.writes = 0
        return job

    def logged(self, name: str) -> list[dict[str, object]]:
        """The lines of one event."""
        return log_lines(self.output, name)

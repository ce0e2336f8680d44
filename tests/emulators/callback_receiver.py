"""Whoever is called back: a real server that keeps what comes in."""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from aiohttp import web

_WAIT_S: Final = 5


@dataclass(frozen=True, slots=True)
class Received:
    """One POST that came in."""

    path: str
    content_type: str
    authorization: str | None
    body: bytes


class Receiver:
    """Takes POSTs on any path and answers each with ``status``."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self._came: asyncio.Queue[Received] = asyncio.Queue()
        application = web.Application()
        application.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)

    @property
    def url(self) -> str:
        """An address to be called back at."""
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/pingback/s3cret"

    @property
    def waiting(self) -> int:
        """How many POSTs came in that nobody has looked at yet."""
        return self._came.qsize()

    async def next(self) -> Received:
        """The next POST, as soon as it comes."""
        return await asyncio.wait_for(self._came.get(), _WAIT_S)

    async def _take(self, request: web.Request) -> web.Response:
        headers = request.headers
        received = Received(request.path, request.content_type, headers.get("Authorization"), await request.read())
        self._came.put_nowait(received)
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

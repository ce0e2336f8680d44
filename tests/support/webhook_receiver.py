"""A receiver of notifications on loopback: a test scripts its replies, and it accepts only signed messages."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks.webhooks import Webhook

from tests.support.machine_times import other_times

SECRET = "whsec_" + base64.b64encode(b"a secret for tests, 32 bytes lon").decode()

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """One notification that came, whose signature was good."""

    message_id: str
    timestamp: int
    path: str
    content_type: str
    body: dict[str, Any]


@dataclass(slots=True)
class Receiver:
    """``answer`` is what it says to whatever comes; ``heard`` is what came, in order."""

    url: str = ""
    answer: Answer | None = None
    received: list[ReceivedMessage] = field(default_factory=list)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Verify with the convention's own library, remember, and answer."""
        text = await request.text()
        body = Webhook(SECRET).verify(text, dict(request.headers))
        headers = request.headers
        timestamp = int(headers["webhook-timestamp"])
        self.received.append(
            ReceivedMessage(headers["webhook-id"], timestamp, request.path, headers["content-type"], body)
        )
        self._came.set()
        assert body == json.loads(text)
        assert not list(other_times(body))
        return web.Response() if self.answer is None else await self.answer(request)

    async def until(self, number: int, within_s: float = 20) -> list[ReceivedMessage]:
        """What it has heard, once that is so much."""
        async with asyncio.timeout(within_s):
            while len(self.received) < number:
                self._came.clear()
                await self._came.wait()
        return self.received


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver on a port of its own, which takes everything until it is told otherwise."""
    made = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", made.take)
    async with TestServer(app, host="127.0.0.1") as server:
        made.url = str(server.make_url("/hook"))
        yield made


def status(number: int, **headers: str) -> Answer:
    """Always this answer."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=number, headers=headers)

    return answer


async def silence(_: web.Request) -> web.StreamResponse:
    """No answer, until the other side has gone."""
    await asyncio.Event().wait()
    return web.Response()

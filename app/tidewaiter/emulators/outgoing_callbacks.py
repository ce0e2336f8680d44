"""The callbacks of an emulated server: a POST to the address in a request, when it is due."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import aiohttp

from tidewaiter.clock import Clock
from tidewaiter.emulators.controls import FaultKind, FaultPlan, InjectedFault
from tidewaiter.emulators.emulated_replies import EmulatedBody, Reply, spoiled, text_reply

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True, slots=True)
class Callback:
    """One POST to send.

    ``name`` is its name in fault rules; ``due`` is when it is sent, by the clock's ``monotonic()``. ``compose`` makes
    its content only then, as a reply whose status is ignored; ``None`` means that it is no longer needed.
    """

    name: str
    url: str
    due: float
    compose: Callable[[InjectedFault], Reply | None]


@dataclass(frozen=True, slots=True)
class SentCallback:
    """One POST that was tried at ``at`` (epoch seconds); ``status`` is ``None`` if no reply came."""

    at: float
    name: str
    url: str
    status: int | None


class Callbacks:
    """Sends planned callbacks while its server runs; the others are sent after the next start.

    Only fault rules that name a callback apply: ``latency`` (late by ``seconds``), ``lost``, ``duplicate``, ``forged``,
    and all that change a body. Nothing is sent again, whatever the receiver replies.
    """

    def __init__(self, clock: Clock, faults: FaultPlan) -> None:
        self.sent: list[SentCallback] = []
        self._clock = clock
        self._faults = faults
        self._planned: list[Callback] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._client: aiohttp.ClientSession | None = None

    def plan(self, callback: Callback) -> None:
        """Plan a callback."""
        self._planned.append(callback)
        if self._client is not None:
            self._send_when_due(self._client, callback)

    def start(self) -> None:
        """Begin to send; needs a running event loop."""
        connector = aiohttp.TCPConnector(force_close=True)
        self._client = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)
        for callback in self._planned:
            self._send_when_due(self._client, callback)

    async def stop(self) -> None:
        """Stop sending; a POST under way is cancelled."""
        client, self._client = self._client, None
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if client is not None:
            await client.close()

    async def settle(self) -> None:
        """Wait until every callback planned so far was sent or lost."""
        await asyncio.gather(*self._under_way)

    def _send_when_due(self, client: aiohttp.ClientSession, callback: Callback) -> None:
        task = asyncio.create_task(self._send(client, callback))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _send(self, client: aiohttp.ClientSession, callback: Callback) -> None:
        await self._clock.sleep(max(0.0, callback.due - self._clock.monotonic()))
        fault = self._faults.take_named(callback.name)
        if fault.kind is FaultKind.LATENCY:
            await self._clock.sleep(fault.seconds)
        self._planned.remove(callback)
        content = callback.compose(fault)
        if content is None or fault.kind is FaultKind.LOST:
            return
        if fault.kind is FaultKind.FORGED and fault.text is not None:
            content = text_reply(fault.text, "application/json")
        await self._post(client, callback, spoiled(content, fault))
        if fault.kind is FaultKind.DUPLICATE:
            await self._clock.sleep(fault.seconds)
            await self._post(client, callback, content)

    async def _post(self, client: aiohttp.ClientSession, callback: Callback, content: Reply) -> None:
        at, status = self._clock.now(), None
        headers = {**content.headers, "Content-Length": str(content.body.size)}
        if content.content_type is not None:
            headers["Content-Type"] = content.content_type
        body = _pieces(content.body)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):  # the receiver may be down
            async with client.post(callback.url, data=body, headers=headers, allow_redirects=False) as reply:
                status = reply.status
        self.sent.append(SentCallback(at, callback.name, callback.url, status))


async def _pieces(body: EmulatedBody) -> AsyncIterator[bytes]:
    for piece in body.chunks(0, body.size):
        yield piece

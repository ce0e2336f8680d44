"""The body of a reply as a stream of pieces, which may be neither silent nor too slow."""

import asyncio
from typing import Self

from aiohttp import StreamReader

from tidewaiter.transport.aiohttp_errors import OUTSIDE_ERRORS, in_body
from tidewaiter.transport.wire import BrokenBodyError, Timeouts


class StreamedBody:
    """A body as it comes in, with a minimum rate over the time in which it is read."""

    __slots__ = ("_content", "_now", "_place", "_received", "_timeouts", "_waited_s")

    def __init__(self, content: StreamReader, timeouts: Timeouts, place: str) -> None:
        self._content = content
        self._timeouts = timeouts
        self._place = place
        self._now = asyncio.get_running_loop().time
        self._waited_s = 0.0
        self._received = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        asked_at = self._now()
        try:
            # Not aiohttp's sock_read: a malformed chunk stops that clock, and the reader waits for ever.
            async with asyncio.timeout(self._timeouts.read_s):
                chunk = await self._content.readany()
        except OUTSIDE_ERRORS as error:
            raise in_body(error, self._place) from None
        if not chunk:
            raise StopAsyncIteration
        self._waited_s += self._now() - asked_at
        self._received += len(chunk)
        if self._waited_s >= self._timeouts.rate_window_s:
            self._check_rate()
        return chunk

    def _check_rate(self) -> None:
        if self._received < self._timeouts.slowest_bytes_per_s * self._waited_s:
            raise BrokenBodyError(
                f"The reply of {self._place} trickles: {self._received} bytes came in {self._waited_s:.0f} s."
            )
        self._waited_s = 0.0
        self._received = 0

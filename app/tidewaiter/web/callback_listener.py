"""The callback listener: ``POST /callbacks/TOKEN`` means only that a job should be polled now.

Anybody on the internet may call, so nothing in the request is trusted, and little of it is read. The token finds the
job. An unknown token, an invalid one, and one whose job has ended all get the same 404 and cause no write. The body is
never parsed: the call counts as soon as its headers are complete, and up to 16 KiB are read only so that the caller
receives the reply. A job with a wake-up is not written again. A connection carries one request within a few seconds.
Connections and requests are limited, and callers beyond the limit get 429. A callback that is lost in a flood costs
time only, because polling continues.
"""

import asyncio
import math
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from aiohttp import web

from tidewaiter.clock import Clock
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.database.wake_up_store import WakeUp, WakeUpStore
from tidewaiter.domain.url import CALLBACK_PATH, callback_hash_of
from tidewaiter.log import EventLog
from tidewaiter.web.listener import listen, quiet_logger
from tidewaiter.web.rate_limits import RateBucket

_PER_S: Final = 50.0
_BURST: Final = 200
_MOST_CONNECTIONS: Final = 256
_HEAD_S: Final = 5.0
_BODY_S: Final = 5.0
_BODY_BYTES: Final = 16_384
_LONGEST_LINE: Final = 4096
_MOST_HEADERS: Final = 64
_STORE_AGAIN_S: Final = 10.0
_SHUTDOWN_S: Final = 1.0


class CallbackListener:
    """Accepts callbacks on a socket.

    Args:
        listening: the bound socket; it is closed at the end.
        wake_ups: stores callbacks as wake-ups.
        wake: called with a job that a callback has made due.
        clock: the time.
        log: logs every callback.
        bucket: limits the rate of requests; ``None`` for the default.
    """

    def __init__(
        self,
        listening: socket.socket,
        wake_ups: WakeUpStore,
        *,
        wake: Callable[[WakeUp], None],
        clock: Clock,
        log: EventLog,
        bucket: RateBucket | None = None,
    ) -> None:
        self._socket = listening
        self._wake_ups = wake_ups
        self._wake = wake
        self._clock = clock
        self._log = log
        self._bucket = bucket or RateBucket(clock, _PER_S, _BURST)

    async def run(self) -> None:
        """Accept callbacks until cancelled.

        Raises:
            ListenerDiedError: the socket accepts no connections any more.
        """
        server = web.Server(
            self._handle,
            access_log=None,  # it would log the tokens
            logger=quiet_logger(__name__),
            keepalive_timeout=_HEAD_S,  # since the connection: a head that comes slowly is cut off
            lingering_time=0.0,
            auto_decompress=False,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            max_headers=_MOST_HEADERS,
            read_bufsize=_BODY_BYTES,
        )
        await listen(self._socket, server, self._clock, most=_MOST_CONNECTIONS, shutdown_s=_SHUTDOWN_S)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Store a callback; the reply says only whether it was one."""
        wait_s = self._bucket.take()
        if wait_s > 0:
            return self._refusal(429, "callbacks come faster than the limit permits", wait_s)
        callback_hash = _hash_in(request)
        try:
            wake_up = None if callback_hash is None else await self._wake_ups.wake_up(callback_hash, self._clock.now())
        except StoreUnavailableError as error:
            return self._refusal(503, str(error), _STORE_AGAIN_S)
        if wake_up is None:
            return self._refusal(404, "no live job was submitted with this address")
        self._log.emit(
            "callback.received",
            job=wake_up.job,
            account=wake_up.account,
            operation=wake_up.operation,
            state=wake_up.state.value,
            noted=wake_up.is_new,
        )
        if wake_up.is_new:
            self._wake(wake_up)
        await _discard_body(request)
        return _reply(204)

    def _refusal(self, status: int, reason: str, retry_after_s: float | None = None) -> web.Response:
        self._log.emit("callback.refused", status=status, reason=reason)
        return _reply(status, retry_after_s)


def _hash_in(request: web.BaseRequest) -> str | None:
    """The hash of the token in a request; ``None`` if the request is no callback."""
    path = request.rel_url.raw_path
    if request.method != "POST" or not path.startswith(CALLBACK_PATH):
        return None
    return callback_hash_of(path.removeprefix(CALLBACK_PATH))


async def _discard_body(request: web.BaseRequest) -> None:
    """Read the body up to a limit, because some callers read the reply only after it; the rest is cut off."""
    if "expect" in request.headers:
        return  # the caller waits for permission to send the body, which is not needed
    left = _BODY_BYTES
    with suppress(TimeoutError, OSError, web.RequestPayloadError):
        async with asyncio.timeout(_BODY_S):
            while left > 0 and (piece := await request.content.read(left)):
                left -= len(piece)


def _reply(status: int, retry_after_s: float | None = None) -> web.Response:
    reply = web.Response(status=status, headers={"Server": "tidewaiter"})
    if retry_after_s is not None:
        reply.headers["Retry-After"] = str(math.ceil(retry_after_s))
    reply.force_close()
    return reply

"""The callback listener: takes ``POST /callbacks/TOKEN``, which means no more than: this job is worth a poll now.

Anybody on the internet may call, so nothing that comes is believed, and little is read. The token finds the job; a
token that was never given out, that is no token, or whose job has ended gets the same 404 and causes no write. The body
is never parsed: the call counts as soon as its headers are here, and up to 16 KiB are read only so that a well-behaved
caller gets to hear the answer. A job that has a hint already is not written again. One connection brings one request
within a few seconds, connections and requests are bounded, and whoever comes beyond that is told to come later: a
callback that gets lost in a flood costs time, for polling goes on.
"""

import asyncio
import math
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from aiohttp import web

from app.clock import Clock
from app.domain.callback import PATH, hash_of
from app.log import EventLog
from app.store.engine import StoreUnavailableError
from app.store.hints import Hint, HintStore
from app.web.bucket import Bucket
from app.web.listener import listen, quiet_logger

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
    """Takes callbacks on a socket.

    Args:
        listening: the socket, bound already; it is closed in the end.
        hints: where callbacks are noted.
        wake: told of a job that a callback has made due.
        clock: the time.
        log: told of every callback.
        bucket: how many requests are looked at; ``None`` for the usual number.
    """

    def __init__(
        self,
        listening: socket.socket,
        hints: HintStore,
        *,
        wake: Callable[[Hint], None],
        clock: Clock,
        log: EventLog,
        bucket: Bucket | None = None,
    ) -> None:
        self._socket = listening
        self._hints = hints
        self._wake = wake
        self._clock = clock
        self._log = log
        self._bucket = bucket or Bucket(clock, _PER_S, _BURST)

    async def run(self) -> None:
        """Take callbacks until cancelled.

        Raises:
            ListenerDiedError: the socket takes no connections any more.
        """
        server = web.Server(
            self._answer,
            access_log=None,  # it would show the tokens
            logger=quiet_logger(__name__),
            keepalive_timeout=_HEAD_S,  # counted from the connection on: a head that trickles is cut off
            lingering_time=0.0,
            auto_decompress=False,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            max_headers=_MOST_HEADERS,
            read_bufsize=_BODY_BYTES,
        )
        await listen(self._socket, server, self._clock, most=_MOST_CONNECTIONS, shutdown_s=_SHUTDOWN_S)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Note a callback; the answer says nothing but whether it was one."""
        wait_s = self._bucket.take()
        if wait_s > 0:
            return self._refusal(429, "callbacks come faster than they are looked at", wait_s)
        callback_hash = _hash_in(request)
        try:
            hint = None if callback_hash is None else await self._hints.note(callback_hash, self._clock.now())
        except StoreUnavailableError as error:
            return self._refusal(503, str(error), _STORE_AGAIN_S)
        if hint is None:
            return self._refusal(404, "no live job was submitted with this address")
        self._log.emit(
            "callback.received",
            job=hint.job,
            account=hint.account,
            operation=hint.operation,
            state=hint.state.value,
            noted=hint.noted,
        )
        if hint.noted:
            self._wake(hint)
        await _discard_body(request)
        return _reply(204)

    def _refusal(self, status: int, reason: str, retry_after_s: float | None = None) -> web.Response:
        self._log.emit("callback.refused", status=status, reason=reason)
        return _reply(status, retry_after_s)


def _hash_in(request: web.BaseRequest) -> str | None:
    """The hash of the token in a request; ``None`` where it is no callback at all."""
    path = request.rel_url.raw_path
    if request.method != "POST" or not path.startswith(PATH):
        return None
    return hash_of(path.removeprefix(PATH))


async def _discard_body(request: web.BaseRequest) -> None:
    """Read what a caller would send before it listens, up to a limit; whatever else comes is cut off."""
    if "expect" in request.headers:
        return  # the caller waits for our word, which is that the body is not wanted
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

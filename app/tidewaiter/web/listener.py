"""Serves HTTP on a bound socket: each connection, the limit of open connections, and the end of a dead socket."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web_protocol import RequestPayloadError

from tidewaiter.clock import Clock

_UNREAD_S: Final = 30.0
"""After how many seconds without reading a caller is cut off."""
_KEPT: Final = frozenset({hdrs.CONTENT_LENGTH, hdrs.CONNECTION, hdrs.DATE})
AWAITS_BODY: Final = web.RequestKey("awaited", bool)
"""The key that says that a request waits for the rest of its body."""
_LOOK_S: Final = 1.0
_HANDSHAKE_S: Final = 10.0
_BACKLOG: Final = 2048
"""Connections that wait to be accepted. A caller that finds no room there tries again only seconds later."""
MakeRoom: TypeAlias = Callable[[Iterable[web.RequestHandler]], bool]
"""Aborts one of these connections; returns whether there was one that could be aborted."""


class ListenerDiedError(Exception):
    """The socket accepts no connections any more: the daemon must end, to be restarted."""


async def listen(
    listening: socket.socket,
    server: web.Server,
    clock: Clock,
    *,
    most: int,
    shutdown_s: float,
    make_room: MakeRoom = lambda _: False,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve until cancelled, then close the socket.

    Args:
        listening: the socket.
        server: makes the protocol of each connection.
        clock: paces the check whether the socket still listens.
        most: the limit of open connections.
        shutdown_s: how many seconds requests may still take at the end.
        make_room: called for a connection beyond ``most``; if it returns false, the new connection is aborted.
        tls: the TLS context; without it, connections are plain.

    Raises:
        ListenerDiedError: the socket accepts no connections any more.
    """

    def connected() -> asyncio.Protocol:
        has_room = len(server.connections) < most or make_room(server.connections)
        return HttpConnection(server) if has_room else _RefusedConnection()

    listener = await asyncio.get_running_loop().create_server(
        connected,
        sock=listening,
        backlog=_BACKLOG,
        ssl=tls,
        ssl_handshake_timeout=None if tls is None else _HANDSHAKE_S,
    )
    try:
        while listener.is_serving() and listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            await clock.sleep(_LOOK_S)
        raise ListenerDiedError("a socket that the daemon listens on accepts no connections any more")
    finally:
        listener.close()
        await server.shutdown(shutdown_s)


class _RefusedConnection(asyncio.Protocol):
    """A connection beyond the limit: aborted at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Abort it."""
        if isinstance(transport, asyncio.Transport):
            transport.abort()


class HttpConnection(web.RequestHandler):
    """A connection of a server, in place of aiohttp's own class.

    Args:
        server: the server of the connection.
    """

    def __init__(self, server: web.Server) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **server._kwargs)
        self._unread: asyncio.TimerHandle | None = None

    @property
    def is_pipelining(self) -> bool:
        """Whether more requests wait behind the current one. No browser and no client of ours does that."""
        return bool(self._messages)

    def pause_writing(self) -> None:
        """The caller is behind with reading: start the timer."""
        super().pause_writing()
        self._unread = self._loop.call_later(_UNREAD_S, self._cut)

    def resume_writing(self) -> None:
        """The caller reads again."""
        self._stop_timer()
        super().resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection has ended."""
        self._stop_timer()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002  # aiohttp's signature
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """The reply to invalid HTTP, and to an uncaught error: only its status.

        It repeats nothing of the request and names no program, because most senders of such requests look for that.
        """
        if not isinstance(exc, HttpProcessingError) and status >= 500:
            self.log_exception("Error handling request", exc_info=exc)
        return _BareResponse(status)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send a reply. One to an unknown ``Expect`` is bare, because aiohttp's would repeat the header."""
        reply = _BareResponse(417) if isinstance(resp, web.HTTPExpectationFailed) else resp
        return await super().finish_response(request, reply, start_time)

    def _cut(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _stop_timer(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


class _BareResponse(web.Response):
    """A status without a body and without headers that name a program; then the connection is closed."""

    def __init__(self, status: int) -> None:
        super().__init__(status=status)
        self.force_close()

    async def _write_headers(self) -> None:
        for name in [name for name in self.headers if name not in _KEPT]:
            del self.headers[name]
        await super()._write_headers()


class ConnectionLimit:
    """Limits the open connections: aborts idle ones when there are too many."""

    def __init__(self) -> None:
        self._served: dict[web.RequestHandler, web.Request] = {}

    def middleware(self) -> Middleware:
        """The outermost middleware: it notes each request while it is served."""

        @web.middleware
        async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._served[request.protocol] = request
            try:
                return await handler(request)
            finally:
                del self._served[request.protocol]

        return counted

    def make_room(self, connections: Iterable[web.RequestHandler]) -> bool:
        """Abort the oldest connection that waits for its caller, or else one that pipelines.

        A caller that sends requests before it has the replies could keep its connection for ever. No browser and no
        client of ours does that.

        Args:
            connections: all open ones, the oldest first.

        Returns:
            Whether one was aborted.
        """
        usable = [one for one in connections if one.transport is not None and not one.transport.is_closing()]
        waiting = (one for one in usable if self._is_waiting(one))
        pipelining = (one for one in usable if isinstance(one, HttpConnection) and one.is_pipelining)
        aborted = next(waiting, None) or next(pipelining, None)
        if aborted is None or aborted.transport is None:
            return False
        aborted.transport.abort()
        return True

    def _is_waiting(self, connection: web.RequestHandler) -> bool:
        request = self._served.get(connection)
        return request is None or request.get(AWAITS_BODY, False)


def quiet_logger(name: str) -> logging.Logger:
    """The logger for aiohttp: it logs our errors, but not invalid HTTP from callers."""
    logger = logging.getLogger(name)
    logger.addFilter(_is_our_fault)  # the same function is added once
    return logger


def _is_our_fault(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | RequestPayloadError))

"""Serves HTTP on a bound socket, limits its connections, and raises when the socket dies."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from app.clock import Clock
from app.web.connections import Connection

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
        return Connection(server) if has_room else _Crowded()

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


class _Crowded(asyncio.Protocol):
    """A connection beyond the limit: aborted at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Abort it."""
        if isinstance(transport, asyncio.Transport):
            transport.abort()


def quiet_logger(name: str) -> logging.Logger:
    """The logger for aiohttp: it logs our errors, but not invalid HTTP of strangers."""
    logger = logging.getLogger(name)
    logger.addFilter(_is_our_fault)  # the same function is added once
    return logger


def _is_our_fault(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | RequestPayloadError))

"""Listening: serves HTTP on a socket that is bound already, bounds its connections, and says so when it dies."""

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
"""Connections that wait to be taken. One that finds no room there comes again only seconds later."""

MakeRoom: TypeAlias = Callable[[Iterable[web.RequestHandler]], bool]
"""Hangs up on one of these connections; whether there was one that could be spared."""


class ListenerDiedError(Exception):
    """Nothing takes connections any more: the daemon must end, to be restarted whole."""


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
        clock: paces the look at whether the socket still listens.
        most: connections at once.
        shutdown_s: how long requests under way are given in the end, in seconds.
        tls: what TLS is spoken with; without it none is.
        make_room: asked when somebody comes beyond ``most``; who comes is hung up on where nobody can be spared.

    Raises:
        ListenerDiedError: the socket takes no connections any more.
    """

    def connected() -> asyncio.Protocol:
        is_room = len(server.connections) < most or make_room(server.connections)
        return Connection(server) if is_room else _Crowded()

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
        raise ListenerDiedError("a socket that the daemon listens on takes no connections any more")
    finally:
        listener.close()
        await server.shutdown(shutdown_s)


class _Crowded(asyncio.Protocol):
    """A connection beyond those that are served at once: hung up on."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hang up."""
        if isinstance(transport, asyncio.Transport):
            transport.abort()


def quiet_logger(name: str) -> logging.Logger:
    """Where aiohttp tells of faults: of ours, but not of what strangers send that is no HTTP."""
    logger = logging.getLogger(name)
    logger.addFilter(_is_our_fault)  # the same function is added once
    return logger


def _is_our_fault(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | RequestPayloadError))

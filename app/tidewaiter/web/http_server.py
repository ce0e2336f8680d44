"""The HTTP server: one application for health, API and pages."""

import socket
import ssl
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from tidewaiter.clock import Clock
from tidewaiter.log import EventLog
from tidewaiter.web import problems
from tidewaiter.web.access_control import AccessControl
from tidewaiter.web.listener import ConnectionLimit, listen, quiet_logger
from tidewaiter.web.route_rules import rules_of

_MOST_CONNECTIONS: Final = 512
_LARGEST_BODY: Final = 16 * 1_048_576
_LONGEST_LINE: Final = 16_384
_HEAD_S: Final = 10.0
_LINGER_S: Final = 2.0
_SHUTDOWN_S: Final = 2.0
_CONNECTION_LIMIT: Final = web.AppKey("connections", ConnectionLimit)
# Pages and replies are for operators only: not for other sites, caches or search engines.
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


def make_application(
    routes: Sequence[web.AbstractRouteDef],
    access: AccessControl,
    log: EventLog,
    *,
    error_page: problems.ErrorPage | None = None,
) -> web.Application:
    """The application with these routes, behind access control.

    Every error becomes a problem document, or for a browser what ``error_page`` makes of it.
    """
    connections = ConnectionLimit()
    application = web.Application(
        middlewares=[
            connections.middleware(),
            problems.error_middleware(log, error_page),
            access.middleware(rules_of(routes)),
        ],
        client_max_size=_LARGEST_BODY,
    )
    application[_CONNECTION_LIMIT] = connections
    application.on_response_prepare.append(_add_headers)
    application.add_routes(routes)
    return application


class HttpServer:
    """Serves an application on a socket.

    Args:
        listening: the bound socket; it is closed at the end.
        application: serves the requests.
        clock: the time.
        tls: the TLS context; without it, connections are plain.
    """

    def __init__(
        self, listening: socket.socket, application: web.Application, clock: Clock, tls: ssl.SSLContext | None = None
    ) -> None:
        self._socket = listening
        self._application = application
        self._clock = clock
        self._tls = tls

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            ListenerDiedError: the socket accepts no connections any more.
        """
        runner = web.AppRunner(
            self._application,
            access_log=None,
            logger=quiet_logger(__name__),
            auto_decompress=False,  # no client compresses bodies, and invalid compression would break the connection
            keepalive_timeout=_HEAD_S,  # since the connection or the last reply: no head may come slowly
            lingering_time=_LINGER_S,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            shutdown_timeout=_SHUTDOWN_S,
        )
        await runner.setup()
        if runner.server is None:
            raise RuntimeError("the application has no server after its setup")
        try:
            await listen(
                self._socket,
                runner.server,
                self._clock,
                most=_MOST_CONNECTIONS,
                shutdown_s=_SHUTDOWN_S,
                make_room=self._application[_CONNECTION_LIMIT].make_room,
                tls=self._tls,
            )
        finally:
            await runner.cleanup()


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "tidewaiter"

"""The crowd at a listener: which connections are being served, so that one that only waits makes room for a new one.

A stranger can open as many connections as are served at once, and send half a head or half a body on each. Whoever
comes next must not stay outside for that: the health of the process is asked for at the same door.
"""

from collections.abc import Iterable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app.web.connections import Connection

AWAITED: Final = web.RequestKey("awaited", bool)
"""Whether a request that came waits for more from its caller: for the rest of its body."""


class Crowd:
    """Knows the requests that are being served."""

    def __init__(self) -> None:
        self._served: dict[web.RequestHandler, web.Request] = {}

    def middleware(self) -> Middleware:
        """What stands before everything else."""

        @web.middleware
        async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._served[request.protocol] = request
            try:
                return await handler(request)
            finally:
                del self._served[request.protocol]

        return counted

    def make_room(self, connections: Iterable[web.RequestHandler]) -> bool:
        """Hang up on the oldest connection that waits for its caller, or else on one that pipelines.

        One that sends requests before it has its answers may keep its place for ever, and nobody who means well does.

        Args:
            connections: all that there are, the oldest first.

        Returns:
            Whether there was one.
        """
        there = [one for one in connections if one.transport is not None and not one.transport.is_closing()]
        waiting = (one for one in there if self._is_waiting(one))
        pipelining = (one for one in there if isinstance(one, Connection) and one.is_pipelining)
        spared = next(waiting, None) or next(pipelining, None)
        if spared is None or spared.transport is None:
            return False
        spared.transport.abort()
        return True

    def _is_waiting(self, connection: web.RequestHandler) -> bool:
        request = self._served.get(connection)
        return request is None or request.get(AWAITED, False)

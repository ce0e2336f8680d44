"""The crowd at a listener: which connections are being served, so that one that only waits makes room for a new one.

A stranger can open as many connections as are served at once, and send half a head or half a body on each. Whoever
comes next must not stay outside for that: the health of the process is asked for at the same door.
"""

from collections.abc import Iterable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

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
        """Hang up on the oldest connection that waits for its caller; whether there was one.

        Args:
            connections: all that there are, the oldest first.
        """
        for one in connections:
            request = self._served.get(one)
            is_waiting = request is None or request.get(AWAITED, False)
            if is_waiting and one.transport is not None and not one.transport.is_closing():
                one.transport.abort()
                return True
        return False

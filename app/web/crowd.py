"""The limit of open connections: one that only waits for its caller makes room for a new one.

A stranger can open as many connections as are served at once, and send half a request on each. The next caller must not
be refused for that, because the health of the process is read through the same listener.
"""

from collections.abc import Iterable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app.web.connections import Connection

AWAITED: Final = web.RequestKey("awaited", bool)
"""The key that says that a request waits for the rest of its body."""


class Crowd:
    """Knows which requests are being served."""

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
        pipelining = (one for one in usable if isinstance(one, Connection) and one.is_pipelining)
        aborted = next(waiting, None) or next(pipelining, None)
        if aborted is None or aborted.transport is None:
            return False
        aborted.transport.abort()
        return True

    def _is_waiting(self, connection: web.RequestHandler) -> bool:
        request = self._served.get(connection)
        return request is None or request.get(AWAITED, False)

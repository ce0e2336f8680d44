"""One connection of a listener: invalid HTTP gets a bare reply, and a caller that reads no replies is cut off."""

import asyncio
from typing import Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

_UNREAD_S: Final = 30.0
"""After how many seconds without reading a caller is cut off."""
_KEPT: Final = frozenset({hdrs.CONTENT_LENGTH, hdrs.CONNECTION, hdrs.DATE})


class Connection(web.RequestHandler):
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
        """The reply to invalid HTTP, and to an error that nobody has caught: only its status.

        It repeats nothing of the request and names no program, because most senders of such requests look for that.
        """
        if not isinstance(exc, HttpProcessingError) and status >= 500:
            self.log_exception("Error handling request", exc_info=exc)
        return _Bare(status)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send a reply. One to an unknown ``Expect`` is bare, because aiohttp's would repeat the header."""
        reply = _Bare(417) if isinstance(resp, web.HTTPExpectationFailed) else resp
        return await super().finish_response(request, reply, start_time)

    def _cut(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _stop_timer(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


class _Bare(web.Response):
    """A status without a body and without headers that name a program; then the connection is closed."""

    def __init__(self, status: int) -> None:
        super().__init__(status=status)
        self.force_close()

    async def _write_headers(self) -> None:
        for name in [name for name in self.headers if name not in _KEPT]:
            del self.headers[name]
        await super()._write_headers()

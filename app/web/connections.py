"""One connection to a listener: what is no HTTP gets a bare answer, and what takes no answers is hung up on."""

import asyncio
from typing import Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

_UNREAD_S: Final = 30.0
"""How long a caller may take nothing of its answer, in seconds, before the connection is cut."""


_KEPT: Final = frozenset({hdrs.CONTENT_LENGTH, hdrs.CONNECTION, hdrs.DATE})


class Connection(web.RequestHandler):
    """A connection of a server, made instead of aiohttp's own.

    Args:
        server: what it belongs to.
    """

    def __init__(self, server: web.Server) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **server._kwargs)
        self._unread: asyncio.TimerHandle | None = None

    @property
    def is_pipelining(self) -> bool:
        """Whether requests wait here for the one before them. No browser and no client of ours does that."""
        return bool(self._messages)

    def pause_writing(self) -> None:
        """The caller is behind with reading: give it some time."""
        super().pause_writing()
        self._unread = self._loop.call_later(_UNREAD_S, self._cut)

    def resume_writing(self) -> None:
        """The caller has read."""
        self._stop_timer()
        super().resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is over."""
        self._stop_timer()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002  # aiohttp's signature
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """The answer to what is no HTTP, and to a fault that nobody has caught: its status and nothing else.

        What stands in the request is not repeated, nor what serves it: whoever sends it is most often looking for that.
        """
        if not isinstance(exc, HttpProcessingError) and status >= 500:
            self.log_exception("Error handling request", exc_info=exc)
        return _Bare(status)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; to an expectation that nobody knows a bare one, for aiohttp would repeat it."""
        answer = _Bare(417) if isinstance(resp, web.HTTPExpectationFailed) else resp
        return await super().finish_response(request, answer, start_time)

    def _cut(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _stop_timer(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


class _Bare(web.Response):
    """A status without a body and without the headers that name a program; the connection ends."""

    def __init__(self, status: int) -> None:
        super().__init__(status=status)
        self.force_close()

    async def _write_headers(self) -> None:
        for name in [name for name in self.headers if name not in _KEPT]:
            del self.headers[name]
        await super()._write_headers()

"""Sources of a file's bytes: a request of its own, or the reply that a poll or a submit has just brought."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Protocol

from app.domain.wire import WireRequest
from app.transport.errors import LostReplyError
from app.transport.stream_replies import Begun, StreamReply
from app.worker.provider_session import ProviderSession

_WHOLE = frozenset({201, 202, 203, 207, 208, 226})
"""What may have the whole file as its body, though it does not say so (RFC 9110, section 15.3)."""


class Source(Protocol):
    """Gives a download the replies to its requests."""

    def stream(self, request: WireRequest, *, send_auth: bool) -> AbstractAsyncContextManager[StreamReply]:
        """Send ``request`` and give the reply as a stream, as :class:`ProviderSession` does."""


class FileSource:
    """Files by requests of their own.

    Args:
        session: sends the requests.
        headers: what the spec adds to every download; those of the download itself come before them.
        may_ask: called with the URL before each request to a host that is not the provider's own origin; what it
            raises comes out of ``stream``.
    """

    def __init__(self, session: ProviderSession, headers: Mapping[str, str], may_ask: Callable[[str], None]) -> None:
        self._session = session
        self._headers = headers
        self._may_ask = may_ask

    def stream(self, request: WireRequest, *, send_auth: bool) -> AbstractAsyncContextManager[StreamReply]:
        """See :class:`Source`."""
        return self._session.stream(request.with_headers(self._headers), send_auth=send_auth, may_ask=self._may_ask)


class InlineSource:
    """The reply that has just come, and nothing after it.

    Where a download would ask again, the next poll or submit asks instead: only its rules can tell the file itself
    from a reply about it.

    Args:
        begun: the reply, of which only the beginning has been read.
        certain: whether a rule has looked into the reply and called it the file: then its status, where it is a 2xx
            that has a body of some other meaning, counts as 200.
    """

    def __init__(self, begun: Begun, *, certain: bool = False) -> None:
        self._begun: Begun | None = begun
        self._certain = certain

    def stream(self, request: WireRequest, *, send_auth: bool) -> AbstractAsyncContextManager[StreamReply]:  # noqa: ARG002  # the request has been sent already
        """The reply at hand; see :class:`Source`."""
        begun, self._begun = self._begun, None
        if begun is None:
            raise LostReplyError("The reply is not the whole file, and the file is asked for anew.")
        is_whole = self._certain and begun.stream.status in _WHOLE
        return nullcontext(replace(begun.stream, status=200) if is_whole else begun.stream)

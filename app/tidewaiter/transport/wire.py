"""The interface to the network: one request, one hop, and how it can fail. A simulation implements it, too.

``str()`` of each error is one sentence for an operator. It names scheme, host and port at most, because a path or a
query may contain a secret.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.networks import PermittedNetworks


class TransportError(Exception):
    """The network or the remote broke an exchange."""


class NotSentError(TransportError):
    """The request provably never reached the remote: no name, no connection, or nothing that can be sent."""


class BlockedAddressError(NotSentError):
    """The address is private, loopback or otherwise not on the public internet, and no setting permits it."""


class TlsError(NotSentError):
    """The remote could not prove its identity, or no safe connection could be negotiated."""


class LostReplyError(TransportError):
    """The request was sent, or may have been, and no reply to it could be read."""


class BrokenBodyError(TransportError):
    """The reply's headers came, but its body was cut short, stalled, trickled or could not be decoded."""


class AccountPausedError(TransportError):
    """Nothing was sent: the account is paused."""


class DrainingError(AccountPausedError):
    """Nothing was sent: the lane is about to end, and the wait would take longer."""


class AccountClosedError(Exception):
    """Nothing was sent: the account is closed for another ``wait_s`` seconds, and the caller does not wait for it."""

    def __init__(self, reason: str, wait_s: float) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class LeaseOverError(Exception):
    """Nothing was sent: another daemon may hold the lease of the lane by now.

    It is no ``TransportError``, because neither the network nor the provider has failed.
    """


class RedirectRefusedError(TransportError):
    """The remote redirected us to an address that we do not follow."""


class HostClosedError(TransportError):
    """Nothing was sent: the host of a file accepts no requests for another ``wait_s`` seconds."""

    def __init__(self, reason: str, wait_s: float) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait, in seconds.

    ``connect_s`` bounds name lookup, connection and TLS handshake together. ``overall_s`` bounds a whole buffered
    exchange, and of a stream only the time until its headers are here; it is meant to be longer than ``connect_s``,
    or an exchange that ends in between counts as maybe sent. ``read_s`` is how long a stream may be silent, and one
    that brings less than ``slowest_bytes_per_s`` on average over ``rate_window_s`` is broken too; time in which
    it is not read counts for neither.
    """

    connect_s: float = 15.0
    read_s: float = 60.0
    overall_s: float = 120.0
    slowest_bytes_per_s: float = 1024.0
    rate_window_s: float = 60.0


class RawReply(Protocol):
    """A reply whose headers are here and whose body is still to be read, once, by ``read`` or by ``chunks``."""

    @property
    def status(self) -> int:
        """The status code."""

    @property
    def phrase(self) -> str:
        """The reason phrase of the status line; empty if there was none."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The reply's headers; names are looked up without regard to case, or in lower case."""

    @property
    def url(self) -> str:
        """The address that was asked."""

    async def read(self, limit: int) -> tuple[bytes, bool]:
        """The body up to ``limit`` bytes, and whether there was more of it.

        Raises:
            BrokenBodyError: it was cut short, stalled, or could not be decoded.
        """

    def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece as it comes in; raises ``BrokenBodyError`` as :meth:`read` does."""


OnSend: TypeAlias = Callable[[bool], None]
"""Called with ``True`` at the last moment before a request leaves; if it raises, the request is not sent. Called with
``False`` when it is certain that the request had no effect."""


class Departing(Protocol):
    """An exchange that knows when its request leaves: when the connection is open."""

    def at_departure(self, on_send: OnSend) -> None:
        """Call ``on_send`` at that moment; must be set before the exchange is entered."""


def at_departure(opened: object, on_send: OnSend) -> None:
    """Call ``on_send`` when the request leaves; at once, if the exchange does not know that moment."""
    # Not isinstance: for a protocol that takes longer than all the rest of a wrapper.
    departing: Callable[[OnSend], None] | None = getattr(opened, "at_departure", None)
    if departing is not None:
        departing(on_send)
    else:
        on_send(True)


class Wire(Protocol):
    """One request, one hop: no redirects, no credentials, no repetition."""

    def open(
        self, request: WireRequest, *, private_ok: PermittedNetworks, timeouts: Timeouts, stream: bool
    ) -> AbstractAsyncContextManager[RawReply]:
        """Send ``request`` and give its reply when the headers are here; leaving gives the connection back.

        Args:
            request: sent byte for byte, headers as they are.
            private_ok: which addresses outside the public internet may be reached.
            timeouts: see :class:`Timeouts`.
            stream: the body is a file: it comes as it is stored, never decompressed, without an overall timeout but
                not below a minimum rate. Otherwise it is a message and arrives decompressed.

        Raises:
            NotSentError: the remote has provably seen nothing.
            LostReplyError: the remote may have seen the request.
        """

"""A wire that counts how each request of an account ended, and how long its reply took."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.domain.own_origins import DeclaredOrigin
from tidewaiter.metrics.readings import RequestCounter
from tidewaiter.transport.request_urls import UrlOrigins
from tidewaiter.transport.wire import LostReplyError, NotSentError, OnSend, RawReply, Timeouts, Wire, at_departure


class CountingWire:
    """Passes everything on to another wire.

    Args:
        wire: carries the requests.
        origin: the provider's scheme, host and port.
        provider: counts the requests that go there.
        elsewhere: counts those that go to other hosts, such as one for files.
        clock: measures the replies.
        declared: more origins of the provider.
    """

    def __init__(  # noqa: PLR0917  # built in one place
        self,
        wire: Wire,
        origin: str,
        provider: RequestCounter,
        elsewhere: RequestCounter,
        clock: Clock,
        declared: Sequence[DeclaredOrigin] = (),
    ) -> None:
        self._wire = wire
        self._origins: Final = UrlOrigins(origin, declared)
        self._provider = provider
        self._elsewhere = elsewhere
        self._clock = clock

    def open(
        self, request: WireRequest, *, private_ok: PermittedNetworks, timeouts: Timeouts, stream: bool
    ) -> AbstractAsyncContextManager[RawReply]:
        """Send ``request``; see :meth:`tidewaiter.transport.wire.Wire.open`."""
        opened = self._wire.open(request, private_ok=private_ok, timeouts=timeouts, stream=stream)
        counter = self._provider if self._origins.covers(request.url) else self._elsewhere
        return _CountedExchange(opened, counter, self._clock)


class _CountedExchange(AbstractAsyncContextManager[RawReply]):
    """One request that is counted when its reply's headers are here, or will not come."""

    __slots__ = ("_clock", "_counter", "_opened")

    def __init__(self, opened: AbstractAsyncContextManager[RawReply], counter: RequestCounter, clock: Clock) -> None:
        self._opened = opened
        self._counter = counter
        self._clock = clock

    def at_departure(self, on_send: OnSend) -> None:
        """See :class:`tidewaiter.transport.wire.Departing`."""
        at_departure(self._opened, on_send)

    async def __aenter__(self) -> RawReply:
        asked_at = self._clock.monotonic()
        try:
            reply = await self._opened.__aenter__()
        except NotSentError:
            self._counter.failed(sent=False)
            raise
        except LostReplyError:
            self._counter.failed(sent=True)
            raise
        self._counter.replied(reply.status, self._clock.monotonic() - asked_at)
        return reply

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._opened.__aexit__(kind, error, trace)

"""A sliding window of requests, as the provider counts them.

The library asyncio-throttle keeps the log of requests, forgets those that are older than the period, and lets one wait
until there is room. This file is the only one that uses it, and the only one that touches its private state: a window
must be restored after a restart, and a request must keep its place until its reply is here. The library offers neither.
``tests/transport/test_window.py`` fails if a new version of the library changes what is used here.
"""

import math
from collections.abc import Iterable

from asyncio_throttle.throttler import Throttler

from tidewaiter.clock import Clock

# The library forgets a request only when more than the period has passed; a caller that waits looks again this often.
_MARGIN_S = 0.001
_RETRY_S = 0.05


class SlidingWindow(Throttler):
    """A window in which a request keeps its place until one period after its reply.

    The provider counts a request at some moment between its departure and its reply; that moment is not known here. So
    a request in flight lowers ``rate_limit`` by one instead of standing in the log, and enters the log when its reply
    is here. Whatever moment the provider uses, it never counts more than ``requests`` in ``period_s`` seconds.

    The library polls while it waits. To avoid that, ask :meth:`wait_s` and wait that long before :meth:`enter`. The
    library reads ``time.monotonic`` itself, so the clock must run with it.

    Args:
        clock: the time.
        requests: how many requests the window admits.
        period_s: its length.
    """

    def __init__(self, clock: Clock, requests: int, period_s: float) -> None:
        super().__init__(rate_limit=requests, period=period_s, retry_interval=_RETRY_S)
        self._clock = clock
        self._requests = requests
        self._period_s = period_s
        self._filled_at = -math.inf

    def restore(self, stamps: Iterable[float]) -> None:
        """Count requests that were made before, at these seconds of the monotonic clock."""
        self._task_logs.extend(sorted(stamps))

    def stamps(self) -> list[float]:
        """When the requests that still count were made (those in flight: now), in seconds of the monotonic clock."""
        self.flush()  # type: ignore[no-untyped-call]  # the library annotates no results
        in_flight = self._requests - self.rate_limit
        return [*self._task_logs, *[self._clock.monotonic()] * in_flight]

    def wait_s(self) -> float:
        """Seconds until there may be room: 0 if there is, infinity if only a reply can make room."""
        self.flush()  # type: ignore[no-untyped-call]  # the library annotates no results
        if len(self._task_logs) < self.rate_limit:
            return 0.0
        if self.rate_limit <= 0:
            return math.inf
        last_to_leave = self._task_logs[len(self._task_logs) - self.rate_limit]
        return max(0.0, last_to_leave + self._period_s - self._clock.monotonic()) + _MARGIN_S

    @property
    def left(self) -> int:
        """How many requests may be sent at once."""
        self.flush()  # type: ignore[no-untyped-call]  # the library annotates no results
        return max(0, self.rate_limit - len(self._task_logs))

    def was_full(self, within_s: float) -> bool:
        """Whether the last place was taken that recently, or none is free now."""
        return self._clock.monotonic() - self._filled_at < within_s or self.wait_s() > 0

    async def enter(self) -> None:
        """Take a place for a request in flight; only one caller at a time may do so."""
        await self.acquire()  # type: ignore[no-untyped-call]  # the library annotates no results
        self._task_logs.pop()
        self.rate_limit -= 1
        if len(self._task_logs) >= self.rate_limit:
            self._filled_at = self._clock.monotonic()

    def cancel(self) -> None:
        """The request was not sent: its place is free at once."""
        self.rate_limit += 1

    def leave(self) -> None:
        """The reply is here, or will not come: the place stays taken for one period from now."""
        self.rate_limit += 1
        self._task_logs.append(self._clock.monotonic())

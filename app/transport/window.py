"""A sliding window of requests that is exact where it is counted: at the remote."""

import math
from collections.abc import Iterable

from asyncio_throttle.throttler import Throttler

from app.clock import Clock

# The library drops a stamp only when more than the period has passed, and polls until then.
_MARGIN_S = 0.001
_POLL_S = 0.05


class Window(Throttler):
    """asyncio-throttle's sliding log, in which a request keeps its place until a period after its reply.

    The remote counts a request at some moment between our sending it and our reading its reply; nobody here knows
    which. So a request in flight lowers ``rate_limit`` by one instead of standing in the log, and is stamped when its
    reply is here. Whatever moment the remote took, it never counts more than ``requests`` in ``period_s`` seconds.

    The library polls while it waits. Whoever enters asks :meth:`wait_s` first and waits that long, so that the
    library finds room at once. It reads ``time.monotonic`` by itself; the clock must run with it.
    """

    def __init__(self, clock: Clock, requests: int, period_s: float) -> None:
        super().__init__(rate_limit=requests, period=period_s, retry_interval=_POLL_S)
        self._clock = clock
        self._requests = requests
        self._period_s = period_s
        self._filled_at = -math.inf

    def restore(self, stamps: Iterable[float]) -> None:
        """Take over requests made before, as seconds of the monotonic clock."""
        self._task_logs.extend(sorted(stamps))

    def stamps(self) -> list[float]:
        """When the requests that still count were made (those in flight: now), as seconds of the monotonic clock."""
        self.flush()  # type: ignore[no-untyped-call]  # the library annotates no results
        in_flight = self._requests - self.rate_limit
        return [*self._task_logs, *[self._clock.monotonic()] * in_flight]

    def wait_s(self) -> float:
        """Seconds until there may be room: 0 when there is, infinity while only a reply can make some."""
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
        """Take a place as a request in flight; one at a time may ask."""
        await self.acquire()  # type: ignore[no-untyped-call]  # the library annotates no results
        self._task_logs.pop()
        self.rate_limit -= 1
        if len(self._task_logs) >= self.rate_limit:
            self._filled_at = self._clock.monotonic()

    def forgo(self) -> None:
        """The request was not sent: the place is free at once."""
        self.rate_limit += 1

    def leave(self) -> None:
        """The reply is here, or will not come: the place stays taken for one period from now."""
        self.rate_limit += 1
        self._task_logs.append(self._clock.monotonic())

"""The requests that an account may send to its provider now: every request to the provider passes here.

It keeps the rate limit, the spacing, closings and pauses, and a circuit breaker: after several failures in a row
nothing is sent for a while.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from types import TracebackType
from typing import Literal, Self

from tidewaiter.clock import Clock
from tidewaiter.domain.backoff_and_limits import Backoff, Limits
from tidewaiter.transport.sliding_window import SlidingWindow
from tidewaiter.transport.wire import AccountClosedError, AccountPausedError, DrainingError

BreakerState = Literal["closed", "open", "half-open"]
_MOST_FAILURES = 5
_OPEN = Backoff(base_s=30.0, factor=2.0, cap_s=600.0)
_PROBE_S = 60.0
_THROTTLE = Backoff(base_s=5.0, factor=2.0, cap_s=300.0)
_TRUSTED = 2  # this many times in a row, a Retry-After is used as it is
_SHORTEST_THROTTLE_S = 1.0  # never a hot loop, whatever the server asks for
_LONGEST_SLEEP_S = 3600.0
_MOMENT_S = 5.0  # a step waits so long instead of ending
_JUST_FULL_S = 10.0  # a reply may be about a moment this long ago


class Permit:
    """The right to send one request, from its admission until its reply's headers are here.

    As a context manager it is done when the block is left.
    """

    __slots__ = ("_budget",)

    def __init__(self, budget: "Budget | None") -> None:
        self._budget = budget

    def done(self) -> None:
        """The headers have arrived, or will not: from now on the request's place in the window is running out."""
        budget, self._budget = self._budget, None
        if budget is not None:
            budget._leave()

    def give_back(self) -> None:
        """The request was not sent and will not be: its place is free again."""
        budget, self._budget = self._budget, None
        if budget is not None:
            budget._cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.done()


_FREE = Permit(None)


class Budget:
    """The requests of one account (or one shard of it) to its provider: rate, spacing, closings and the breaker.

    Every sender waits in line in :meth:`admit`; only the first in line watches the clock, the others cost nothing.
    Spacing is a window of one request, so it too is kept as the provider sees it, and two requests of an account with
    spacing are never in flight together. The lane bounds how many others are in
    flight (``limits.concurrency``).

    Args:
        clock: its monotonic time must be that of ``time.monotonic``, which asyncio-throttle reads by itself.
        rand: jitter of the backoffs.
        limits: what the provider allows.
        window: when requests were made before this process, in epoch seconds.
        full: assume that the whole window was used just now, by an earlier owner that did not store it.
    """

    def __init__(
        self, clock: Clock, rand: Random, limits: Limits, window: Sequence[float] = (), full: bool = False
    ) -> None:
        self._clock = clock
        self._rand = rand
        self._breaker = Breaker(rand)
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._closed_until = 0.0
        self._closed_reason: str | None = None
        self._paused: str | None = None
        self._throttles = 0
        self._drains_until: float | None = None
        self.unpaused = asyncio.Event()
        self.unpaused.set()
        self._windows: list[SlidingWindow] = []
        if limits.spacing_s > 0:
            self._add_window(1, limits.spacing_s, sorted(window)[-1:], full)
        if limits.requests is not None:
            self._add_window(limits.requests, limits.period_s, window, full)

    def _add_window(self, requests: int, period_s: float, stamps: Sequence[float], full: bool) -> None:
        now, monotonic = self._clock.now(), self._clock.monotonic()
        window = SlidingWindow(self._clock, requests, period_s)
        # Another worker's clock may be ahead of this one: nothing was sent later than now.
        window.restore([monotonic] * requests if full else [monotonic + min(0.0, at - now) for at in stamps])
        self._windows.append(window)

    async def admit(self) -> Permit:
        """Wait until one request may be sent, first come, first served.

        Returns:
            The permit; call its ``done`` when the reply's headers have arrived or the request has failed.

        Raises:
            AccountPausedError: the account is paused, possibly for days, so callers do not wait in line for the end.
            DrainingError: the lane is about to end, and the wait would not be over before; see :meth:`drain`.
        """
        self._check_pause()
        if not self._windows and not self._closed_until and self._breaker.closed:
            return _FREE
        async with self._turn:
            self._check_pause()
            while (wait_s := self._wait_s()) > 0:
                self._check_drain(wait_s)
                await self._sleep(wait_s)
                self._check_pause()
            for window in self._windows:
                await window.enter()
            self._breaker.admitted(self._clock.monotonic())
        return Permit(self) if self._windows or not self._breaker.closed else _FREE

    def _wait_s(self) -> float:
        closed_s = self.closed_until - self._clock.now() if self._closed_until else 0.0
        breaker_s = self._breaker.wait_s(self._clock.monotonic())
        return max(closed_s, breaker_s, *(window.wait_s() for window in self._windows))

    def check_open(self) -> None:
        """Raise ``AccountClosedError`` if nothing is admitted for more than 5 s; the rate limit does not count."""
        breaker_s = self._breaker.wait_s(self._clock.monotonic()) if self.breaker == "open" else 0.0
        wait_s = max(self.closed_until - self._clock.now() if self._closed_until else 0.0, breaker_s)
        if wait_s > _MOMENT_S:
            raise AccountClosedError(f"the account is closed for {wait_s:.0f} s: {self.closed_reason}", wait_s)

    async def sleep_between_tries(self, delay_s: float) -> None:
        """Sleep between two tries within one step.

        Raises:
            DrainingError: the lane is about to end, and the rest of the sleep would not be over soon.
        """
        until = self._clock.monotonic() + delay_s
        while (left_s := until - self._clock.monotonic()) > 0:
            if self._drains_until is not None and (left_s > _MOMENT_S or until > self._drains_until):
                raise DrainingError("The lane is about to end.")
            await self._sleep(left_s)

    async def _sleep(self, wait_s: float) -> None:
        """Sleep that long, or until something changed."""
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(wait_s, _LONGEST_SLEEP_S)):
                await self._changed.wait()

    def _leave(self) -> None:
        for window in self._windows:
            window.leave()
        self._changed.set()

    def _cancel(self) -> None:
        for window in self._windows:
            window.cancel()
        self._breaker.undecided()
        self._changed.set()

    def close(self, until: float, reason: str) -> None:
        """Admit nothing before ``until`` (epoch seconds, or infinity); a closing already in force is only extended."""
        if until > self.closed_until:
            self._closed_until = until
            self._closed_reason = reason

    def pause(self, reason: str) -> None:
        """Admit nothing until :meth:`resume`; waiting callers get ``AccountPausedError``."""
        if self._paused is None:
            self._breaker.undecided()
            self._paused = reason
            self.unpaused.clear()
            self._changed.set()

    def resume(self) -> None:
        """Admit again, one request at first, to find out whether the account works now."""
        self._paused = None
        self._breaker.probe()
        self.unpaused.set()

    def reopen(self) -> bool:
        """End a closing at a person's request: one request finds out whether the provider answers again.

        Returns:
            Whether there was one, of the provider's or of the breaker's.
        """
        if not self.closed_until and self._breaker.closed:
            return False
        self._closed_until = 0.0
        self._closed_reason = None
        self._throttles = 0
        self._breaker.probe()
        self._changed.set()
        return True

    @property
    def paused(self) -> str | None:
        """Why the account is paused; ``None`` if it is not."""
        return self._paused

    def drain(self, grace_s: float) -> None:
        """Raise ``DrainingError`` for callers that wait for more than the rate limit: for a closing or the breaker.

        Args:
            grace_s: how long requests are still admitted, in seconds; a caller that must wait longer gets the error.
        """
        self._drains_until = self._clock.monotonic() + grace_s
        self._changed.set()

    def _check_drain(self, wait_s: float) -> None:
        if self._drains_until is None:
            return
        now = self._clock.monotonic()
        if self.closed_until or self._breaker.wait_s(now) > 0 or now + wait_s > self._drains_until:
            raise DrainingError("The lane is about to end.")

    def _check_pause(self) -> None:
        if self._paused is not None:
            raise AccountPausedError(self._paused)

    def succeeded(self) -> None:
        """The provider answered as it should: the breaker closes, and backoffs start over."""
        self._throttles = 0
        if not self._breaker.closed:
            self._changed.set()
        self._breaker.succeeded()

    def failed(self, reason: str) -> None:
        """The provider failed; after five failures in a row the breaker opens."""
        self._breaker.failed(self._clock.monotonic(), reason)

    def undecided(self) -> None:
        """A reply does not show the provider's health: if it was the probe's, another probe may be sent."""
        self._breaker.undecided()
        self._changed.set()

    def throttled(self, retry_after_s: float | None, reason: str) -> None:
        """The provider throttles us: close for as long as it asks, or for a growing backoff if it names no delay.

        If it does so again and again, our backoff grows as well: the later of both counts, because Retry-After
        means "not before" (RFC 9110, section 10.2.3). Several requests in flight together get the same
        reply; only the first of them raises the backoff.
        """
        self._breaker.undecided()
        now = self._clock.now()
        is_news = now >= self.closed_until
        if retry_after_s is None:
            if not is_news:
                return
            retry_after_s = _THROTTLE.delay(self._throttles, self._rand)
        elif self._throttles >= _TRUSTED and is_news:
            retry_after_s = max(retry_after_s, _THROTTLE.delay(self._throttles - _TRUSTED, self._rand))
        self._throttles += is_news
        self.close(now + max(retry_after_s, _SHORTEST_THROTTLE_S), reason)

    def spent(self, wait_s: float, reason: str) -> bool:
        """The provider reports that its limit is used up for this long.

        Where our own requests explain that, it is ignored: our window knows the moment exactly, and a server that
        counts in whole seconds would cost a part of every period. Otherwise somebody else uses the account too.

        Returns:
            Whether the budget was closed for it.
        """
        if any(window.was_full(_JUST_FULL_S) for window in self._windows):
            return False
        self.close(self._clock.now() + max(wait_s, _SHORTEST_THROTTLE_S), reason)
        return True

    @property
    def closed_until(self) -> float:
        """Until when nothing is admitted, in epoch seconds; 0 when the account is open. The breaker is not in it."""
        if self._closed_until and self._closed_until <= self._clock.now():
            self._closed_until = 0.0
            self._closed_reason = None
        return self._closed_until

    @property
    def closed_reason(self) -> str | None:
        """Why nothing is admitted: the closing's reason, else the open breaker's. The pause is not in it."""
        return self._closed_reason if self.closed_until else self._breaker.reason

    @property
    def is_closed(self) -> bool:
        """Whether a closing or the breaker holds requests back; neither the rate limit nor a pause counts."""
        return self.closed_until > 0 or self._breaker.wait_s(self._clock.monotonic()) > 0

    @property
    def tests_at(self) -> float | None:
        """When the open breaker lets a test request through, in epoch seconds; ``None`` if it is not open."""
        if self.closed_until or self.breaker != "open":
            return None
        return self._clock.now() + self._breaker.wait_s(self._clock.monotonic())

    @property
    def breaker(self) -> BreakerState:
        """The state of the breaker."""
        return self._breaker.state(self._clock.monotonic())

    @property
    def left(self) -> int | None:
        """How many requests may be sent at once, closings aside; ``None`` if there is no limit."""
        return min((window.left for window in self._windows), default=None)

    def snapshot(self) -> list[float]:
        """When the requests that still count were made, in epoch seconds, oldest first; in flight counts as now."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        # The longer log holds the other: spacing only ever remembers the last request.
        longest = max((window.stamps() for window in self._windows), key=len, default=[])
        return [now + stamp - monotonic for stamp in longest]


class Breaker:
    """Closed, open until a moment, then half-open: one request at a time probes whether the provider is back.

    ``now`` is always in seconds of the monotonic clock. A probe without a result (its step was cancelled, or its reply
    does not show the provider's health) is given up after a minute, and another one is sent.
    """

    __slots__ = ("_failures", "_opened", "_probe_until", "_rand", "_until", "closed", "reason")

    def __init__(self, rand: Random) -> None:
        self._rand = rand
        self._failures = self._opened = 0
        self.closed = False
        self.succeeded()

    def succeeded(self) -> None:
        """The provider works."""
        if self.closed and not self._failures:
            return  # as after most requests
        self.closed = True
        self.reason: str | None = None
        self._failures = 0
        self._opened = 0
        self._until = 0.0
        self._probe_until = 0.0

    def failed(self, now: float, reason: str) -> None:
        """The provider failed: counts while closed, ends the probe while half-open, and changes nothing while open."""
        self._failures += 1
        state = self.state(now)
        if state == "half-open" or (state == "closed" and self._failures >= _MOST_FAILURES):
            self.closed = False
            self.reason = reason
            self._until = now + _OPEN.delay(self._opened, self._rand)
            self._opened += 1
            self._probe_until = 0.0

    def probe(self) -> None:
        """The provider's health is unknown: one request finds out before others are sent."""
        self.closed = False
        self.reason = None
        self._until = 0.0
        self._probe_until = 0.0

    def undecided(self) -> None:
        """The probe's reply does not show the provider's health: another may be sent."""
        self._probe_until = 0.0

    def state(self, now: float) -> BreakerState:
        """The breaker's state."""
        if self.closed:
            return "closed"
        return "open" if now < self._until else "half-open"

    def wait_s(self, now: float) -> float:
        """Seconds until a request may be sent."""
        return 0.0 if self.closed else max(0.0, self._until - now, self._probe_until - now)

    def admitted(self, now: float) -> None:
        """A request is sent; while half-open it is the probe that the others wait for."""
        if not self.closed:
            self._probe_until = now + _PROBE_S

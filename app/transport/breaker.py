"""The circuit breaker of an account: after several failures in a row, no request is sent for a while."""

from random import Random
from typing import Literal

from app.domain.schedule import Backoff

State = Literal["closed", "open", "half-open"]

_MOST_FAILURES = 5
_OPEN = Backoff(base_s=30.0, factor=2.0, cap_s=600.0)
_PROBE_S = 60.0


class Breaker:
    """Closed, open until a moment, then half-open: one request at a time probes whether the provider is back.

    ``now`` is always in seconds of the monotonic clock. A probe without a result (its step was cancelled, or its reply
    said nothing about the provider's health) is given up after a minute, and another one is sent.
    """

    __slots__ = ("_failures", "_opened", "_probe_until", "_rand", "_until", "closed", "reason")

    def __init__(self, rand: Random) -> None:
        self._rand = rand
        self._opened = 0
        self.succeeded()

    def succeeded(self) -> None:
        """The provider works."""
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
        """The probe's reply said nothing about the provider's health: another may be sent."""
        self._probe_until = 0.0

    def state(self, now: float) -> State:
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

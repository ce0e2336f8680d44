"""Which endpoints of notifications work again after failures, so that what waits for them need not wait longer."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from tidewaiter.clock import Clock

_FAILURES: Final = 2
"""So many failures in a row mean that the endpoint fails. One may be a message that the receiver does not accept."""


class EndpointRecovery:
    """The endpoints that have accepted a notification after several failures.

    Each notification that failed before that moment is tried early once; one that fails again keeps its delays. So a
    message that a receiver never accepts does not use up its attempts because others are accepted.

    Args:
        clock: the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: Counter[str] = Counter()
        self._working: set[str] = set()
        self._recovered_at: dict[str, float] = {}
        self._not_before: dict[str, float] = {}
        self._places: dict[str, int] = {}

    def failed(self, endpoint: str) -> None:
        """A delivery has failed."""
        self._failures[endpoint] += 1

    def asked_for(self, endpoint: str, seconds: float) -> None:
        """The receiver has asked for a delay: until then nothing is tried early."""
        until = self._clock.monotonic() + seconds
        self._not_before[endpoint] = max(until, self._not_before.get(endpoint, until))

    def delivered(self, endpoint: str, attempts: int) -> None:
        """The endpoint has accepted a notification at this attempt, counted from 1.

        Failures that an earlier daemon met are known from the attempts of what is accepted first.
        """
        failures = self._failures.pop(endpoint, 0)
        if endpoint not in self._working:
            failures = max(failures, attempts - 1)
        self._working.add(endpoint)
        if failures >= _FAILURES:
            self._recovered_at[endpoint] = self._clock.monotonic()

    def since_s(self, endpoint: str) -> float | None:
        """How long ago an endpoint began to work again; ``None`` if nothing may be tried early."""
        now, at = self._clock.monotonic(), self._recovered_at.get(endpoint)
        if at is None or self._failures[endpoint] >= _FAILURES or self._not_before.get(endpoint, now) > now:
            return None
        return now - at

    def place(self, endpoint: str) -> int:
        """The id up to which its notifications have been tried early; 0 at the beginning."""
        return self._places.get(endpoint, 0)

    def brought(self, endpoint: str, numbers: Sequence[int]) -> None:
        """Notifications after :meth:`place` are tried early now, in the order of their ids.

        If there was none, those before are looked at once more, which may have failed since: then it has caught up.
        """
        if numbers:
            self._places[endpoint] = numbers[-1]
        elif self._places.pop(endpoint, None) is None:
            self._recovered_at.pop(endpoint, None)

    def forget(self) -> None:
        """Begin anew, because the endpoints were configured anew."""
        self._failures.clear()
        self._working.clear()
        self._recovered_at.clear()
        self._not_before.clear()
        self._places.clear()

"""Which endpoints of notifications fail, since when and how often, as log lines."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.log import EventLog

_FAILS_FOR_S: Final = 120.0
_LEAST_FAILURES: Final = 2
_REMIND_S: Final = 3600.0


@dataclass(slots=True)
class _Failing:
    """An endpoint that has accepted nothing since ``since`` (monotonic seconds)."""

    since: float
    reason: str
    warn_at: float
    failures: int = 0
    is_warned: bool = False


class EndpointHealth:
    """Warns of an endpoint that has failed for minutes, and again every hour for as long as it does.

    Args:
        clock: the time.
        log: receives the warnings.
    """

    def __init__(self, clock: Clock, log: EventLog) -> None:
        self._clock = clock
        self._log = log
        self._failing: dict[str, _Failing] = {}

    def failed(self, endpoint: str, reason: str) -> None:
        """A delivery has failed."""
        now = self._clock.monotonic()
        found = self._failing.setdefault(endpoint, _Failing(now, reason, now + _FAILS_FOR_S))
        found.failures += 1
        found.reason = reason

    def delivered(self, endpoint: str) -> None:
        """The endpoint has accepted a notification."""
        found = self._failing.pop(endpoint, None)
        if found is not None and found.is_warned:
            self._log.emit("endpoint.recovered", endpoint=endpoint, failures=found.failures, for_s=self._for_s(found))

    def warn(self, waiting: Collection[str]) -> None:
        """Warn of the endpoints for which it is time.

        Args:
            waiting: those for which notifications wait; nothing is said of any other one.
        """
        now = self._clock.monotonic()
        for endpoint, found in self._failing.items():
            if endpoint in waiting and found.warn_at <= now and found.failures >= _LEAST_FAILURES:
                found.warn_at, found.is_warned = now + _REMIND_S, True
                self._log.emit(
                    "endpoint.failing",
                    endpoint=endpoint,
                    reason=found.reason,
                    failures=found.failures,
                    for_s=self._for_s(found),
                )

    def forget(self) -> None:
        """Begin anew, because the endpoints were configured anew."""
        self._failing.clear()

    def _for_s(self, found: _Failing) -> float:
        return round(self._clock.monotonic() - found.since, 1)

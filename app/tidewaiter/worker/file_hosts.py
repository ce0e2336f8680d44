"""Which file hosts are closed for downloads.

A host other than the provider's that answers 429 or 503 says nothing about the account: only the downloads from it
wait, for all jobs of the account. That is kept in memory: after a restart the host is asked once more.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from tidewaiter.clock import Clock
from tidewaiter.domain.backoff_and_limits import Backoff
from tidewaiter.transport.wire import HostClosedError

_BACKOFF = Backoff(base_s=5.0, factor=2.0, cap_s=300.0)
_SHORTEST_S = 1.0
_FORGET_AFTER_S = 2 * _BACKOFF.cap_s
_MANY = 256


@dataclass(frozen=True, slots=True)
class HostClosing:
    """Until when a host is closed (epoch seconds), why, and how many times in a row it named no delay."""

    until: float
    reason: str
    without_delay: int

    def __str__(self) -> str:
        moment = datetime.fromtimestamp(self.until, UTC)
        return f"closed for downloads until {moment:%Y-%m-%dT%H:%M:%SZ}: {self.reason}"


class FileHosts:
    """Which hosts are closed, for each account by itself.

    Args:
        clock: the time.
        rand: spreads the delays.
    """

    def __init__(self, clock: Clock, rand: Random) -> None:
        self._clock = clock
        self._rand = rand
        self._closings: dict[tuple[str, str], HostClosing] = {}

    def throttled(self, account: str, origin: str, retry_after_s: float | None, reason: str) -> HostClosing:
        """Close a host for as long as it asks, or for a growing backoff if it names no delay.

        Several downloads that ran together get the same reply; only the first of them makes the backoff grow.

        Args:
            account: whose downloads wait.
            origin: scheme, host and port.
            retry_after_s: the delay that the host asked for, within floor and cap.
            reason: the text of its reply.
        """
        now, before = self._clock.now(), self._closings.get((account, origin))
        if retry_after_s is None and before is not None and now < before.until:
            return before
        recent = before is not None and now < before.until + _FORGET_AFTER_S
        without_delay = before.without_delay if before is not None and recent else 0
        if retry_after_s is None:
            delay_s, without_delay = _BACKOFF.delay(without_delay, self._rand), without_delay + 1
        else:
            delay_s = max(retry_after_s, _SHORTEST_S)
        until = max(now + delay_s, before.until if before is not None else 0.0)
        closing = HostClosing(until, f"{origin} asked for it, {reason}", without_delay)
        self._closings[account, origin] = closing
        self._forget(now)
        return closing

    def served(self, account: str, origin: str) -> None:
        """A host gave a file: its delays start small again. A closing that is in force stays."""
        before = self._closings.get((account, origin))
        if before is not None and before.until <= self._clock.now():
            del self._closings[account, origin]

    def check(self, account: str, origin: str) -> None:
        """Raise ``HostClosedError`` if the host is closed."""
        closing = self._closings.get((account, origin))
        if closing is not None and (wait_s := closing.until - self._clock.now()) > 0:
            raise HostClosedError(str(closing), wait_s)

    def _forget(self, now: float) -> None:
        """Forget the closings that ended long ago."""
        if len(self._closings) > _MANY:
            self._closings = {key: one for key, one in self._closings.items() if now < one.until + _FORGET_AFTER_S}

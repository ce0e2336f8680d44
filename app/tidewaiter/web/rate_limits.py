"""How often a caller may do something: a token bucket, and a limit on wrong tokens."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from tidewaiter.clock import Clock

BURST: Final = 10
"""Wrong tokens that an address may send at once."""
PER_S: Final = 1 / 6
"""Wrong tokens that it may send per second in the long run."""
TOTAL_BURST: Final = 200
TOTAL_PER_S: Final = 2.0
MOST_ADDRESSES: Final = 4096
"""Addresses that are remembered. Beyond that the one that was quiet for longest is dropped."""


class RateBucket:
    """Holds up to ``burst`` tokens and gets ``per_s`` new ones per second.

    Args:
        clock: the time.
        per_s: the rate in the long run.
        burst: how many may come at once.
    """

    def __init__(self, clock: Clock, per_s: float, burst: int) -> None:
        self._clock = clock
        self._per_s = per_s
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at = clock.monotonic()

    def take(self) -> float:
        """Take one token. Returns 0, or, if there is none, the seconds until the next one."""
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_s)
        self._filled_at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_s
        self._tokens -= 1
        return 0.0


@dataclass(slots=True)
class _LeakyCount:
    """A count of wrong tokens at a time; it decreases as time passes."""

    count: float
    at: float

    def now(self, at: float, per_s: float) -> float:
        return max(0.0, self.count - (at - self.at) * per_s)


class WrongTokenCounter:
    """Counts wrong tokens.

    Args:
        clock: the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._addresses: OrderedDict[str, _LeakyCount] = OrderedDict()
        self._total = _LeakyCount(0.0, clock.monotonic())

    def wait_s(self, address: str) -> float:
        """For how many seconds no token from this address is checked; 0 if it is checked."""
        level = self._addresses.get(address)
        if level is None:
            return 0.0
        now = self._clock.monotonic()
        is_flood = self._total.now(now, TOTAL_PER_S) > TOTAL_BURST - 1
        permitted = 1 if is_flood else BURST
        return max(0.0, level.now(now, PER_S) + 1 - permitted) / PER_S

    def count_wrong(self, address: str) -> None:
        """Count a wrong token from this address."""
        now = self._clock.monotonic()
        level = self._addresses.pop(address, None) or _LeakyCount(0.0, now)
        self._addresses[address] = _LeakyCount(level.now(now, PER_S) + 1, now)
        self._total = _LeakyCount(min(self._total.now(now, TOTAL_PER_S) + 1, TOTAL_BURST), now)
        if len(self._addresses) > MOST_ADDRESSES:
            self._addresses.popitem(last=False)

"""Counts wrong tokens for each address and in total, so that nobody can try many of them.

An address with too many wrong tokens gets 429 before its next token is checked, because a right guess would be let in.
An address without wrong tokens is never slowed. During a flood of wrong tokens from many addresses, one wrong token
slows its address at once.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from app.clock import Clock

BURST: Final = 10
"""Wrong tokens that an address may send at once."""
PER_S: Final = 1 / 6
"""Wrong tokens that it may send per second in the long run."""
TOTAL_BURST: Final = 200
TOTAL_PER_S: Final = 2.0
MOST_PLACES: Final = 4096
"""Addresses that are remembered. Beyond that the one that was quiet for longest is dropped."""


@dataclass(slots=True)
class _Level:
    """A count of wrong tokens at a time; it decreases as time passes."""

    count: float
    at: float

    def now(self, at: float, per_s: float) -> float:
        return max(0.0, self.count - (at - self.at) * per_s)


class Guesses:
    """Counts wrong tokens.

    Args:
        clock: the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._addresses: OrderedDict[str, _Level] = OrderedDict()
        self._total = _Level(0.0, clock.monotonic())

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
        level = self._addresses.pop(address, None) or _Level(0.0, now)
        self._addresses[address] = _Level(level.now(now, PER_S) + 1, now)
        self._total = _Level(min(self._total.now(now, TOTAL_PER_S) + 1, TOTAL_BURST), now)
        if len(self._addresses) > MOST_PLACES:
            self._addresses.popitem(last=False)

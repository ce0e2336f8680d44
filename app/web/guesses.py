"""Wrong tokens: counted for each address and in total, so that nobody can try many of them.

An address that has shown too many is answered 429 before its token is looked at, or a right guess would get in all the
same. An address that has shown none is never slowed, whatever others do. While wrong tokens come in masses, from
however many addresses, each wrong token slows its address at once.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from app.clock import Clock

BURST: Final = 10
"""Wrong tokens that an address may show at once."""
PER_S: Final = 1 / 6
"""Wrong tokens that it may show in the long run, each second."""
TOTAL_BURST: Final = 200
TOTAL_PER_S: Final = 2.0
MOST_PLACES: Final = 4096
"""Addresses that are remembered; beyond them the one that was quiet longest is forgotten."""


@dataclass(slots=True)
class _Level:
    """How many wrong tokens count, as of a moment; fewer later on."""

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
        self._places: OrderedDict[str, _Level] = OrderedDict()
        self._total = _Level(0.0, clock.monotonic())

    def wait_s(self, place: str) -> float:
        """For how many seconds no token of this place is looked at; 0 where one is."""
        level = self._places.get(place)
        if level is None:
            return 0.0
        now = self._clock.monotonic()
        is_flood = self._total.now(now, TOTAL_PER_S) > TOTAL_BURST - 1
        permitted = 1 if is_flood else BURST
        return max(0.0, level.now(now, PER_S) + 1 - permitted) / PER_S

    def wrong(self, place: str) -> None:
        """A wrong token came from this place."""
        now = self._clock.monotonic()
        level = self._places.pop(place, None) or _Level(0.0, now)
        self._places[place] = _Level(level.now(now, PER_S) + 1, now)
        self._total = _Level(min(self._total.now(now, TOTAL_PER_S) + 1, TOTAL_BURST), now)
        if len(self._places) > MOST_PLACES:
            self._places.popitem(last=False)

"""Counters of the hot path: plain numbers, written from the event loop only, read at a scrape.

A counter of the client library takes a lock and costs about a microsecond; a poll passes three of them, and thousands
of polls are made in a second.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from app.metrics.catalogue import CATALOGUE

_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
_LEAST_STATUS: Final = 100
_BOUNDS: Final = CATALOGUE["tidewaiter_reply_seconds"].buckets


class Spread:
    """Counts values in buckets; a value on a bound belongs to the bucket that ends there."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """For each bound how many values did not exceed it, in the form of the exposition format."""
        names = [*map(str, self._bounds), "+Inf"]
        return [(name, float(count)) for name, count in zip(names, accumulate(self._counts), strict=True)]


class RequestTally:
    """Counts the requests of one account to one kind of host."""

    __slots__ = ("latency", "statuses")

    def __init__(self) -> None:
        self.statuses = dict.fromkeys((*_CLASSES, "unsent", "lost"), 0)
        self.latency = Spread(_BOUNDS)

    def replied(self, status: int, seconds: float) -> None:
        """Count a reply whose headers came ``seconds`` after its request."""
        place = min(max(status, _LEAST_STATUS), 599) // 100 - 1
        self.statuses[_CLASSES[place]] += 1
        self.latency.add(seconds)

    def failed(self, *, sent: bool) -> None:
        """Count a request without a reply; ``sent`` if the remote may have seen it."""
        self.statuses["lost" if sent else "unsent"] += 1

"""A sketch of how long remote jobs take until they are ready: weights of log-spaced buckets; older ones count less.

Polling never sees when a remote job gets ready, only that it happened between two polls. So an observation is an
interval. Its weight is spread over the buckets of the interval, more where earlier observations are: one step of the
EM algorithm for interval-censored data (B. W. Turnbull, 1976, doi:10.1111/j.2517-6161.1976.tb01597.x).
"""

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

_PER_OCTAVE: Final = 8
_OCTAVES: Final = 22
EDGES_S: Final[tuple[float, ...]] = (0.0, *(2.0 ** (step / _PER_OCTAVE) for step in range(_OCTAVES * _PER_OCTAVE + 1)))
"""Bucket ``n`` has what is longer than ``EDGES_S[n]`` and at most ``EDGES_S[n + 1]`` seconds: 9 % wide, to 48 days."""
LAST_BUCKET: Final = len(EDGES_S) - 2
_KEPT_SHARE: Final = 1.0 - 1.0 / 48.0
_LEAST_WEIGHT: Final = 0.002
_DIGITS: Final = 5


@dataclass(frozen=True, slots=True)
class ObservedDuration:
    """A remote job that was not ready so many seconds after the submit, and was ready so many.

    ``kind`` tells jobs apart whose parameters matter for the duration; the same text for jobs that are alike.
    """

    kind: str
    after_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class DurationSketch:
    """Durations from the submit to "ready", as weights of buckets.

    ``count`` is how many observations were added, ever. Each further one takes a 48th of the weight of the others, so
    the weights follow a drift, and their sum is at most 48.
    """

    count: int = 0
    weights: Mapping[int, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """The sum of the weights: how many observations it is worth."""
        return sum(self.weights.values())

    def with_one(self, after_s: float, until_s: float) -> "DurationSketch":
        """The sketch with one more remote job, that was not ready ``after_s`` and was ready ``until_s``."""
        after_s = max(0.0, min(after_s, until_s))
        weights = {
            bucket: kept for bucket, weight in self.weights.items() if (kept := weight * _KEPT_SHARE) >= _LEAST_WEIGHT
        }
        shares = [
            (bucket, of_interval + weights.get(bucket, 0.0) * of_bucket)
            for bucket, of_interval, of_bucket in _parts(after_s, until_s)
        ]
        whole = sum(share for _, share in shares)
        for bucket, share in shares:
            if share / whole >= _LEAST_WEIGHT:
                weights[bucket] = weights.get(bucket, 0.0) + share / whole
        return DurationSketch(self.count + 1, weights)

    def quantile_s(self, share: float, *, after_s: float = 0.0) -> float | None:
        """The seconds that this share does not exceed, of the durations longer than ``after_s``; ``None``: no such."""
        parts = [
            (max(EDGES_S[bucket], after_s), EDGES_S[bucket + 1], weight * _above(bucket, after_s))
            for bucket, weight in sorted(self.weights.items())
            if EDGES_S[bucket + 1] > after_s
        ]
        wanted = share * sum(weight for _, _, weight in parts)
        for (low, high, weight), reached in zip(parts, accumulate(weight for _, _, weight in parts), strict=True):
            if weight and reached >= wanted:
                return high - (high - low) * (reached - wanted) / weight
        return None

    def to_text(self) -> str:
        """The sketch as text for the database."""
        weights = {str(bucket): round(weight, _DIGITS) for bucket, weight in sorted(self.weights.items())}
        return json.dumps({"count": self.count, "weights": weights}, separators=(",", ":"))

    @classmethod
    def of_text(cls, text: str) -> "DurationSketch":
        """The sketch of a text of :meth:`to_text`."""
        found = json.loads(text)
        return cls(found["count"], {int(bucket): weight for bucket, weight in found["weights"].items()})


NO_DURATIONS: Final = DurationSketch()
"""The sketch of no observation."""


def bucket_of(seconds: float) -> int:
    """The bucket of a duration."""
    return min(max(0, bisect_left(EDGES_S, seconds) - 1), LAST_BUCKET)


def _parts(after_s: float, until_s: float) -> Iterator[tuple[int, float, float]]:
    """The buckets of an interval: each with its share of the interval, and the share of it that the interval covers."""
    first, last = bucket_of(after_s), bucket_of(until_s)
    if first == last or after_s >= EDGES_S[-1]:
        yield last, 1.0, 1.0
        return
    length = min(until_s, EDGES_S[-1]) - after_s
    for bucket in range(first, last + 1):
        low, high = EDGES_S[bucket], EDGES_S[bucket + 1]
        covered = max(0.0, min(high, until_s) - max(low, after_s))
        yield bucket, covered / length, covered / (high - low)


def _above(bucket: int, after_s: float) -> float:
    """The share of a bucket that is longer than ``after_s``."""
    low, high = EDGES_S[bucket], EDGES_S[bucket + 1]
    return min(1.0, (high - after_s) / (high - low))

"""Trends: what ended in each hour, day or week, as sums; durations are counted in buckets, so that they can be added.

A job counts once as landed, when its files are durable, and once more for its duration, when it has succeeded. Failed,
expired and cancelled jobs have no duration, because theirs say nothing about how long an export takes.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from tidewaiter.domain.formatting import duration, rough
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.outcome import Stored
from tidewaiter.domain.state_machine import JobUpdate

HOUR_S: Final = 3600
DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S
_FIRST_MONDAY_S: Final = 4 * DAY_S  # the first of January 1970 was a Thursday
BOUNDS_S: Final[tuple[float, ...]] = tuple(2.0 ** (power / 2) for power in range(54))
"""Where the buckets of durations end, in seconds: powers of the square root of 2, from 1 s to three years."""
_ENDS: Final = {State.FAILED: "failed", State.EXPIRED: "expired", State.CANCELLED: "cancelled"}
_DURATION: Final = "duration:"
_DELAY: Final = "delay:"

TrendKey = tuple[int, int, int, str, str]
"""Length of the period in seconds, its begin in epoch seconds, lane, operation and measure."""


class TrendStep(Enum):
    """The length of a period. Days begin at midnight in UTC, weeks on Monday."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"

    @property
    def usual_number(self) -> int:
        """How many periods are shown if nobody says how many."""
        return _USUAL[self]

    @property
    def largest_number(self) -> int:
        """How many periods are kept at most."""
        return KEPT_DAYS[self] * DAY_S // self.seconds

    @property
    def seconds(self) -> int:
        """The length in seconds."""
        return _SECONDS[self]

    def begin(self, at: float) -> int:
        """When the period began in which this moment is; epoch seconds."""
        first = _FIRST_MONDAY_S if self is TrendStep.WEEK else 0
        return int((at - first) // self.seconds) * self.seconds + first

    def begins(self, now: float, number: int) -> list[int]:
        """The begins of the last periods, oldest first; the last one is under way at ``now``."""
        last = self.begin(now)
        return [last - back * self.seconds for back in range(number - 1, -1, -1)]


_SECONDS: Final = {TrendStep.HOUR: HOUR_S, TrendStep.DAY: DAY_S, TrendStep.WEEK: WEEK_S}
_USUAL: Final = {TrendStep.HOUR: 24, TrendStep.DAY: 30, TrendStep.WEEK: 12}
KEPT_DAYS: Final = {TrendStep.HOUR: 14, TrendStep.DAY: 800, TrendStep.WEEK: 800}
"""For how many days the sums of each step are kept."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Durations, counted in buckets: bucket ``n`` ends at ``BOUNDS_S[n]``, and has what is longer than the one before.

    A value on a bound belongs to the bucket that ends there. The last bucket has everything that is longer.
    """

    buckets: Mapping[int, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many durations."""
        return sum(self.buckets.values())

    def quantile_s(self, share: float) -> float | None:
        """The seconds that this share of the durations does not exceed, estimated within a bucket; ``None`` if empty.

        A bucket is 41 % wide, and the estimate takes its durations as evenly spread.
        """
        found = self._bucket_of(share)
        if found is None:
            return None
        bucket, part = found
        low = BOUNDS_S[bucket - 1] if bucket else 0.0
        return low + (BOUNDS_S[bucket] - low) * part

    def quantile_words(self, share: float) -> str:
        """The same for people; empty if there is none. Of what is shorter than a second only that is known."""
        found = self.quantile_s(share)
        if found is None:
            return ""
        return duration(found) if found > BOUNDS_S[0] else f"under {rough(BOUNDS_S[0])}"

    def bound_s(self, share: float) -> float | None:
        """The end of the bucket that has this quantile: so long certainly is enough for this share."""
        found = self._bucket_of(share)
        return None if found is None else BOUNDS_S[found[0]]

    def _bucket_of(self, share: float) -> tuple[int, float] | None:
        """The bucket that has a quantile, and which part of its durations is below it."""
        wanted, seen = share * self.count, 0
        for bucket, count in sorted(self.buckets.items()):
            if count and seen + count >= wanted:
                return bucket, max(0.0, wanted - seen) / count
            seen += count
        return None


@dataclass(frozen=True, slots=True)
class Trend:
    """Sums: jobs that landed, failed, expired and were cancelled, landed files and their bytes.

    ``duration`` is from the job's making to its end, of jobs that succeeded; ``delay`` is from "ready" to the landed
    files.
    """

    landed: int = 0
    failed: int = 0
    expired: int = 0
    cancelled: int = 0
    files: int = 0
    bytes: int = 0
    duration: Spread = field(default_factory=Spread)
    delay: Spread = field(default_factory=Spread)

    @classmethod
    def of(cls, measures: Mapping[str, int]) -> "Trend":
        """The sums with these names in the database."""
        plain = {name: measures.get(name, 0) for name in _PLAIN}
        return cls(**plain, duration=_spread(_DURATION, measures), delay=_spread(_DELAY, measures))


_PLAIN: Final = ("landed", "failed", "expired", "cancelled", "files", "bytes")


def _spread(prefix: str, measures: Mapping[str, int]) -> Spread:
    of_prefix = {name.removeprefix(prefix): value for name, value in measures.items() if name.startswith(prefix)}
    return Spread({min(int(bucket), len(BOUNDS_S) - 1): value for bucket, value in of_prefix.items()})


@dataclass(frozen=True, slots=True)
class TrendPeriod:
    """What ended in the period that begins at ``at`` (epoch seconds)."""

    at: int
    sums: Trend


@dataclass(frozen=True, slots=True)
class OperationTrend:
    """What ended of one operation of an account, in all periods together."""

    account: str
    operation: str
    sums: Trend


def trend_rows(updates: Iterable[JobUpdate]) -> Sequence[tuple[TrendKey, int]]:
    """What these updates add to the sums by hour and by day, in the order of the keys; empty if no job ends."""
    added: Counter[TrendKey] = Counter()
    for update in updates:
        for at, measure, value in _measures(update):
            for step in (TrendStep.HOUR, TrendStep.DAY):
                added[step.seconds, step.begin(at), update.job.lane, update.job.operation, measure] += value
    return sorted(added.items())


def _measures(update: JobUpdate) -> Iterator[tuple[float, str, int]]:
    """When, what and how much an update counts."""
    job = update.job
    if isinstance(update.outcome, Stored) and job.landed_at is not None:
        yield job.landed_at, "landed", 1
        yield job.landed_at, "files", len(update.artifacts)
        yield job.landed_at, "bytes", sum(file.size for file in update.artifacts)
        if job.ready_at is not None:
            yield job.landed_at, f"{_DELAY}{_bucket(job.landed_at - job.ready_at)}", 1
    if job.finished_at is not None:
        yield job.finished_at, *_end(job, job.finished_at)


def _end(job: Job, finished_at: float) -> tuple[str, int]:
    ended = _ENDS.get(job.state)
    return (f"{_DURATION}{_bucket(finished_at - job.created_at)}" if ended is None else ended), 1


def _bucket(seconds: float) -> int:
    return min(bisect_left(BOUNDS_S, seconds), len(BOUNDS_S) - 1)

"""The plan of polls: when to poll next, so that the expected wait after "ready" is least for a number of polls.

The remote job gets ready at a random time with a known distribution; each look costs a poll, and each second from
"ready" to the next look costs a second. These are inspection policies: R. E. Barlow, L. C. Hunter and F. Proschan,
"Optimum Checking Procedures", 1963, doi:10.1137/0111080; for remote sources J. Eckstein, A. Gal and S. Reiner,
"Monitoring an Information Source Under a Politeness Constraint", 2008, doi:10.1287/ijoc.1070.0227.

The sum "wait + polls times the price of a poll" is made least by dynamic programming over a grid of times, from the
end. The price is chosen so that the plan spends as many polls, on average, as the configured schedule would. The result
says for *each* time when to poll next, so that it also holds after a delay that no plan foresaw.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

from tidewaiter.domain.duration_sketch import EDGES_S, LAST_BUCKET, DurationSketch

_GRID: Final = 80
_MOST_CONFIGURED: Final = 1000
_NOBODY: Final = 0.002
_PRICE_STEPS: Final = 6
_CLOSE_ENOUGH: Final = 0.03
_FREE_S: Final = 0.001
_OCTAVE: Final = math.log(EDGES_S[2] / EDGES_S[1])
_USUAL_SPREAD: Final = 0.5
_SURPRISE: Final = 0.5
_REACH: Final = 2.5


@dataclass(frozen=True, slots=True)
class PollTimes:
    """The schedule that an operator has configured, in seconds after the submit, without randomness.

    ``shortest_s`` and ``longest_s`` are the floor and the cap of each interval of the plan.
    """

    first_s: float
    base_s: float
    factor: float
    longest_s: float
    shortest_s: float

    def polls(self, still_running: Callable[[float], float]) -> float:
        """How many polls it spends on a job, on average, whose share still running at a time is this function."""
        at_s, interval_s, polls = self.first_s, self.base_s, 1.0
        for _ in range(_MOST_CONFIGURED):
            running = still_running(at_s)
            if running < _NOBODY:
                break
            polls += running
            at_s += interval_s
            interval_s = min(self.longest_s, interval_s * self.factor)
        return polls


@dataclass(frozen=True, slots=True)
class PollPlan:
    """For each time of a grid, in seconds after the submit, when to poll next. After the last one there is no plan.

    ``polls`` and ``wait_s`` are what it expects: polls of a job, and seconds from "ready" to the poll that sees it.
    ``price_s`` is how many seconds of waiting a poll was worth.
    """

    times_s: tuple[float, ...]
    next_s: tuple[float, ...]
    polls: float
    wait_s: float
    price_s: float

    def after(self, elapsed_s: float) -> float | None:
        """When to poll next, in seconds after the submit; ``None`` beyond what was seen before."""
        if elapsed_s >= self.times_s[-1]:
            return None
        place = bisect_right(self.times_s, elapsed_s) - 1
        low, high = self.times_s[place], self.times_s[place + 1]
        here, there = self.next_s[place], self.next_s[min(place + 1, len(self.next_s) - 1)]
        return here + (there - here) * (elapsed_s - low) / (high - low)


def plan_polls(
    sketch: DurationSketch, configured: PollTimes, *, share: float = 1.0, before: PollPlan | None = None
) -> PollPlan | None:
    """The plan for durations like those of the sketch; ``None`` if there is nothing to plan.

    Args:
        sketch: what was seen before.
        configured: the schedule whose number of polls is spent.
        share: the share of these polls to spend; of each job's polls the one that sees "ready" is always spent.
        before: the plan for a similar sketch, from which the search for the price begins.
    """
    if not sketch.weights:
        return None
    grid = _Grid.of(sketch)
    wanted = max(0.05, share * configured.polls(grid.still_running) - 1.0)
    price = grid.times[-1] / (4.0 * (wanted + 1.0) ** 2) if before is None else max(before.price_s, 2.0 * _FREE_S)
    best = grid.plan(price, configured.shortest_s, configured.longest_s)
    for _ in range(_PRICE_STEPS):
        spent = max(1e-3, best.polls - 1.0)
        if abs(spent / wanted - 1.0) < _CLOSE_ENOUGH:
            break
        price *= min(max((spent / wanted) ** 2, 0.02), 50.0)
        if price < _FREE_S:
            break  # the floor permits no more polls
        best = grid.plan(price, configured.shortest_s, configured.longest_s)
    return best


@dataclass(frozen=True, slots=True)
class _Grid:
    """Times from 0 to the end of what was seen, and how the durations are spread over the cells between them.

    ``below`` is the share of durations up to each time, ``moments`` the sum of share times duration up to it.
    """

    times: Sequence[float]
    below: Sequence[float]
    moments: Sequence[float]

    @classmethod
    def of(cls, sketch: DurationSketch) -> "_Grid":
        """The grid of a sketch, smoothed: the fewer observations, the wider, and with a rest for surprises."""
        first, shares = _smoothed(sketch)
        parts = max(1, _GRID // len(shares))
        times, cells = [EDGES_S[first]], list[float]()
        for bucket, share in enumerate(shares, first):
            low, high = EDGES_S[bucket], EDGES_S[bucket + 1]
            for part in range(1, parts + 1):
                times.append(low + (high - low) * part / parts)
                cells.append(share / parts)
        if times[0] > 0.0:
            times.insert(0, 0.0)
            cells.insert(0, 0.0)
        middles = [(low + high) / 2 for low, high in pairwise(times)]
        weighted = [share * middle for share, middle in zip(cells, middles, strict=True)]
        return cls(times, [0.0, *accumulate(cells)], [0.0, *accumulate(weighted)])

    def still_running(self, at_s: float) -> float:
        """The share of durations that are longer."""
        place = bisect_left(self.times, at_s)
        if place >= len(self.times):
            return 0.0
        if place == 0:
            return 1.0
        low, high = self.times[place - 1], self.times[place]
        part = (at_s - low) / (high - low)
        return 1.0 - self.below[place - 1] - part * (self.below[place] - self.below[place - 1])

    def plan(self, price_s: float, floor_s: float, cap_s: float) -> PollPlan:
        """The best plan if a poll costs as much as so many seconds of waiting.

        A way that is longer than the cap is chosen as if it had no polls on it; they are counted afterwards.
        """
        times, below, end = self.times, self.below, len(self.times) - 1
        # The cost of polling next at ``times[later]`` is ``fixed[later] - times[later] * below[now]`` and the polls.
        fixed = [0.0] * (end + 1)
        fixed[end] = times[end] * below[end] - self.moments[end]
        following = [end] * (end + 1)
        cost = [0.0] * (end + 1)
        for now in range(end - 1, -1, -1):
            at, seen = times[now], below[now]
            running = 1.0 - seen
            earliest = min(end, max(now + 1, bisect_left(times, at + floor_s, now + 1)))
            chosen, least = end, math.inf
            for later in range(earliest, max(earliest, following[now + 1]) + 1):
                value = fixed[later] - times[later] * seen
                if value < least:
                    chosen, least = later, value
            following[now] = chosen
            cost[now] = least + self.moments[now] + price_s * running
            fixed[now] = times[now] * seen - self.moments[now] + cost[now]
        polls = _expected_polls(times, below, following, cap_s)
        next_s = tuple(times[place] for place in following)
        return PollPlan(tuple(times), next_s, polls, max(0.0, cost[0] - price_s * polls), price_s)


def _expected_polls(times: Sequence[float], below: Sequence[float], following: Sequence[int], cap_s: float) -> float:
    now, polls = 0, 0.0
    while now < len(times) - 1:
        later = following[now]
        polls += (1.0 - below[now]) * max(1, math.ceil((times[later] - times[now]) / cap_s))
        now = later
    return polls


def _smoothed(sketch: DurationSketch) -> tuple[int, list[float]]:
    """The first bucket that a next duration may fall into, and the share of each bucket from there on.

    A kernel makes up for what few observations leave out: its width is that of Silverman's rule, with a usual spread in
    place of the observed one while there are few. A part of an observation is for surprises, in any bucket.
    """
    total = sketch.total
    mean = sum(bucket * weight for bucket, weight in sketch.weights.items()) / total
    observed = sum((bucket - mean) ** 2 * weight for bucket, weight in sketch.weights.items()) * _OCTAVE**2
    spread = math.sqrt((observed + _USUAL_SPREAD**2) / (total + 1.0))
    width = 0.9 * spread * total**-0.2 / _OCTAVE
    reach = max(1, math.ceil(_REACH * width))
    kernel = [math.exp(-0.5 * (step / width) ** 2) for step in range(-reach, reach + 1)]
    whole = sum(kernel)
    first = max(0, min(sketch.weights) - reach)
    last = min(LAST_BUCKET, max(sketch.weights) + reach)
    surprise = _SURPRISE / (total + _SURPRISE)
    shares = [surprise / (last - first + 1)] * (last - first + 1)
    for bucket, weight in sketch.weights.items():
        part = (1.0 - surprise) * weight / total / whole
        for step, height in enumerate(kernel, bucket - reach):
            shares[min(max(step, first), last) - first] += part * height
    return first, shares

"""Replays of jobs of known durations: how many polls a schedule spends, and how long it waits after "ready".

Schedules are compared at equal polls: a static one is stretched or shrunk until it spends as many as the learned one.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from tidewaiter.domain.backoff_and_limits import Backoff, OperationPolicy
from tidewaiter.domain.duration_sketch import NO_DURATIONS, DurationSketch, bucket_of
from tidewaiter.domain.learned_schedule import LearnedSchedule, Progress, configured_times, learn
from tidewaiter.domain.poll_plan import plan_polls

DEFAULT: Final = OperationPolicy()
"""The schedule of a spec that says nothing about polls."""
_DAY_OF_JOBS: Final = 24


@dataclass(frozen=True, slots=True)
class Spent:
    """What a schedule spends on each job, on average: polls, and seconds from "ready" to the poll that sees it."""

    polls: float
    wait_s: float


Trace = Callable[[Random, float], float]
"""The duration of a job in seconds, at a place from 0 to 1 in its trace."""
Reports = Callable[[float, Random], float]
"""The progress that is reported when this part of the time is over."""


def log_normal(median_s: float, sigma: float) -> Trace:
    """Durations whose logarithms are normal."""
    return lambda rand, _place: median_s * math.exp(sigma * rand.gauss(0.0, 1.0))


def bimodal(rand: Random, place: float) -> float:
    """Seven short jobs to three long ones."""
    return log_normal(30.0 if rand.random() < 0.7 else 900.0, 0.3)(rand, place)


def daily(rand: Random, place: float, *, jobs: int = 400) -> float:
    """One job an hour, slower at one time of the day than at another."""
    rhythm = math.exp(0.7 * math.sin(2.0 * math.pi * place * jobs / _DAY_OF_JOBS))
    return log_normal(300.0 * rhythm, 0.3)(rand, place)


def drifting(rand: Random, place: float) -> float:
    """Forty times as slow at the end as at the beginning."""
    return log_normal(30.0 * 40.0**place, 0.3)(rand, place)


def jumping(rand: Random, place: float) -> float:
    """Thirty times as slow from one job to the next, in the middle."""
    return log_normal(30.0 if place < 0.5 else 900.0, 0.3)(rand, place)


TRACES: Final[Mapping[str, Trace]] = {
    "log-normal, 10 s, sigma 1": log_normal(10.0, 1.0),
    "log-normal, 60 s, sigma 1": log_normal(60.0, 1.0),
    "log-normal, 60 s, sigma 0.5": log_normal(60.0, 0.5),
    "log-normal, 600 s, sigma 0.5": log_normal(600.0, 0.5),
    "log-normal, 600 s, sigma 0.2": log_normal(600.0, 0.2),
    "log-normal, 1 h, sigma 0.5": log_normal(3600.0, 0.5),
    "bimodal": bimodal,
    "daily rhythm": daily,
    "drifting": drifting,
    "jumping": jumping,
}
PROGRESS: Final[Mapping[str, Reports]] = {
    "true": lambda part, _rand: part,
    "with an error of 20 %": lambda part, rand: min(0.99, part * math.exp(0.2 * rand.gauss(0.0, 1.0))),
    "standing still at 99 %": lambda part, _rand: 0.99 if part > 0.3 else part,
    "fast, then slow": lambda part, _rand: part**0.5,
    "slow, then fast": lambda part, _rand: part**2,
}


def durations(trace: Trace, jobs: int, seed: int) -> list[float]:
    """The durations of a trace."""
    rand = Random(seed)
    return [trace(rand, number / jobs) for number in range(jobs)]


def static(jobs: Sequence[float], policy: OperationPolicy, seed: int = 1) -> Spent:
    """What the configured schedule spends."""
    rand = Random(seed)
    return _mean([_job(policy, LearnedSchedule(), took_s, rand)[:2] for took_s in jobs])


def static_at(jobs: Sequence[float], policy: OperationPolicy, polls: float) -> Spent:
    """What the configured schedule spends, stretched or shrunk so that it needs so many polls."""
    low, high = 0.02, 50.0
    for _ in range(12):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if static(jobs, _stretched(policy, middle)).polls > polls else (low, middle)
    return static(jobs, _stretched(policy, high))


def learned(
    jobs: Sequence[float],
    policy: OperationPolicy = DEFAULT,
    *,
    seed: int = 3,
    warm_up: int = 5,
    reports: Reports | None = None,
) -> Spent:
    """What the learned schedule spends, which begins without history; the first jobs are not counted."""
    rand, sketch, schedule = Random(seed), NO_DURATIONS, LearnedSchedule()
    found: list[tuple[float, float]] = []
    for took_s in jobs:
        schedule = learn("", sketch, policy, schedule)
        polls, wait_s, after_s = _job(policy, schedule, took_s, rand, reports)
        found.append((polls, wait_s))
        sketch = sketch.with_one(after_s, took_s + wait_s)
    return _mean(found[warm_up:])


def after_past_jobs(trace: Trace, past: int, *, share: float, seed: int, jobs: int = 50) -> tuple[Spent, Spent]:
    """The configured schedule, and one that spends a share of its polls and knows so many past jobs only."""
    rand = Random(seed)
    sketch = NO_DURATIONS
    for _ in range(past):
        took_s = trace(rand, 0.0)
        _, wait_s, after_s = _job(DEFAULT, LearnedSchedule(), took_s, rand)
        sketch = sketch.with_one(after_s, took_s + wait_s)
    schedule = LearnedSchedule("", sketch, plan_polls(sketch, configured_times(DEFAULT), share=share))
    following = [trace(rand, 0.0) for _ in range(jobs)]
    return static(following, DEFAULT), _mean([_job(DEFAULT, schedule, one, rand)[:2] for one in following])


def clairvoyant(jobs: Sequence[float], policy: OperationPolicy, polls: float, seed: int = 3) -> Spent:
    """What a schedule spends that knows all durations, but not which job has which, with so many polls."""
    rand, counted = Random(seed), Counter(map(bucket_of, jobs))
    sketch = DurationSketch(len(jobs), {bucket: float(number) for bucket, number in counted.items()})
    share = polls / static(jobs, policy).polls
    plan = plan_polls(sketch, configured_times(policy), share=share)
    return _mean([_job(policy, LearnedSchedule("", sketch, plan), took_s, rand)[:2] for took_s in jobs])


def _job(
    policy: OperationPolicy, schedule: LearnedSchedule, took_s: float, rand: Random, reports: Reports | None = None
) -> tuple[float, float, float]:
    """One job: its polls, the seconds from "ready" to its last poll, and when it was last seen not ready."""
    first_s = schedule.first_in(policy, 0.0, rand)
    at_s = policy.first_delay_s * (1.0 - policy.poll.jitter * rand.random()) if first_s is None else first_s
    polls, after_s = 1, 0.0
    progress: Progress | None = None
    while at_s < took_s:
        if reports is not None:
            before = None if progress is None else progress.done
            progress = Progress(at_s, reports(at_s / took_s, rand), after_s or None, before)
        configured_s = policy.poll.delay(polls - 1, rand)
        after_s = at_s
        at_s += schedule.next_in(policy, at_s, polls, configured_s=configured_s, progress=progress, rand=rand)
        polls += 1
    return polls, at_s - took_s, after_s


def _stretched(policy: OperationPolicy, by: float) -> OperationPolicy:
    poll = policy.poll
    slower = Backoff(poll.base_s * by, poll.factor, poll.cap_s * by, poll.jitter)
    return replace(policy, first_delay_s=policy.first_delay_s * by, poll=slower)


def _mean(found: Sequence[tuple[float, float]]) -> Spent:
    return Spent(sum(polls for polls, _ in found) / len(found), sum(wait_s for _, wait_s in found) / len(found))

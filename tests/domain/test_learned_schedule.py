"""The learned schedule: what it gains at equal polls, and the bounds that it never leaves."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.poll_replay import (
    DEFAULT,
    PROGRESS,
    TRACES,
    after_past_jobs,
    durations,
    learned,
    log_normal,
    static,
    static_at,
)
from tidewaiter.domain.backoff_and_limits import Backoff, OperationPolicy
from tidewaiter.domain.duration_sketch import NO_DURATIONS
from tidewaiter.domain.learned_schedule import (
    LearnedSchedule,
    Progress,
    configured_polls,
    configured_times,
    learn,
    shortest_interval_s,
)
from tidewaiter.domain.poll_plan import plan_polls

ALMOST = 1e-9


def _learned(*took_s: float, policy: OperationPolicy = DEFAULT) -> LearnedSchedule:
    sketch = NO_DURATIONS
    for one in took_s:
        sketch = sketch.with_one(one * 0.9, one)
    return learn("", sketch, policy)


@pytest.mark.parametrize(("name", "ratio"), [("log-normal, 60 s, sigma 1", 0.6), ("log-normal, 600 s, sigma 0.5", 0.3)])
def test_wait_at_equal_polls(name: str, ratio: float) -> None:
    """The mean wait after "ready" is this part of that of the default schedule, which spends as many polls."""
    jobs = durations(TRACES[name], 110, seed=7)
    spent = learned(jobs)
    assert spent.wait_s <= ratio * static_at(jobs[5:], DEFAULT, spent.polls).wait_s
    assert spent.polls == pytest.approx(static(jobs[5:], DEFAULT).polls, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bimodal", "daily rhythm", "drifting", "jumping"])
def test_where_the_past_misleads(name: str) -> None:
    """It is never much worse than the default schedule at equal polls."""
    jobs = durations(TRACES[name], 160, seed=7)
    spent = learned(jobs)
    assert spent.wait_s <= 1.1 * static_at(jobs[5:], DEFAULT, spent.polls).wait_s


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRESS)
def test_where_progress_misleads(name: str) -> None:
    """Progress that is wrong, or stands still, makes it no worse; the replay is without jumps of the duration."""
    jobs = durations(log_normal(60.0, 1.0), 160, seed=7)
    spent = learned(jobs, reports=PROGRESS[name])
    assert spent.wait_s <= 0.6 * static_at(jobs[5:], DEFAULT, spent.polls).wait_s


def test_five_past_jobs() -> None:
    """Five past jobs are enough to halve the polls, and the wait with them."""
    pairs = [after_past_jobs(log_normal(600.0, 0.2), 5, share=0.5, seed=seed) for seed in range(8)]
    before, after = zip(*pairs, strict=True)
    assert sum(one.polls for one in after) <= 0.55 * sum(one.polls for one in before)
    assert sum(one.wait_s for one in after) <= 0.5 * sum(one.wait_s for one in before)


@given(
    took_s=st.lists(st.floats(0.01, 1e6), max_size=12),
    elapsed_s=st.floats(0.0, 2e6),
    polls=st.integers(0, 1000),
    done=st.none() | st.floats(0.0, 1.0),
    before=st.floats(0.0, 1.0),
    base_s=st.floats(0.1, 600.0),
    longer=st.floats(1.0, 100.0),
    first_s=st.floats(0.0, 1000.0),
    seed=st.integers(0, 2**32),
)
def test_floor_and_cap(
    *,
    took_s: list[float],
    elapsed_s: float,
    polls: int,
    done: float | None,
    before: float,
    base_s: float,
    longer: float,
    first_s: float,
    seed: int,
) -> None:
    """Whatever it knows, no interval is shorter than the configured first one, or longer than the cap."""
    policy = OperationPolicy(first_delay_s=first_s, poll=Backoff(base_s, 1.5, base_s * longer))
    schedule, rand = _learned(*took_s, policy=policy), Random(seed)
    progress = None if done is None else Progress(elapsed_s, done, elapsed_s / 2, before)
    configured_s = policy.poll.delay(polls, rand)
    wait_s = schedule.next_in(policy, elapsed_s, polls, configured_s=configured_s, progress=progress, rand=rand)
    assert shortest_interval_s(policy) - ALMOST <= wait_s <= policy.poll.cap_s * (1 + ALMOST)
    first = schedule.first_in(policy, 0.0, rand)
    if first is not None:
        assert first_s - ALMOST <= first
        assert first <= max(first_s, policy.poll.cap_s) * (1 + ALMOST)


def test_slower_than_ever() -> None:
    """A job slower than all before it is polled as configured, and no poll is left out."""
    schedule, rand = _learned(*[60.0] * 20), Random(1)
    for elapsed_s in (700.0, 5000.0, 80_000.0):
        wait_s = schedule.next_in(DEFAULT, elapsed_s, 9, configured_s=123.0, progress=None, rand=rand)
        assert wait_s == 123.0


def test_few_jobs_teach_nothing() -> None:
    """Two jobs are no history: the configured schedule holds."""
    schedule = _learned(60.0, 61.0)
    assert schedule.first_in(DEFAULT, 0.0, Random(1)) is None
    assert schedule.next_in(DEFAULT, 30.0, 1, configured_s=7.0, progress=None, rand=Random(1)) == 7.0


def test_most_polls() -> None:
    """A job that was polled twice as often as configured, and four times more, is polled as configured."""
    schedule, spent = _learned(*[600.0 + number for number in range(20)]), configured_polls(DEFAULT, 560.0)
    waits = [
        schedule.next_in(DEFAULT, 560.0, polls, configured_s=250.0, progress=None, rand=Random(1))
        for polls in (2 * spent + 4, 2 * spent + 5)
    ]
    assert waits[0] < 50.0
    assert waits[1] == 250.0


def test_configured_polls() -> None:
    """The polls of the configured schedule are counted without a loop, and as they come."""
    for policy in (DEFAULT, replace(DEFAULT, poll=Backoff(10.0, 1.0, 10.0)), replace(DEFAULT, first_delay_s=100.0)):
        at_s, number = configured_times(policy).first_s, 0
        while number < 60:
            assert configured_polls(policy, at_s - 0.01) == number
            number += 1
            assert configured_polls(policy, at_s + 0.01) == number
            at_s += min(policy.poll.cap_s, policy.poll.base_s * policy.poll.factor ** (number - 1)) * 0.9


def test_spread() -> None:
    """Jobs that were made together are not polled together."""
    schedule, rand = _learned(*[200.0] * 20), Random(3)
    waits = {schedule.first_in(DEFAULT, 0.0, rand) for _ in range(20)}
    assert len(waits) == 20


def test_share_of_the_polls() -> None:
    """A plan spends the polls that it may spend, also half of them, and waits longer then."""
    sketch = _learned(*durations(log_normal(600.0, 0.5), 60, seed=1)).sketch
    whole, half = (plan_polls(sketch, configured_times(DEFAULT), share=share) for share in (1.0, 0.5))
    assert whole is not None
    assert half is not None
    assert half.polls == pytest.approx(whole.polls / 2, rel=0.1)
    assert half.wait_s > 1.5 * whole.wait_s


@pytest.mark.parametrize(
    ("progress", "remaining_s"),
    [
        (Progress(100.0, 0.25), 300.0),
        (Progress(100.0, 0.25, 50.0, 0.25), None),  # it stands still
        (Progress(100.0, 0.5, 90.0, 0.1), 12.5),  # it has become faster
        (Progress(100.0, 0.01), None),
        (Progress(100.0, 1.0), None),
    ],
)
def test_remaining_time(progress: Progress, remaining_s: float | None) -> None:
    """The remaining time follows from progress that moves."""
    assert progress.remaining_s == (None if remaining_s is None else pytest.approx(remaining_s))

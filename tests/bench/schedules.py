"""When polls come: the mean wait after "ready", beside the configured schedule and others at equal polls.

It replays durations and needs no daemon, so its figures do not depend on the machine, except the time of a plan.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tests.bench.report import Finding, at_most
from tests.support.poll_replay import (
    DEFAULT,
    PROGRESS,
    TRACES,
    after_past_jobs,
    clairvoyant,
    durations,
    learned,
    log_normal,
    static,
    static_at,
)
from tidewaiter.domain.backoff_and_limits import Backoff
from tidewaiter.domain.duration_sketch import NO_DURATIONS
from tidewaiter.domain.learned_schedule import configured_times
from tidewaiter.domain.poll_plan import plan_polls

_JOBS: Final = 400
_WARM_UP: Final = 5
_GOALS: Final = {"log-normal, 60 s, sigma 1": 0.6, "log-normal, 600 s, sigma 0.5": 0.3}
_FIXED: Final = replace(DEFAULT, poll=Backoff(10.0, 1.0, 10.0), first_delay_s=10.0)
_EXPONENTIAL: Final = replace(DEFAULT, poll=Backoff(10.0, 2.0, 1e9))


def measure(say: Callable[[str], None]) -> list[Finding]:
    """Replay every trace.

    Args:
        say: told of what is being done.
    """
    findings: list[Finding] = []
    for name, trace in TRACES.items():
        jobs = durations(trace, _JOBS, seed=7)
        spent, counted = learned(jobs, warm_up=_WARM_UP), jobs[_WARM_UP:]
        others = {
            "default": static_at(counted, DEFAULT, spent.polls).wait_s,
            "fixed": static_at(counted, _FIXED, spent.polls).wait_s,
            "exponential": static_at(counted, _EXPONENTIAL, spent.polls).wait_s,
            "clairvoyant": clairvoyant(counted, DEFAULT, spent.polls).wait_s,
        }
        beside = ", ".join(f"{who} {wait_s:.1f} s" for who, wait_s in others.items())
        today = static(counted, DEFAULT)
        say(f"  {name}: {spent.wait_s:.1f} s with {spent.polls:.1f} polls; at equal polls {beside}; "
            f"default of today {today.wait_s:.1f} s with {today.polls:.1f}")  # fmt: skip
        ratio, goal = spent.wait_s / others["default"], _GOALS.get(name, 1.1)
        findings.append(at_most(f"wait, {name}", f"{spent.wait_s:.1f} s", f"{others['default']:.1f} s", ratio, goal))
    return [*findings, *_with_progress(say), *_after_five_jobs(), _time_of_a_plan()]


def _with_progress(say: Callable[[str], None]) -> list[Finding]:
    jobs = durations(log_normal(600.0, 0.5), _JOBS, seed=5)
    findings: list[Finding] = []
    for name, reports in PROGRESS.items():
        spent, counted = learned(jobs, warm_up=_WARM_UP, reports=reports), jobs[_WARM_UP:]
        wait_s = static_at(counted, DEFAULT, spent.polls).wait_s
        say(f"  progress {name}: {spent.wait_s:.1f} s with {spent.polls:.1f} polls; default {wait_s:.1f} s")
        ratio = spent.wait_s / wait_s
        findings.append(at_most(f"wait, progress {name}", f"{spent.wait_s:.1f} s", f"{wait_s:.1f} s", ratio, 1.1))
    return findings


def _after_five_jobs() -> list[Finding]:
    """Half of the polls, and what is left of the wait with them."""
    pairs = [after_past_jobs(log_normal(600.0, 0.2), 5, share=0.5, seed=seed) for seed in range(20)]
    polls = [sum(one.polls for one in side) / len(pairs) for side in zip(*pairs, strict=True)]
    waits = [sum(one.wait_s for one in side) / len(pairs) for side in zip(*pairs, strict=True)]
    what = "five past jobs, 600 s, sigma 0.2, half of the polls"
    return [
        at_most(f"{what}: polls", f"{polls[1]:.1f}", f"{polls[0]:.1f}", polls[1] / polls[0], 0.5),
        at_most(f"{what}: wait", f"{waits[1]:.1f} s", f"{waits[0]:.1f} s", waits[1] / waits[0], 0.5),
    ]


def _time_of_a_plan() -> Finding:
    """The microseconds of one look into a plan, beside those of making it, which happens now and then."""
    sketch = NO_DURATIONS
    for took_s in durations(log_normal(600.0, 0.5), 60, seed=1):
        sketch = sketch.with_one(took_s * 0.9, took_s)
    configured = configured_times(DEFAULT)
    plan = plan_polls(sketch, configured)
    if plan is None:
        raise AssertionError("a sketch of sixty jobs has a plan")
    begun_at = time.perf_counter()
    for _ in range(20):
        plan = plan_polls(sketch, configured, before=plan) or plan
    making_s = (time.perf_counter() - begun_at) / 20
    begun_at = time.perf_counter()
    for number in range(10_000):
        plan.after(float(number % 1500))
    look_s = (time.perf_counter() - begun_at) / 10_000
    return Finding(
        "a look into a plan; making one", f"{look_s * 1e6:.1f} us", f"{making_s * 1e6:.0f} us", look_s / making_s
    )

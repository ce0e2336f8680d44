"""A lane learns when its jobs get ready, keeps that over a restart, and stops learning where it is told to."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.spec_samples import job_with
from tests.support.stored_jobs import POLICY, StandingClock
from tests.worker.virtual_lanes import Daemon, Site, live
from tidewaiter.domain import outcome as o
from tidewaiter.domain.duration_sketch import ObservedDuration
from tidewaiter.domain.job import Job, State, Track
from tidewaiter.domain.learned_schedule import LearnedSchedule
from tidewaiter.worker.learned_schedules import LearnedSchedules
from tidewaiter.worker.step_context import StepContext

TOOK_S = 60.0


def _exports(site: Site, owner: str) -> Daemon:
    """A daemon at a provider whose remote jobs take a minute."""
    daemon = site.daemon(owner)

    async def step(context: StepContext) -> o.Outcome:
        job = context.job
        if job.state is State.QUEUED:
            return o.Intended(f"intent-{job.id}")
        if job.state is State.SUBMITTING:
            return o.Accepted(f"h{job.id}")
        if job.state is State.POLLING:
            is_ready = site.clock.now() - (job.submitted_at or 0.0) >= TOOK_S
            return o.Ready() if is_ready else o.Pending()
        return o.Stored(())

    daemon.executor.step = step
    return daemon


async def _lived(site: Site, daemon: Daemon) -> Job:
    """A job from its beginning to its end."""
    job = await site.add()
    await site.clock.sleep(1.0)
    daemon.lane.due_by(Track.ASK, site.clock.now())
    await site.clock.sleep(100.0)
    job = await site.stored(job)
    assert job.state is State.SUCCEEDED
    return job


def _late_s(job: Job) -> float:
    return (job.ready_at or 0.0) - (job.submitted_at or 0.0) - TOOK_S


@pytest.mark.slow
def test_a_lane_learns(sqlite_url: str) -> None:
    """The first jobs are polled as configured; later ones when jobs get ready, also by a daemon that has just begun."""

    async def story(site: Site) -> None:
        daemon = _exports(site, "owner-1")
        jobs = [await _lived(site, daemon) for _ in range(8)]
        await daemon.die()
        successor = _exports(site, "owner-2")
        await site.clock.sleep(45.0)
        inherited = await _lived(site, successor)
        await successor.die()
        before, after = jobs[:3], [*jobs[6:], inherited]
        assert max(_late_s(job) for job in after) < min(_late_s(job) for job in before)
        assert max(job.polls for job in after) <= min(job.polls for job in before)

    live(sqlite_url, story)


def _known(*kinds: str) -> tuple[LearnedSchedules, Any]:
    """The schedules of a lane after jobs of these kinds, and the part of an operation that they look at."""
    operation = SimpleNamespace(name="report", policy=replace(POLICY, learn_by=("report",)))
    operations: Any = {"report": operation}
    schedules = LearnedSchedules(None, 1, operations, StandingClock())  # type: ignore[arg-type]  # it is not read here
    for kind in kinds:
        schedules.add("report", ObservedDuration(kind, 50.0, TOOK_S if kind == "report=a" else 10 * TOOK_S))
    return schedules, operation


def _of(schedules: LearnedSchedules, report: str) -> LearnedSchedule:
    found = schedules.of(job_with(params={"report": report}))
    assert found is not None
    return found


def test_kinds() -> None:
    """A job follows those of its kind, or all of them while its kind is new; it counts for its own kind."""
    schedules, _ = _known(*["report=a"] * 5, *["report=b"] * 5, "report=c")
    medians = {name: _of(schedules, name).sketch.quantile_s(0.5) or 0.0 for name in "abcd"}
    assert medians["a"] < TOOK_S < medians["b"]
    assert _of(schedules, "c").sketch == _of(schedules, "d").sketch
    assert [_of(schedules, name).kind for name in "ad"] == ["report=a", "report=d"]


def test_very_many_kinds() -> None:
    """The number of kinds is bounded: further ones are not told apart, and those that are known stay."""
    schedules, _ = _known(*(f"report={number}" for number in range(40)))
    assert _of(schedules, "3").kind == "report=3"
    assert _of(schedules, "new").kind == ""


def test_turned_off() -> None:
    """One key turns it off: then nothing is known, and nothing is counted."""
    schedules, operation = _known(*["report=a"] * 5)
    operation.policy = replace(POLICY, learn=False)
    assert schedules.of(job_with(params={"report": "a"})) is None


def test_a_plan_is_not_made_for_every_job() -> None:
    """A plan is made anew when enough jobs have got ready, and not more often than every few seconds."""
    schedules, _ = _known(*["report=a"] * 60)
    first = _of(schedules, "a")
    for _ in range(5):
        schedules.add("report", ObservedDuration("report=a", 50.0, TOOK_S))
    assert _of(schedules, "a") is first
    schedules._clock.at += 10.0  # type: ignore[attr-defined]  # a clock of the tests
    second = _of(schedules, "a")
    assert second is not first
    schedules.add("report", ObservedDuration("report=a", 50.0, TOOK_S))
    schedules._clock.at += 10.0  # type: ignore[attr-defined]  # the same
    assert _of(schedules, "a") is second

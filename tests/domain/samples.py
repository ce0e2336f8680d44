"""A job in any state, and one step of it."""

from dataclasses import replace
from random import Random

from app.domain import outcome as o
from app.domain.job import Job, State
from app.domain.machine import advance
from app.domain.schedule import Policy

NOW = 1_000_000.0


PLAIN = Policy()


def job(state: State, **changes: object) -> Job:
    """A job as it may stand in that state, submitted long ago."""
    plain = Job(
        7, 1, "acme", "statistics", {}, state, 4, NOW, NOW - 9000, NOW + 9000, handle="h", submitted_at=NOW - 5000
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # the tests name fields of Job


def step(before: Job, outcome: o.Outcome, policy: Policy = PLAIN, now: float = NOW) -> Job:
    """The job after one outcome."""
    return advance(before, outcome, policy, now, Random(1)).job

"""Downloads in the state table: progress does not count as a failure."""

from random import Random

import pytest

from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.state_machine import advance

NOW = 1_000_000.0
POLICY = OperationPolicy(most_fetches=3)


def fetching(**changes: object) -> Job:
    """A job whose download has begun for the last time that it may."""
    job = Job(1, 0, "a", "op", {}, State.FETCHING, 7, NOW, NOW - 60, NOW + 3600, handle="h", fetches=3, failures=9)
    return job.but(**changes)


@pytest.mark.parametrize("outcome", [o.Retry("reset", progressed=True), o.LinksExpired("expired", progressed=True)])
def test_progress_is_no_failure(outcome: o.Outcome) -> None:
    """It is not counted against the downloads that a job may begin, and backoff begins anew."""
    after = advance(fetching(), outcome, POLICY, NOW, Random(1)).job
    assert after.state in (State.FETCHING, State.POLLING)
    assert after.fetches == 2
    assert after.due_at is not None
    assert after.due_at - NOW <= POLICY.retry.base_s
    assert after.failures <= 1


def test_without_progress_downloads_are_bounded() -> None:
    """The last one that fails ends the job."""
    after = advance(fetching(), o.Retry("reset"), POLICY, NOW, Random(1)).job
    assert (after.state, after.reason) == (State.FAILED, "3 downloads failed: reset")


def test_any_number_of_downloads_that_come_further() -> None:
    """Each is begun, fails, and leaves the count where it was; only the deadline ends that."""
    job = fetching(fetches=0, failures=0)
    for _ in range(50):
        job = advance(job, o.FetchStarted(), POLICY, NOW, Random(1)).job
        job = advance(job, o.Retry("reset", progressed=True), POLICY, NOW, Random(1)).job
    assert (job.state, job.fetches) == (State.FETCHING, 0)

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


@pytest.mark.fault(9)
def test_a_download_that_ends_the_daemon_is_begun_a_limited_number_of_times() -> None:
    """Nobody reports the last one, so the next one finds the number used up before it begins; it fails the job."""
    begun = advance(fetching(fetches=2), o.FetchStarted(), POLICY, NOW, Random(1)).job
    assert (begun.state, begun.fetches) == (State.FETCHING, 3)
    after = advance(begun, o.FetchStarted(), POLICY, NOW, Random(1)).job
    assert (after.state, after.reason) == (State.FAILED, "3 downloads failed: the daemon ended during the last one")
    reused = advance(begun.but(shared=True), o.FetchStarted(), POLICY, NOW, Random(1)).job
    assert (reused.state, reused.fetches) == (State.QUEUED, 1)


@pytest.mark.fault(9)
def test_downloads_that_may_have_ended_the_daemon_begin_apart() -> None:
    """The next one would come later and later, so that those of other jobs, begun at the same time, can end."""
    job, waits = fetching(fetches=0), []
    policy = OperationPolicy()
    for _ in range(5):
        job = advance(job, o.FetchStarted(suspect=job.fetches > 0), policy, NOW, Random(1)).job
        waits.append((job.due_at or 0) - NOW)
    assert waits[0] == 0
    assert all(policy.retry.base_s * 2**number / 2 <= wait for number, wait in enumerate(waits[1:]))


def test_files_that_have_landed_are_progress() -> None:
    """A long list is not at its end after some kills: downloads before the last file that landed do not count."""
    assert advance(fetching(), o.FilesLanded(), POLICY, NOW, Random(1)).job.fetches == 2
    assert advance(fetching(fetches=1), o.FilesLanded(), POLICY, NOW, Random(1)).job.fetches == 1


def test_what_is_stored_has_no_failures() -> None:
    """Those of the download are over; deleting the remote job counts its own."""
    worn = fetching(crashes=2, expiries=2, expired_at=NOW - 60)
    after = advance(worn, o.Stored(()), OperationPolicy(cleans=True), NOW, Random(1)).job
    assert after.state is State.CLEANING
    assert (after.failures, after.crashes, after.expiries, after.expired_at) == (0, 0, 0, None)

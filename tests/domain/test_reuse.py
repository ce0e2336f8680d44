"""A remote job that is reused: followed as any shared one, and never a reason to fail."""

from dataclasses import replace
from random import Random

import pytest

from tests.domain.sample_jobs import NOW, PLAIN, job, step
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.job import Job, RemoteJobEndDecision, SameRemoteJob, State, remote_job_end_decision
from tidewaiter.domain.state_machine import advance

MADE_AT = 1_700_000_000.0


def reused(state: State = State.POLLING, **changes: object) -> Job:
    """A job that reuses a remote job."""
    return job(state, shared=True, submits=0, submitted_at=NOW - 5, **changes)


def test_it_is_polled_at_once() -> None:
    """It may have finished. It was made without our callback, and is shared from the beginning."""
    update = advance(job(State.QUEUED, handle=None), o.Reused("r7", MADE_AT), PLAIN, NOW, Random(1))
    after = update.job
    assert (after.state, after.handle, after.shared, after.due_at) == (State.POLLING, "r7", True, NOW)
    assert (after.submits, after.intent_key, after.callback_hash) == (0, None, None)
    assert after.is_reused
    assert update.entry is not None
    assert update.entry.detail == "handle r7, made at 2023-11-14T22:13:20.000Z"


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (State.POLLING, o.Gone("404")),
        (State.POLLING, o.Refused("the provider says CANCELLED")),
        (State.FETCHING, o.Refused("403")),
    ],
    ids=["gone", "failed", "no file"],
)
def test_if_it_is_of_no_use_the_job_makes_its_own(state: State, outcome: o.Gone | o.Refused) -> None:
    """At once, without a grace period, and without charge; and it looks for no other one."""
    after = step(reused(state, polls=1, links=(Link("http://x/"),)), outcome)
    assert (after.state, after.due_at, after.handle, after.shared) == (State.QUEUED, NOW, None, False)
    assert (after.resubmits, after.agains, after.links) == (0, 0, ())
    assert after.polls > 0
    assert after.reason == f"submitting, because the reused remote job is of no use: {outcome.reason}"
    # Its own remote job has all the tries of any other.
    own = step(step(after, o.Intended("k")), o.Accepted("r8"))
    assert not own.is_reused
    assert step(own.but(submitted_at=NOW - 900), o.Gone("404")).state is State.QUEUED
    assert step(own, o.Refused("no")).state is State.FAILED


def test_links_that_never_work_lead_to_another_remote_job() -> None:
    """As they lead to a failure for one that the job has made."""
    worn = {"expiries": 9, "expired_at": NOW - 9000, "polls": 3}
    assert step(reused(State.FETCHING, **worn), o.LinksExpired("403")).state is State.QUEUED
    assert step(job(State.FETCHING, submits=1, **worn), o.LinksExpired("403")).state is State.FAILED


def test_downloads_that_never_work_lead_to_another_remote_job() -> None:
    """Its own one has all the tries of any other."""
    worn = {"fetches": PLAIN.most_fetches, "polls": 3}
    after = step(reused(State.FETCHING, **worn), o.Retry("cut off"))
    assert (after.state, after.handle, after.shared, after.fetches) == (State.QUEUED, None, False, 1)
    assert after.reason == "submitting, because the reused remote job is of no use: 20 downloads failed: cut off"
    assert step(job(State.FETCHING, submits=1, **worn), o.Retry("cut off")).state is State.FAILED


def test_a_passing_failure_is_counted() -> None:
    """The next submit waits as after any other."""
    after = step(reused(), o.FailedForNow("FATAL"))
    assert (after.state, after.agains, after.shared) == (State.QUEUED, 1, False)
    assert (after.due_at or 0) > NOW


def test_a_passing_failure_just_before_the_deadline_is_no_failure_of_the_job() -> None:
    """It has not submitted anything yet, and its own remote job may be quick."""
    for state, polls in ((State.POLLING, 3), (State.FETCHING, 2)):
        after = step(reused(state, deadline_at=NOW + 60, polls=2), o.FailedForNow("FATAL"))
        assert (after.state, after.due_at, after.agains, after.polls) == (State.QUEUED, NOW, 0, polls)
        assert after.reason == "submitting, because the reused remote job is of no use: FATAL"


@pytest.mark.parametrize("unreadable", [o.Retry("its JSON is broken"), o.Unmapped("HTTP 200: {}")])
def test_polls_that_nobody_can_read_end_the_reuse(unreadable: o.Outcome) -> None:
    """After eight in a row the job makes its own remote job; a poll that says pending begins the count again."""
    polled, seen = reused(), []
    for _ in range(8):
        polled = step(polled, unreadable)
        seen.append(polled.state)
    assert seen == [*[State.POLLING] * 7, State.QUEUED]
    assert str(polled.reason).startswith("submitting, because the reused remote job is of no use: ")
    assert step(reused(failures=7), o.Pending()).failures == 0
    assert step(reused(failures=50).but(submits=1), unreadable).state is State.POLLING


def test_a_duplicate_is_not_reused() -> None:
    """The job has submitted: what the provider says about the remote job is about that submit."""
    assert step(job(State.POLLING, shared=True, submits=1), o.Refused("no")).state is State.FAILED


def test_the_maker_leaves_it_to_those_who_reuse_it() -> None:
    """The maker does not delete it while it is followed, and who reuses one of nobody never deletes it."""
    now, later = NOW, NOW + 900
    maker, follower = job(State.CLEANING, submits=1), replace(reused(State.POLLING), id=8)
    others = [SameRemoteJob(8, State.POLLING, True, later)]
    assert remote_job_end_decision(maker, others, now) is RemoteJobEndDecision.LEAVE
    done = [SameRemoteJob(7, State.SUCCEEDED, False, later)]
    assert remote_job_end_decision(replace(follower, state=State.CLEANING), done, now) is RemoteJobEndDecision.ACT
    assert remote_job_end_decision(replace(follower, state=State.CANCELLING), [], now) is RemoteJobEndDecision.LEAVE


def test_a_waiting_job_can_be_cancelled() -> None:
    """Its remote job is looked at by a step, which leaves it alone if it is not ours."""
    able: OperationPolicy = replace(PLAIN, cancels=True)
    assert step(reused(), o.CancelAsked(), able).state is State.CANCELLING

"""Another submit after a failure that passes: how long it waits, how often it comes, and what is forgotten."""

from dataclasses import replace

import pytest

from tests.domain.sample_jobs import NOW, PLAIN, job, step
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Backoff
from tidewaiter.domain.download_transitions import ends_download, most_severe_outcome
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.job import REMOTE, State

POLICY = replace(PLAIN, again=Backoff(600.0, 2.0, 1500.0, 0.0), most_agains=3)
FATAL = o.FailedForNow("the provider says FATAL")


@pytest.mark.parametrize(("agains", "least_s"), [(0, 600), (1, 1200), (2, 1500)])
def test_the_delay_grows_up_to_the_longest(agains: int, least_s: float) -> None:
    """It is never shorter than documented, and at most a tenth longer."""
    after = step(job(State.POLLING, agains=agains), FATAL, POLICY)
    assert after.state is State.QUEUED
    assert least_s <= (after.due_at or 0) - NOW <= least_s * 1.1
    assert (after.agains, after.reason) == (agains + 1, f"submitting again, {agains + 1} of 3: the provider says FATAL")


@pytest.mark.parametrize("state", [State.SUBMITTING, State.POLLING, State.FETCHING])
def test_after_the_last_submit_the_job_fails(state: State) -> None:
    """With the number of submits, and the provider's reason."""
    after = step(job(state, agains=3), FATAL, POLICY)
    assert (after.state, after.due_at, after.agains) == (State.FAILED, None, 3)
    assert after.reason == "submitted again 3 times, without success: the provider says FATAL"
    assert step(job(state, agains=1), FATAL, replace(POLICY, most_agains=1)).reason == (
        "submitted again once, without success: the provider says FATAL"
    )


def test_the_deadline_holds() -> None:
    """A job whose next submit would come after its deadline does not wait for nothing."""
    after = step(job(State.POLLING, deadline_at=NOW + 500), FATAL, POLICY)
    assert (after.state, after.agains) == (State.FAILED, 0)
    assert after.reason == "the deadline leaves no time to submit again: the provider says FATAL"


@pytest.mark.parametrize(("asked_s", "least_s"), [(900, 900), (10, 600), (1e9, PLAIN.retry_after_cap_s)])
def test_the_server_may_ask_for_a_longer_delay(asked_s: float, least_s: float) -> None:
    """Not for a shorter one, and not for ever."""
    after = step(job(State.POLLING), o.FailedForNow("busy", asked_s), POLICY)
    assert least_s <= (after.due_at or 0) - NOW <= least_s * 1.1


def test_nothing_is_left_of_the_failed_remote_job() -> None:
    """The next submit has an intent of its own; the unique key and the counters stay."""
    before = job(
        State.FETCHING,
        intent_key="k",
        callback_hash="c",
        hinted=True,
        shared=True,
        unique_key="u",
        progress="1/2",
        links=(Link("http://x/"),),
        ready_at=NOW - 1,
        expiries=2,
        expired_at=NOW - 5,
        failures=2,
        polls=7,
        submits=1,
        stage="start",
        kept={"file": "f"},
    )
    after = step(before, FATAL, POLICY)
    assert (after.handle, after.intent_key, after.callback_hash, after.hinted, after.shared) == (
        None,
        None,
        None,
        False,
        False,
    )
    assert (after.links, after.ready_at, after.progress, after.expiries, after.expired_at) == ((), None, None, 0, None)
    assert (after.stage, after.kept, after.failures) == (None, {}, 0)
    assert (after.unique_key, after.polls, after.submits) == ("u", 7, 1)
    assert after.state not in REMOTE  # the lane's limit of remote jobs has a place again


def test_a_failed_poll_is_a_poll() -> None:
    """Whether another submit follows or not."""
    assert step(job(State.POLLING, polls=4), FATAL, POLICY).polls == 5
    assert step(job(State.POLLING, polls=4, agains=3), FATAL, POLICY).polls == 5
    assert step(job(State.FETCHING, polls=4), FATAL, POLICY).polls == 4


def test_a_refused_submit_in_doubt_keeps_its_key() -> None:
    """An earlier submit of the same intent may have made a remote job, which the key finds again."""
    before = job(State.SUBMITTING, intent_key="k", handle=None)
    assert step(before.but(unknowns=1), FATAL, POLICY).intent_key == "k"
    assert step(before, FATAL, POLICY).intent_key is None


def test_a_refused_start_gets_a_new_key() -> None:
    """The submit was accepted; its key would bring the same remote job again."""
    starting = job(State.SUBMITTING, intent_key="k", unknowns=1, stage="start", kept={"file": "f"})
    after = step(starting, FATAL, POLICY)
    assert (after.state, after.intent_key, after.stage, after.kept) == (State.QUEUED, None, None, {})


def test_a_waiting_job_is_cancelled_at_once() -> None:
    """There is no remote job to cancel."""
    waiting = step(job(State.POLLING), FATAL, POLICY)
    assert step(waiting, o.CancelAsked(), replace(POLICY, cancels=True)).state is State.CANCELLED


def test_gone_and_again_are_counted_apart() -> None:
    """A remote job that vanished after a submit that was repeated gets its own second try."""
    again = step(job(State.POLLING, agains=2), o.Gone("404"), POLICY)
    assert (again.state, again.resubmits, again.agains, again.due_at) == (State.QUEUED, 1, 2, NOW)


def test_of_several_files_one_that_is_lost_decides() -> None:
    """Another remote job makes every file again; only a refusal, and what closes the account, is graver."""
    assert most_severe_outcome([o.LinksExpired("old"), o.Retry("r"), FATAL]) == FATAL
    assert most_severe_outcome([FATAL, o.Refused("no")]) == o.Refused("no")
    assert ends_download(FATAL)

"""The state table, pair by pair."""

import itertools
import typing
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.sample_jobs import ARTIFACT, NOW, PLAIN, SAMPLES, job, step
from tidewaiter.domain import outcome as o
from tidewaiter.domain import state_machine
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.http_values import Link, SealedLinks
from tidewaiter.domain.job import LIVE, TERMINAL, State
from tidewaiter.domain.state_machine import TABLE, IllegalOutcomeError, advance

# The contract of design.md, written out: state, then outcome -> next state. What is not here is illegal.
CONTRACT = {
    "queued": "StepStarted>queued "
    "Intended>submitting Reused>polling Ready>fetching Retry>queued Throttled>queued Unauthorized>queued "
    "Interrupted>queued Refused>failed Crashed>queued DeadlinePassed>expired CancelAsked>cancelled Stored>succeeded "
    "StorageFull>queued StepDone>queued NotYet>queued",
    "submitting": "Accepted>polling Ready>fetching Stored>succeeded Duplicate>polling Unsent>queued "
    "Unknown>reconciling Throttled>queued Unauthorized>queued Interrupted>queued Refused>failed Crashed>reconciling "
    "StepDone>polling Gone>queued FailedForNow>queued",
    "reconciling": "StepStarted>reconciling "
    "Adopted>polling Absent>queued Undecidable>parked Retry>reconciling Throttled>reconciling "
    "Unauthorized>reconciling Interrupted>reconciling Refused>failed Crashed>reconciling DeadlinePassed>expired",
    "starting": "StepStarted>starting "
    "Intended>submitting Retry>starting Throttled>starting Unauthorized>starting Interrupted>starting "
    "Refused>failed Crashed>starting DeadlinePassed>expired CancelAsked>cancelled",
    "polling": "StepStarted>polling "
    "Pending>polling Ready>fetching Stored>succeeded Gone>queued FailedForNow>queued Unmapped>polling "
    "Retry>polling StorageFull>polling Throttled>polling Unauthorized>polling Interrupted>polling Refused>failed "
    "Crashed>polling DeadlinePassed>expired CancelAsked>cancelled",
    "fetching": "FetchStarted>fetching FilesLanded>fetching Stored>succeeded LinksExpired>polling LinksLost>polling "
    "Retry>fetching FailedForNow>queued NotYet>fetching PartLanded>polling StorageFull>fetching Throttled>fetching "
    "Unauthorized>fetching Interrupted>fetching Refused>failed Crashed>fetching DeadlinePassed>expired "
    "CancelAsked>cancelled",
    "cleaning": "StepStarted>cleaning "
    "Cleaned>succeeded LeftAlone>succeeded Retry>cleaning Throttled>cleaning Unauthorized>cleaning "
    "Interrupted>cleaning Refused>succeeded Crashed>cleaning DeadlinePassed>succeeded CancelAsked>succeeded",
    "cancelling": "StepStarted>cancelling "
    "Cancelled>cancelled LeftAlone>cancelled Retry>cancelling Throttled>cancelling "
    "Unauthorized>cancelling Interrupted>cancelling Refused>cancelled Crashed>cancelling DeadlinePassed>cancelled",
    "parked": "RetryDecided>queued AdoptDecided>polling CancelAsked>cancelled",
}


def test_lost_links_without_a_handle_are_a_matter_for_a_person() -> None:
    """A submit would bring others, and perhaps a second remote job; a person who wants it starts without them."""
    links = SealedLinks("sealed:1:x")
    parked = step(job(State.FETCHING, handle=None, fetches=1, links=links), o.LinksLost("no key"))
    assert (parked.state, parked.due_at, parked.fetches, parked.reason) == (State.PARKED, None, 0, "no key")
    assert parked.links == links
    again = step(parked, o.RetryDecided())
    assert (again.state, again.links, again.ready_at) == (State.QUEUED, (), None)


def test_lost_links_with_a_handle_are_polled_for() -> None:
    """As links that have expired."""
    before = job(State.FETCHING, fetches=1, links=SealedLinks("sealed:1:x"))
    lost = step(before, o.LinksLost("no key"))
    assert lost == step(before, o.LinksExpired("no key"))
    assert (lost.state, lost.links) == (State.POLLING, ())


def test_a_rule_leads_to_the_states_of_its_row_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is what is proved and drawn, so a rule that leaves it is a bug, and nothing is written."""
    key = (State.POLLING, o.Ready)
    wrong = replace(state_machine.TABLE[key], targets=(State.SUCCEEDED,))
    monkeypatch.setattr(state_machine, "TABLE", {**state_machine.TABLE, key: wrong})
    with pytest.raises(IllegalOutcomeError, match="against the table"):
        step(job(State.POLLING), o.Ready())


def test_samples_cover_every_outcome() -> None:
    """The walk below leaves out no kind of outcome."""
    assert set(SAMPLES) == set(typing.get_args(o.Outcome))


@pytest.mark.invariant(4)
@pytest.mark.parametrize(("state", "kind"), list(itertools.product(State, SAMPLES)), ids=str)
def test_every_pair(state: State, kind: type[o.Outcome]) -> None:
    """Each State x Outcome pair does what the contract says, or raises."""
    contract = dict(pair.split(">") for pair in CONTRACT.get(state.value, "").split())
    expected = contract.get(kind.__name__)
    if expected is None:
        assert (state, kind) not in TABLE
        with pytest.raises(IllegalOutcomeError):
            step(job(state), SAMPLES[kind])
        return
    update = advance(job(state), SAMPLES[kind], PLAIN, NOW, Random(1))
    assert update.job.state.value == expected
    assert update.expected == 4
    assert update.job.version == 5
    assert update.state_from is state


@pytest.mark.parametrize(("state", "kind"), sorted(TABLE, key=str), ids=str)
def test_due_and_finished_follow_the_state(state: State, kind: type[o.Outcome]) -> None:
    """A terminal or parked job is never due, any other always; ``finished_at`` marks the terminal ones."""
    after = step(job(state), SAMPLES[kind])
    assert (after.due_at is None) == (after.state not in LIVE)
    assert (after.finished_at is not None) == (after.state in TERMINAL)


@pytest.mark.parametrize(("state", "kind"), sorted(TABLE, key=str), ids=str)
def test_every_transition_writes_one_history_row(state: State, kind: type[o.Outcome]) -> None:
    """A change of state always has its row, at the new version."""
    update = advance(job(state), SAMPLES[kind], PLAIN, NOW, Random(1))
    if update.job.state is not state:
        assert update.entry is not None
        assert (update.entry.version, update.entry.state_from, update.entry.state) == (5, state, update.job.state)


def test_waiting_is_not_an_attempt() -> None:
    """A pending poll counts as a poll, clears failures and crashes, and writes no history row."""
    update = advance(job(State.POLLING, failures=3, crashes=2), o.Pending("RUNNING", "1/2"), PLAIN, NOW, Random(1))
    assert (update.job.polls, update.job.failures, update.job.crashes) == (1, 0, 0)
    assert (update.job.remote_status, update.job.progress) == ("RUNNING", "1/2")
    assert update.entry is None


def test_whatever_is_new_of_the_remote_job_is_a_move() -> None:
    """Another status or another progress; the same again is none, and neither is silence."""
    before = job(State.POLLING, remote_status="RUNNING", progress="1/2", moved_at=NOW - 60)
    assert step(before, o.Pending("RUNNING", "1/2")).moved_at == NOW - 60
    assert step(before, o.Pending()).moved_at == NOW - 60
    assert step(before, o.Pending("DRAINING", "1/2")).moved_at == NOW
    assert step(before, o.Pending("RUNNING", "2/2")).moved_at == NOW
    assert step(job(State.POLLING, moved_at=None), o.Pending()).moved_at == NOW
    assert step(job(State.SUBMITTING), o.Accepted("h")).moved_at == NOW


@pytest.mark.parametrize(("shared_from", "detail"), [(5, "the result of job 5"), (None, None)])
def test_the_history_says_whose_result_was_copied(shared_from: int | None, detail: str | None) -> None:
    """Of a result of its own it says nothing."""
    stored = o.Stored((ARTIFACT,), shared_from=shared_from)
    entry = advance(job(State.FETCHING), stored, PLAIN, NOW, Random(1)).entry
    assert entry is not None
    assert entry.detail == detail


def test_repeated_reason_is_reported_once() -> None:
    """The same trouble again adds no second row; another trouble does."""
    first = advance(job(State.POLLING), o.Retry("HTTP 502"), PLAIN, NOW, Random(1))
    second = advance(first.job, o.Retry("HTTP 502"), PLAIN, NOW, Random(1))
    third = advance(second.job, o.Retry("HTTP 503"), PLAIN, NOW, Random(1))
    assert [update.entry is not None for update in (first, second, third)] == [True, False, True]
    assert third.job.failures == 3


@pytest.mark.parametrize("outcome", [o.Throttled("slow"), o.Unauthorized("no"), o.Interrupted()], ids=str)
@pytest.mark.parametrize("state", sorted(LIVE), ids=str)
def test_faults_of_the_account_charge_the_job_nothing(state: State, outcome: o.Outcome) -> None:
    """Throttled, unauthorized and interrupted leave every counter of the job alone."""
    before = job(state, failures=2, crashes=1, polls=5, submits=1)
    after = step(before, outcome)
    assert (after.failures, after.crashes, after.polls, after.submits) == (2, 1, 5, 1)


def test_interrupted_download_is_refunded() -> None:
    """A download that the daemon itself broke off, or that found no room, is not counted."""
    begun = step(job(State.FETCHING, fetches=4), o.FetchStarted())
    assert begun.fetches == 5
    assert step(begun, o.Interrupted()).fetches == 4
    assert step(begun, o.StorageFull("full")).fetches == 4
    assert step(begun, o.Throttled("slow")).fetches == 4
    assert step(begun, o.NotYet("made later")).fetches == 4
    assert step(begun, o.Retry("reset")).fetches == 5


@pytest.mark.fault(2)
def test_unknown_submit_repeats_only_where_harmless() -> None:
    """Undecidable queues a new intent where the spec says ``repeatable``, and says why; else it parks."""
    before = job(State.RECONCILING, handle=None)
    again = step(before, o.Undecidable("lost"), replace(PLAIN, repeatable=True))
    assert again.state is State.QUEUED
    assert "is repeatable" in (again.reason or "")
    assert step(before, o.Undecidable("lost")).state is State.PARKED


@pytest.mark.fault(29)
def test_gone_is_grace_then_afresh_once_then_failed() -> None:
    """A 404 right after the submit is lag; later it means a fresh submit once, and then the end."""
    fresh = job(State.POLLING, submitted_at=NOW - 5)
    assert step(fresh, o.Gone("404")).state is State.POLLING
    again = step(job(State.POLLING), o.Gone("404"))
    assert (again.state, again.resubmits, again.handle) == (State.QUEUED, 1, None)
    assert step(job(State.POLLING, resubmits=1), o.Gone("404")).state is State.FAILED
    assert step(replace(fresh, ready_at=NOW - 1), o.Gone("404")).state is State.QUEUED


def test_downloads_are_bounded() -> None:
    """A download that fails again and again ends the job."""
    assert step(job(State.FETCHING, fetches=PLAIN.most_fetches), o.Retry("reset")).state is State.FAILED


@pytest.mark.fault(9)
def test_crashes_are_bounded_and_counted_apart() -> None:
    """A poison job fails after some crashes; in SUBMITTING a crash never leads to a blind second submit."""
    assert step(job(State.POLLING, crashes=PLAIN.most_crashes - 1), o.Crashed("bug")).state is State.FAILED
    assert step(job(State.SUBMITTING), o.Crashed("bug")).state is State.RECONCILING
    assert step(job(State.SUBMITTING, crashes=PLAIN.most_crashes - 1), o.Crashed("bug")).state is State.FAILED


def test_cleaning_never_loses_landed_files() -> None:
    """Whatever goes wrong while tidying up, the job succeeds, with the reason kept."""
    tired = job(State.CLEANING, failures=PLAIN.most_cleanups - 1)
    for outcome in (o.Retry("HTTP 500"), o.Crashed("bug"), o.Refused("no"), o.DeadlinePassed("late")):
        after = step(tired, outcome)
        assert after.state is State.SUCCEEDED
        assert "not deleted" in (after.reason or "")


def test_cancel_is_sent_to_the_remote_if_possible() -> None:
    """A job with a remote job goes through CANCELLING if the spec has a request; otherwise it ends at once."""
    able = replace(PLAIN, cancels=True)
    assert step(job(State.POLLING), o.CancelAsked(), able).state is State.CANCELLING
    assert step(job(State.POLLING), o.CancelAsked()).state is State.CANCELLED
    assert step(job(State.QUEUED, handle=None), o.CancelAsked(), able).state is State.CANCELLED
    gone = job(State.CANCELLING, failures=PLAIN.most_cleanups - 1)
    assert step(gone, o.Retry("HTTP 500"), able).state is State.CANCELLED


def test_a_shared_remote_job_is_ended_by_a_step() -> None:
    """Whether others follow it is looked up when it would be cancelled or deleted, so those states are reached."""
    able = replace(PLAIN, cancels=True, cleans=True)
    assert step(job(State.POLLING, shared=True), o.CancelAsked(), able).state is State.CANCELLING
    assert step(job(State.FETCHING, shared=True), o.Stored((ARTIFACT,)), able).state is State.CLEANING


def test_a_duplicate_without_a_name_is_looked_for() -> None:
    """The job is shared from then on, also when its remote job has been found; a submit of its own ends that."""
    assert step(job(State.SUBMITTING, handle=None), o.Duplicate("h")).shared
    found_out = step(job(State.SUBMITTING, handle=None), o.Duplicate(None))
    assert (found_out.state, found_out.shared, found_out.handle) == (State.RECONCILING, True, None)
    assert "does not name it" in (found_out.reason or "")
    adopted = step(found_out, o.Adopted("h"))
    assert (adopted.state, adopted.shared, adopted.handle) == (State.POLLING, True, "h")
    queued = step(found_out, o.Absent("not in the list"))
    assert not step(queued, o.Intended("k")).shared
    assert not step(job(State.RECONCILING, handle=None), o.Adopted("h")).shared


@pytest.mark.fault(31)
def test_doubt_begins_when_it_is_known() -> None:
    """A list may lag behind a submit that was under way for minutes: it is reckoned from its unknown end."""
    before = job(State.SUBMITTING, handle=None, submitted_at=None, intent_at=NOW - 100)
    assert step(before, o.Unknown("lost")).submitted_at == NOW


def test_nothing_is_polled_where_nothing_was_submitted() -> None:
    """Results that are asked for at once are not counted as polls, and are asked for anew where a link has expired."""
    asked = step(job(State.QUEUED, handle=None), o.Ready((Link("http://x/"),), "DONE"))
    assert (asked.state, asked.polls, asked.remote_status, asked.links) == (
        State.FETCHING,
        0,
        "DONE",
        (Link("http://x/"),),
    )
    again = step(job(State.FETCHING, handle=None), o.LinksExpired("403"))
    assert (again.state, again.links, again.expiries) == (State.QUEUED, (), 1)
    assert (again.due_at or 0) > NOW


def test_the_providers_word_is_kept_with_the_files() -> None:
    """Also where the reply that tells of a part only is the file; an earlier word is out of date then."""
    assert step(job(State.POLLING), o.Stored((), "PARTIAL")).remote_status == "PARTIAL"
    assert step(job(State.POLLING, remote_status="RUNNING"), o.Stored(())).remote_status is None
    assert step(job(State.FETCHING, remote_status="DONE"), o.Stored(())).remote_status == "DONE"


def test_an_answer_at_once_is_no_poll() -> None:
    """What a submit is answered with was not asked after."""
    assert step(job(State.SUBMITTING), o.Stored(())).polls == 0
    assert step(job(State.POLLING), o.Stored(())).polls == 1


def test_the_intent_keeps_its_key_until_the_remote_job_is_gone() -> None:
    """After an unknown outcome the same key goes out again; a fresh remote job gets a fresh one."""
    again = step(job(State.RECONCILING, intent_key="k"), o.Undecidable("lost"), replace(PLAIN, repeatable=True))
    assert again.intent_key == "k"
    assert step(job(State.POLLING, intent_key="k"), o.Gone("404")).intent_key is None


def test_stored_cleans_only_where_asked() -> None:
    """The remote job is deleted after landing only where the policy says so."""
    stored = o.Stored((ARTIFACT,))
    assert step(job(State.FETCHING), stored, replace(PLAIN, cleans=True)).state is State.CLEANING
    update = advance(job(State.FETCHING), stored, PLAIN, NOW, Random(1))
    assert update.job.state is State.SUCCEEDED
    assert update.artifacts == (ARTIFACT,)


@pytest.mark.fault(24)
def test_retry_after_is_clamped() -> None:
    """A server's Retry-After is obeyed within the floor and the cap, never as a hot loop, never for ever."""
    for asked, least, most in ((0.0, 1.0, 1.0), (30.0, 30.0, 30.0), (1e10, 3600.0, 3600.0)):
        due_at = step(job(State.POLLING), o.Pending(retry_after_s=asked, exact=True)).due_at or 0
        assert least <= due_at - NOW <= most
        due_at = step(job(State.POLLING), o.Retry("busy", asked)).due_at or 0
        assert due_at - NOW >= least


@given(
    state=st.sampled_from(sorted(LIVE)),
    kind=st.sampled_from(sorted(SAMPLES, key=str)),
    failures=st.integers(0, 10_000),
    polls=st.integers(0, 10_000_000),
    seed=st.integers(0, 2**32),
)
def test_advance_is_pure_and_never_loops_hot(
    state: State, kind: type[o.Outcome], failures: int, polls: int, seed: int
) -> None:
    """The same arguments give the same update, and a failed step is never due again at once."""
    if (state, kind) not in TABLE:
        return
    before = job(state, failures=failures, polls=polls)
    one = advance(before, SAMPLES[kind], PLAIN, NOW, Random(seed))
    two = advance(before, SAMPLES[kind], PLAIN, NOW, Random(seed))
    assert one == two
    if kind in (o.Retry, o.Unsent, o.Crashed, o.Pending, o.Unmapped) and one.job.state is state:
        assert one.job.due_at is not None
        assert one.job.due_at > NOW


def test_a_decision_drops_an_old_cancel_request() -> None:
    """A parked job that somebody submits again or adopts is not cancelled by an older cancel request."""
    before = job(State.PARKED, cancel_requested=True, handle=None)
    assert not step(before, o.RetryDecided()).cancel_requested
    assert not step(before, o.AdoptDecided("h")).cancel_requested


def test_a_ready_reply_may_name_the_remote_job_anew() -> None:
    """What follows, results and cleanup, uses the new name; without one the old one stays."""
    assert step(job(State.POLLING), o.Ready(handle="h2")).handle == "h2"
    assert step(job(State.POLLING), o.Ready()).handle == "h"
    cleaning = step(job(State.POLLING), o.Stored((ARTIFACT,), handle="h2"), OperationPolicy(cleans=True))
    assert (cleaning.state, cleaning.handle) == (State.CLEANING, "h2")
    assert step(job(State.POLLING), o.Stored((ARTIFACT,))).handle == "h"
    shared = step(job(State.POLLING, shared=True), o.Ready(handle="h2"))
    assert (shared.handle, shared.shared) == ("h2", True)


def test_the_last_progress_is_not_that_of_a_job_that_fetches_or_has_ended() -> None:
    """What a poll reported holds until the next reply says something else, and for no job that has ended."""
    polling = job(State.POLLING, remote_status="RUNNING", progress="40%")
    fetching = step(polling, o.Ready((Link("http://x/"),)))
    assert fetching.progress is None
    assert step(polling, o.Ready((Link("http://x/"),), "DONE")).remote_status == "DONE"
    assert step(polling, o.Retry("HTTP 502")).progress == "40%"
    for outcome in (o.Refused("no such period"), o.DeadlinePassed("too late"), o.CancelAsked()):
        ended = step(polling, outcome)
        assert ended.state in TERMINAL
        assert (ended.remote_status, ended.progress) == ("RUNNING", None)
    assert step(polling, o.Stored((ARTIFACT,), "DONE")).progress is None


def test_a_parked_job_is_cancelled_with_its_remote_job() -> None:
    """If the handle is known and the provider can cancel; a deadline that has passed meanwhile does not stop that."""
    cancels = replace(PLAIN, cancels=True)
    parked = job(State.PARKED, reason="the links were lost", handle="h", deadline_at=NOW - 1)
    cancelling = step(parked, o.CancelAsked(), cancels)
    assert (cancelling.state, cancelling.due_at) == (State.CANCELLING, NOW)
    assert cancelling.deadline_at > NOW
    assert step(cancelling, o.Cancelled(), cancels).reason == "cancelled on request"
    assert step(parked, o.CancelAsked()).state is State.CANCELLED
    assert step(parked.but(handle=None), o.CancelAsked(), cancels).state is State.CANCELLED


def test_the_reason_of_a_cancelled_job_is_its_cancelling() -> None:
    """Not the trouble that it had before; of a remote job it says what is known."""
    troubled = job(State.POLLING, reason="HTTP 502", failures=2)
    cancels = replace(PLAIN, cancels=True)
    assert step(troubled.but(state=State.QUEUED, handle=None), o.CancelAsked()).reason == "cancelled on request"
    continues = "cancelled on request; the provider has no cancel request, so the remote job may continue"
    assert step(troubled, o.CancelAsked()).reason == continues
    cancelling = step(troubled, o.CancelAsked(), cancels)
    assert cancelling.state is State.CANCELLING
    assert step(cancelling, o.Cancelled(), cancels).reason == "cancelled on request"
    assert "left alone" in str(step(cancelling, o.LeftAlone(), cancels).reason)
    refused = step(cancelling, o.Refused("HTTP 403"), cancels).reason
    assert refused == "cancelled on request; the remote job was not cancelled: HTTP 403"
    parked = job(State.PARKED, reason="the outcome of the submit is unknown", handle=None)
    assert (
        step(parked, o.CancelAsked()).reason
        == "cancelled on request; it was parked: the outcome of the submit is unknown"
    )

"""Jobs whose remote job needs requests before the submit and after it."""

from dataclasses import replace
from random import Random

import pytest

from tests.domain.sample_jobs import NOW, PLAIN, job, step
from tidewaiter.domain import outcome as o
from tidewaiter.domain.change_feed import change_of
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.stages import Stages
from tidewaiter.domain.state_machine import IllegalOutcomeError, JobUpdate, advance

STAGED = replace(
    PLAIN, stages=Stages(("upload", "check", "submit", "enqueue", "run")), cancels=True, first_delay_s=60.0
)
TIMID = replace(STAGED, repeatable=False)
BOLD = replace(STAGED, repeatable=True)


def new(**changes: object) -> Job:
    """A job of which nothing was sent."""
    return job(State.QUEUED, **{"handle": None, "submitted_at": None, **changes})


def at(state: State, stage: str | None, **changes: object) -> Job:
    """A job at one of its stages."""
    return job(state, stage=stage, intent_key="k", **changes)


def after(before: Job, outcome: o.Outcome) -> JobUpdate:
    """What an outcome does to a job with these stages."""
    return advance(before, outcome, STAGED, NOW, Random(1))


def test_the_whole_way() -> None:
    """Each stage is durable, and every step of it is in the history."""
    way: list[tuple[o.Outcome, State, str | None]] = [
        (o.StepDone("upload", kept={"file": "f"}), State.QUEUED, "check"),
        (o.NotYet("not scanned"), State.QUEUED, "check"),
        (o.StepDone("check"), State.QUEUED, "submit"),
        (o.Intended("k"), State.SUBMITTING, "submit"),
        (o.Accepted("h", kept={"project": "p"}), State.STARTING, "enqueue"),
        (o.Intended("k"), State.SUBMITTING, "enqueue"),
        (o.StepDone("enqueue"), State.STARTING, "run"),
        (o.Intended("k"), State.SUBMITTING, "run"),
        (o.StepDone("run", kept={"run": "r"}), State.POLLING, None),
        (o.Ready(), State.FETCHING, None),
    ]
    now, told = new(), []
    for outcome, state, stage in way:
        update = after(now, outcome)
        now = update.job
        assert (now.state, now.stage) == (state, stage), outcome
        assert update.entry is not None, outcome
        told.append(update.entry.detail)
    assert now.kept == {"file": "f", "project": "p", "run": "r"}
    assert (now.handle, now.submits) == ("h", 1)
    assert told == [
        "upload is done", "not scanned", "check is done", "submit", "handle h", "enqueue", "enqueue is done", "run",
        "run is done", None,
    ]  # fmt: skip


def test_the_first_poll_counts_from_the_last_request() -> None:
    """Between the stages nothing waits, unless the reply says so."""
    accepted = step(at(State.SUBMITTING, "submit", handle=None), o.Accepted("h"), STAGED)
    assert accepted.due_at == NOW
    assert step(at(State.SUBMITTING, "submit", handle=None), o.Accepted("h", 9.0), STAGED).due_at == NOW + 9
    started = step(at(State.SUBMITTING, "run", polls=3), o.StepDone("run"), STAGED)
    assert started.due_at is not None
    assert NOW + 40 < started.due_at <= NOW + 60
    assert (started.polls_at_submit, started.moved_at, started.submitted_at) == (3, NOW, NOW - 5000)
    called = step(at(State.SUBMITTING, "run", hinted=True, callback_hash="c"), o.StepDone("run"), STAGED)
    assert called.due_at == NOW


def test_a_reply_before_the_submit_may_ask_for_a_pause() -> None:
    """As after it: what was asked for needs a moment before the next request can use it."""
    assert step(new(), o.StepDone("upload"), STAGED).due_at == NOW
    assert step(new(), o.StepDone("upload", 9.0), STAGED).due_at == NOW + 9
    assert step(new(), o.StepDone("upload", 9.0, exact=True), STAGED).due_at == NOW + 9


def test_a_request_that_certainly_did_not_arrive_is_sent_again() -> None:
    """The job waits where it was, with its remote job."""
    for outcome in (
        o.Unsent("no"),
        o.Throttled("slow"),
        o.Unauthorized("who"),
        o.Interrupted(),
        o.Crashed("bug", sent=False),
    ):
        again = step(at(State.SUBMITTING, "enqueue"), outcome, STAGED)
        assert (again.state, again.stage, again.handle) == (State.STARTING, "enqueue", "h"), outcome
        before = step(at(State.SUBMITTING, "submit", handle=None), outcome, STAGED)
        assert (before.state, before.stage) == (State.QUEUED, "submit"), outcome


@pytest.mark.parametrize("outcome", [o.Unknown("lost"), o.Crashed("bug")], ids=str)
def test_an_unknown_start_is_for_a_person_unless_it_is_repeatable(outcome: o.Outcome) -> None:
    """Nothing is started twice."""
    unknown = step(at(State.SUBMITTING, "enqueue"), outcome, TIMID)
    assert (unknown.state, unknown.stage, unknown.submitted_at) == (State.RECONCILING, "enqueue", NOW - 5000)
    parked = step(unknown, o.Undecidable("lost"), TIMID)
    assert (parked.state, parked.stage, parked.handle, parked.due_at) == (State.PARKED, "enqueue", "h", None)
    repeated = advance(unknown, o.Undecidable("lost"), BOLD, NOW, Random(1))
    assert (repeated.job.state, repeated.job.stage) == (State.STARTING, "enqueue")
    assert repeated.job.reason == "sending enqueue again, because it is repeatable: lost"
    assert repeated.job.due_at is not None
    assert repeated.job.due_at > NOW
    change = change_of(repeated)
    assert change is not None
    assert change.event == "job.repeated"


def test_a_person_decides_about_one_request() -> None:
    """It was done, or it is sent again; the stages before it are not repeated."""
    parked = at(State.PARKED, "enqueue", kept={"file": "f"})
    done = step(parked, o.AdoptDecided("h"), STAGED)
    assert (done.state, done.stage, done.kept) == (State.STARTING, "run", {"file": "f"})
    again = step(parked, o.RetryDecided(), STAGED)
    assert (again.state, again.stage, again.handle, again.kept) == (State.STARTING, "enqueue", "h", {"file": "f"})
    assert again.reason == "enqueue again was requested"
    last = step(at(State.PARKED, "run"), o.AdoptDecided("h"), STAGED)
    assert (last.state, last.stage) == (State.POLLING, None)
    submit = at(State.PARKED, "submit", handle=None)
    assert (step(submit, o.AdoptDecided("h2"), STAGED).stage, step(submit, o.RetryDecided(), STAGED).state) == (
        "enqueue",
        State.QUEUED,
    )


def test_lost_links_start_nothing() -> None:
    """The remote job had finished: it is polled, or everything begins again."""
    parked = at(State.PARKED, None, ready_at=NOW - 9, kept={"file": "f"})
    adopted = step(parked, o.AdoptDecided("h"), STAGED)
    assert (adopted.state, adopted.stage) == (State.POLLING, None)
    again = step(parked, o.RetryDecided(), STAGED)
    assert (again.state, again.stage, again.kept) == (State.QUEUED, None, {})


def test_an_adopted_remote_job_is_started_and_a_duplicate_is_not() -> None:
    """The adopted one is ours. Of a duplicate nobody knows whether it runs already, and a second start may do harm."""
    adopted = step(at(State.RECONCILING, "submit", handle=None), o.Adopted("h"), STAGED)
    assert (adopted.state, adopted.stage) == (State.STARTING, "enqueue")
    shared = step(at(State.SUBMITTING, "submit", handle=None), o.Duplicate("h"), STAGED)
    assert (shared.state, shared.stage, shared.shared) == (State.POLLING, None, True)
    unnamed = step(at(State.SUBMITTING, "submit", handle=None), o.Duplicate(None), STAGED)
    found = step(unnamed, o.Adopted("h"), STAGED)
    assert (found.state, found.stage, found.shared) == (State.POLLING, None, True)


def test_a_remote_job_that_is_gone_is_made_anew() -> None:
    """A moment after the submit the provider may lag; later everything begins again."""
    fresh = step(at(State.SUBMITTING, "enqueue", submitted_at=NOW - 1), o.Gone("HTTP 404"), STAGED)
    assert (fresh.state, fresh.stage, fresh.handle, fresh.polls) == (State.STARTING, "enqueue", "h", 0)
    assert fresh.reason == "not there yet: HTTP 404"
    old = step(at(State.SUBMITTING, "enqueue", kept={"file": "f"}), o.Gone("HTTP 404"), STAGED)
    assert (old.state, old.stage, old.handle, old.kept, old.resubmits) == (State.QUEUED, None, None, {}, 1)
    polled = step(job(State.POLLING, kept={"file": "f"}), o.Gone("HTTP 404"), STAGED)
    assert (polled.state, polled.stage, polled.kept) == (State.QUEUED, None, {})
    assert step(polled, o.StepDone("upload"), STAGED).stage == "check"


def test_a_cancel_request_and_the_deadline_between_two_requests() -> None:
    """The remote job exists, so it is cancelled; without such a request the reason says so."""
    waiting = at(State.STARTING, "enqueue")
    assert step(waiting, o.CancelAsked(), STAGED).state is State.CANCELLING
    ended = step(waiting, o.CancelAsked(), replace(STAGED, cancels=False))
    assert ended.state is State.CANCELLED
    assert ended.reason is not None
    assert "the remote job may continue" in ended.reason
    assert step(waiting, o.DeadlinePassed("late"), STAGED).state is State.EXPIRED
    with pytest.raises(IllegalOutcomeError):
        step(at(State.SUBMITTING, "enqueue"), o.CancelAsked(), STAGED)


def test_a_cancel_request_while_a_start_is_in_doubt() -> None:
    """The remote job is known, so it is cancelled, and no person has to decide. A doubtful submit still parks."""
    doubtful = at(State.RECONCILING, "enqueue", cancel_requested=True)
    cancelling = step(doubtful, o.Undecidable("lost"), TIMID)
    assert (cancelling.state, cancelling.handle) == (State.CANCELLING, "h")
    ended = step(doubtful, o.Undecidable("lost"), replace(TIMID, cancels=False))
    assert (ended.state, ended.finished_at) == (State.CANCELLED, NOW)
    assert "the remote job may continue" in (ended.reason or "")
    submit = at(State.RECONCILING, "submit", handle=None, cancel_requested=True)
    assert step(submit, o.Undecidable("lost"), TIMID).state is State.PARKED


def test_a_reply_to_the_submit_that_is_the_file_ends_the_stages() -> None:
    """As one that says ready."""
    for outcome in (o.Stored(()), o.Ready()):
        assert step(at(State.SUBMITTING, "submit", handle=None), outcome, STAGED).stage is None, outcome


def test_expired_links_of_a_submit_that_was_ready_at_once() -> None:
    """The next submit is another one: the provider must not repeat its old reply, and a remote job is to be started."""
    fetching = job(State.FETCHING, handle=None, ready_at=NOW - 9, intent_key="k", kept={"file": "f"})
    anew = step(fetching, o.LinksExpired("HTTP 403"), STAGED)
    assert (anew.state, anew.stage, anew.kept, anew.ready_at, anew.intent_key) == (State.QUEUED, None, {}, None, None)
    polled = step(job(State.FETCHING, ready_at=NOW - 9, intent_key="k"), o.LinksExpired("HTTP 403"), STAGED)
    assert (polled.state, polled.ready_at, polled.intent_key) == (State.POLLING, NOW - 9, "k")


def test_a_job_leaves_out_what_it_does_not_need() -> None:
    """What it needs may depend on what earlier replies told."""

    def needs(one: Job, stage: str) -> bool:
        return stage == "submit" or one.kept.get(stage) == "yes"

    policy = replace(STAGED, stages=Stages(STAGED.stages.names, needs))
    assert policy.stages.at(new()) == "submit"
    accepted = step(at(State.SUBMITTING, "submit", handle=None), o.Accepted("h", kept={"run": "yes"}), policy)
    assert (accepted.state, accepted.stage) == (State.STARTING, "run")
    assert step(at(State.SUBMITTING, "submit", handle=None), o.Accepted("h"), policy).state is State.POLLING
    begun = step(new(), o.Intended("k"), policy)
    told = step(begun, o.Accepted("h", kept={"upload": "yes"}), policy)
    assert (told.state, told.stage) == (State.POLLING, None)


def test_a_stage_that_the_spec_does_not_have_any_more() -> None:
    """The job waits with its remote job for a corrected spec, and a person may say that it was done."""
    assert STAGED.stages.waits_in(at(State.SUBMITTING, "gone")) is State.STARTING
    assert STAGED.stages.waits_in(at(State.SUBMITTING, "gone", handle=None)) is State.QUEUED
    assert step(at(State.PARKED, "gone"), o.AdoptDecided("h"), STAGED).state is State.POLLING


def test_jobs_of_earlier_versions_have_one_stage() -> None:
    """Nothing changes for an operation without other requests than its submit."""
    intended = advance(new(), o.Intended("k"), PLAIN, NOW, Random(1))
    assert (intended.job.stage, intended.entry and intended.entry.detail) == (None, None)
    assert step(intended.job, o.Accepted("h")).state is State.POLLING
    assert step(at(State.SUBMITTING, "submit", handle=None), o.Accepted("h")).state is State.POLLING


@pytest.mark.parametrize(
    ("state", "outcome"), [(State.RECONCILING, o.Adopted("h2")), (State.PARKED, o.AdoptDecided("h2"))], ids=str
)
def test_a_remote_job_of_an_earlier_spec_is_started(state: State, outcome: o.Outcome) -> None:
    """The spec had no other request than the submit, so the job has no stage: nothing before it is made up for."""
    adopted = step(at(state, None, handle=None), outcome, STAGED)
    assert (adopted.state, adopted.stage, adopted.handle) == (State.STARTING, "enqueue", "h2")


def test_a_doubtful_start_says_nothing_about_the_next_submit() -> None:
    """The remote job is given up, so the next submit has its own intent, and its own count of unknown outcomes."""
    doubtful = at(State.SUBMITTING, "enqueue", unknowns=2)
    for outcome in (o.Gone("HTTP 404"), o.FailedForNow("busy")):
        anew = step(doubtful, outcome, STAGED)
        assert (anew.state, anew.intent_key, anew.unknowns) == (State.QUEUED, None, 0), outcome
    submit = step(at(State.SUBMITTING, "submit", handle=None, unknowns=2), o.FailedForNow("busy"), STAGED)
    assert (submit.intent_key, submit.unknowns) == ("k", 2)

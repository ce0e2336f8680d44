"""Delays between retries grow, and retries end."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from tests.domain.sample_jobs import NOW, PLAIN, job, step
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Backoff, OperationPolicy
from tidewaiter.domain.change_feed import change_of
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.state_machine import JobUpdate, advance

SURE = replace(
    PLAIN,
    repeatable=True,
    retry=replace(PLAIN.retry, jitter=0.0),
    unknown=replace(PLAIN.unknown, jitter=0.0),
    poll=Backoff(30.0, 2.0, 900.0, 0.0),
)


def due_in(after: Job, now: float = NOW) -> float:
    """Seconds until the job is due."""
    assert after.due_at is not None
    return after.due_at - now


# --- links that do not serve ------------------------------------------------------------------------------------------


def expired(before: Job, policy: OperationPolicy = SURE) -> Iterator[tuple[float, Job]]:
    """Each time that the links of a job are refused, and how it stands then; until it has ended."""
    now = NOW
    while before.state in (State.POLLING, State.QUEUED, State.FETCHING):
        fetching = advance(before.but(state=State.FETCHING), o.FetchStarted(), policy, now, Random(1)).job
        before = advance(fetching, o.LinksExpired("HTTP 404"), policy, now, Random(1)).job
        yield now, before
        now = before.due_at or now


@pytest.mark.parametrize(("handle", "state"), [("h", State.POLLING), (None, State.QUEUED)])
def test_expired_links_are_asked_for_after_a_growing_delay(handle: str | None, state: State) -> None:
    """The first time soon, because most links are merely old; an hour takes few tries, and is the end."""
    story = list(expired(job(State.FETCHING, handle=handle)))
    assert {after.state for _, after in story[:-1]} == {state}
    gaps = [due_in(after, now) for now, after in story[:-1]]
    assert gaps[:8] == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]
    assert gaps == sorted(gaps)
    assert len(gaps) < 25
    ended_at, ended = story[-1]
    assert ended.state is State.FAILED
    assert PLAIN.links_expire_s <= ended_at - NOW < PLAIN.links_expire_s + 301.0
    assert "no link to the files worked" in (ended.reason or "")
    assert "HTTP 404" in (ended.reason or "")
    assert ended.fetches == 1


def test_time_alone_does_not_end_it() -> None:
    """A daemon that was away for a day has not tried meanwhile."""
    once = step(job(State.FETCHING), o.LinksExpired("403"), SURE)
    again = step(once.but(state=State.FETCHING), o.LinksExpired("403"), SURE, now=NOW + 86_400.0)
    assert again.state is State.POLLING


def test_a_landed_file_and_a_fresh_submit_begin_anew() -> None:
    """Links count as expired in a row; what has come meanwhile says that they do serve."""
    late = job(State.FETCHING, expiries=9, expired_at=NOW - 9000.0)
    after = step(late, o.LinksExpired("403", progressed=True), SURE)
    assert (after.state, after.expiries, after.expired_at, due_in(after)) == (State.POLLING, 1, NOW, 2.0)
    stored = step(late, o.Stored(()))
    assert (stored.expiries, stored.expired_at) == (0, None)
    gone = step(late.but(state=State.POLLING), o.Gone("404"))
    assert (gone.state, gone.expiries, gone.expired_at) == (State.QUEUED, 0, None)


def test_the_count_survives_the_poll_for_fresh_links() -> None:
    """Each round goes through POLLING, whose reply says ready again."""
    once = step(job(State.FETCHING), o.LinksExpired("403"), SURE)
    ready = step(once, o.Ready(()), SURE)
    assert (ready.state, ready.expiries, ready.expired_at) == (State.FETCHING, 1, NOW)


# --- submits whose outcome is unknown ---------------------------------------------------------------------------------


def unknown(found: o.Outcome, policy: OperationPolicy = SURE) -> list[JobUpdate]:
    """Submits without a clear outcome, and what looking for the remote job has found, until nothing is sent again."""
    now, before, updates = NOW, job(State.QUEUED, handle=None), list[JobUpdate]()
    while before.state is State.QUEUED:
        for outcome in (o.Intended("k"), o.Unknown("HTTP 303")):
            before = advance(before, outcome, policy, now, Random(1)).job
        updates.append(advance(before, found, policy, now, Random(1)))
        before = updates[-1].job
        now = before.due_at or now
    return updates


@pytest.mark.parametrize("found", [o.Undecidable("HTTP 303"), o.Absent("the list does not have it")], ids=str)
def test_unknown_submits_are_repeated_ever_later_then_parked(found: o.Outcome) -> None:
    """Five at most, also where each time the list shows that there is no remote job; the job says why it is parked."""
    updates = unknown(found)
    assert [update.job.submits for update in updates] == [1, 2, 3, 4, 5]
    assert [update.job.unknowns for update in updates] == [1, 2, 3, 4, 5]
    assert [due_in(one.job, one.entry.at if one.entry else 0) for one in updates[:-1]] == [2.0, 16.0, 128.0, 1024.0]
    assert [getattr(change_of(update), "event", None) for update in updates] == ["job.repeated"] * 4 + ["job.parked"]
    assert updates[-1].job.state is State.PARKED
    assert "5 submits in a row had no clear outcome" in (updates[-1].job.reason or "")


def test_how_many_unknown_outcomes_is_a_number_of_the_policy() -> None:
    """One means: not even once without a person."""
    assert len(unknown(o.Undecidable("lost"), replace(SURE, most_unknown=1))) == 1
    assert len(unknown(o.Undecidable("lost"), replace(SURE, most_unknown=7))) == 7


@pytest.mark.fault(71)
def test_crashed_and_nameless_submits_count_as_well() -> None:
    """Whatever leaves open which remote job there is."""
    before = job(State.SUBMITTING, handle=None, unknowns=2)
    for outcome in (o.Unknown("lost"), o.Crashed("bug"), o.Duplicate(None)):
        assert step(before, outcome).unknowns == 3


@pytest.mark.parametrize(
    ("state", "outcome", "unknowns"),
    [
        (State.SUBMITTING, o.Accepted("h"), 0),
        (State.SUBMITTING, o.Duplicate("h"), 0),
        (State.RECONCILING, o.Adopted("h"), 0),
        (State.PARKED, o.RetryDecided(), 0),
        (State.PARKED, o.AdoptDecided("h"), 0),
        (State.SUBMITTING, o.Unsent("refused"), 3),
        (State.SUBMITTING, o.Throttled("slow"), 3),
        (State.RECONCILING, o.Retry("HTTP 502"), 3),
    ],
    ids=str,
)
def test_an_accepted_submit_or_a_person_ends_the_row(state: State, outcome: o.Outcome, unknowns: int) -> None:
    """What says nothing about the submit leaves the count as it is."""
    assert step(job(state, unknowns=3), outcome).unknowns == unknowns


def test_a_submit_that_cannot_be_sent_is_tried_ever_later() -> None:
    """The intent between two tries does not begin the row anew."""
    before, gaps = job(State.QUEUED, handle=None), list[float]()
    for _ in range(4):
        before = step(step(before, o.Intended("k"), SURE), o.Unsent("connection refused"), SURE)
        gaps.append(due_in(before))
    assert gaps == [2.0, 4.0, 8.0, 16.0]


# --- polls ------------------------------------------------------------------------------------------------------------


def test_backoff_begins_anew_after_a_resubmission() -> None:
    """What the first remote job took is no measure for the second; a person's handle begins anew as well."""
    gone = step(job(State.POLLING, polls=12, failures=6), o.Gone("404"), SURE)
    assert gone.failures == 0
    accepted = step(step(gone, o.Intended("k"), SURE), o.Accepted("h2"), SURE)
    first = step(accepted, o.Pending(), SURE)
    second = step(first, o.Pending(), SURE)
    assert (accepted.polls, due_in(first), due_in(second)) == (13, 30.0, 60.0)
    adopted = step(job(State.PARKED, polls=12), o.AdoptDecided("h"), SURE)
    assert due_in(step(adopted, o.Pending(), SURE)) == 30.0


@pytest.mark.parametrize(
    ("state", "outcome", "ours"),
    [
        (State.POLLING, o.Pending(retry_after_s=1.0), 30.0),
        (State.SUBMITTING, o.Accepted("h", 1.0), 4.0),
        (State.POLLING, o.Retry("HTTP 502", 1.0), 16.0),
        (State.FETCHING, o.NotYet("soon", 1.0), 16.0),
    ],
    ids=str,
)
def test_a_retry_after_means_not_before(state: State, outcome: o.Pending, ours: float) -> None:
    """The later of our own schedule and the server's word counts, up to the cap."""
    before = job(state, failures=3)
    assert due_in(step(before, outcome, SURE)) >= ours
    assert due_in(step(before, replace(outcome, retry_after_s=500.0), SURE)) == 500.0
    assert due_in(step(before, replace(outcome, retry_after_s=1e9), SURE)) == 3600.0


@pytest.mark.parametrize("outcome", [o.Pending(retry_after_s=17.0, exact=True), o.Accepted("h", 17.0, exact=True)])
def test_an_exact_retry_after_replaces_the_schedule(outcome: o.Outcome) -> None:
    """Within the floor and the cap."""
    state = State.POLLING if isinstance(outcome, o.Pending) else State.SUBMITTING
    assert due_in(step(job(state, polls=9), outcome, SURE)) == 17.0


def test_a_stalled_remote_job_is_reported_once() -> None:
    """At half of what it may stand still; the reason goes when it moves, and a second stand-still is told again."""
    policy = replace(SURE, stall_s=1000.0)
    before, told = job(State.POLLING, remote_status="RUNNING", moved_at=NOW), list[object]()
    for passed_s, word in ((400, "RUNNING"), (600, "RUNNING"), (800, "RUNNING"), (900, "DRAINING"), (1500, "DRAINING")):
        update = advance(before, o.Pending(word), policy, NOW + passed_s, Random(1))
        before = update.job
        told.append(getattr(change_of(update), "event", None))
    assert told == [None, "job.stalled", None, None, "job.stalled"]


def test_without_a_limit_the_deadline_is_the_measure() -> None:
    """Half a day of a whole one is told too."""
    before = job(State.POLLING, moved_at=NOW - 5000, submitted_at=NOW - 5000, deadline_at=NOW + 5000)
    assert step(before, o.Pending(), SURE).reason is not None
    assert step(before, o.Pending(), SURE, now=NOW - 1).reason is None


def test_what_is_known_to_be_there_later_is_asked_for_then() -> None:
    """No delay of our own comes before it, and none grows behind it; a mere Retry-After is "not before"."""
    before = job(State.FETCHING, failures=6, fetches=1)
    known = step(before, o.NotYet("closed", 60.0, exact=True), SURE)
    assert (due_in(known), known.failures, known.fetches) == (60.0, 6, 0)
    guessed = step(before, o.NotYet("soon", 60.0), SURE)
    assert (due_in(guessed), guessed.failures) == (128.0, 7)

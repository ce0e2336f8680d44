"""Callback addresses, and the slower polls of jobs that have one."""

from dataclasses import replace
from hashlib import sha256
from random import Random

import pytest

from tests.domain.sample_jobs import NOW, job
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Backoff, OperationPolicy
from tidewaiter.domain.job import State
from tidewaiter.domain.state_machine import advance
from tidewaiter.domain.url import callback_hash_of, callback_url_of, new_callback_token

POLICY = OperationPolicy(
    first_delay_s=5.0,
    poll=Backoff(10.0, 2.0, 60.0, 0.0),
    called_first_delay_s=300.0,
    called_poll=Backoff(600.0, 2.0, 3600.0, 0.0),
)


def _due_in(outcome: o.Outcome, *, policy: OperationPolicy = POLICY, **changes: object) -> float:
    """Seconds until the next step after an outcome in POLLING (in SUBMITTING for an acceptance)."""
    state = State.SUBMITTING if isinstance(outcome, o.Accepted | o.Duplicate) else State.POLLING
    before = job(state, **{"callback_hash": "ab", "deadline_at": NOW + 1e6, **changes})
    due_at = advance(before, outcome, policy, NOW, Random(1)).job.due_at
    assert due_at is not None
    return due_at - NOW


def test_tokens() -> None:
    """256 bits in characters that need no quoting; each is another, and each has its hash."""
    rand = Random(5)
    tokens = {new_callback_token(rand) for _ in range(100)}
    assert len({callback_hash_of(token) for token in tokens}) == 100
    assert {len(token) for token in tokens} == {43}
    assert callback_url_of("https://tide.example.com", "t") == "https://tide.example.com/callbacks/t"


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    "text", ["", "x" * 42, "x" * 44, "x" * 42 + "=", "x" * 42 + "\n", "é" * 43, "x" * 21 + "/" * 22]
)
def test_what_is_no_token_has_no_hash(text: str) -> None:
    """Nothing malformed gets as far as the database."""
    assert callback_hash_of(text) is None


def test_the_slower_schedule_is_for_jobs_with_an_address() -> None:
    """From the submit to the first poll, and from poll to poll; without an address the ordinary one holds."""
    assert _due_in(o.Pending(), polls=1) == 1200.0
    assert _due_in(o.Pending(), polls=1, callback_hash=None) == 20.0
    assert _due_in(o.Unmapped("?"), polls=9) == 3600.0
    assert 240.0 < _due_in(o.Accepted("h")) <= 300.0
    assert 4.0 < _due_in(o.Accepted("h"), callback_hash=None) <= 5.0


def test_the_slower_schedule_is_never_the_faster() -> None:
    """An account that polls once a day does not poll more often because it can be called."""
    daily = replace(POLICY, poll=Backoff(86_400.0, 1.0, 86_400.0, 0.0), first_delay_s=86_400.0)
    assert _due_in(o.Pending(), policy=daily) == 86_400.0
    assert _due_in(o.Accepted("h"), policy=daily) > 60_000.0


def test_a_retry_after_only_delays_the_poll() -> None:
    """Whichever schedule holds, a Retry-After means "not before"; one that is exact goes before both."""
    assert _due_in(o.Pending(retry_after_s=30.0)) == 600.0
    assert _due_in(o.Pending(retry_after_s=900.0)) == 900.0
    assert 240.0 < _due_in(o.Accepted("h", retry_after_s=30.0)) <= 300.0
    assert _due_in(o.Pending(retry_after_s=30.0, exact=True)) == 30.0
    assert _due_in(o.Accepted("h", retry_after_s=30.0, exact=True)) == 30.0


@pytest.mark.fault(52)
def test_polling_suffices_before_the_deadline() -> None:
    """No wait takes more than half of the time that is left, so that a lost callback does not lose the job."""
    assert _due_in(o.Pending(), deadline_at=NOW + 400.0) == 200.0
    assert _due_in(o.Pending(), deadline_at=NOW + 4.0) == 10.0
    assert _due_in(o.Accepted("h"), deadline_at=NOW + 100.0) == 50.0


def test_a_remote_job_that_was_there_before_will_not_call() -> None:
    """It was made with somebody else's address: the ordinary schedule holds."""
    shared = advance(job(State.SUBMITTING, callback_hash="ab"), o.Duplicate("h"), POLICY, NOW, Random(1)).job
    assert shared.callback_hash is None
    assert _due_in(o.Duplicate("h")) <= 5.0


def test_47_the_token_is_not_what_is_stored() -> None:
    """Who reads the database learns no address that can be called."""
    token = new_callback_token(Random(1))
    stored = callback_hash_of(token)
    assert stored == sha256(token.encode()).hexdigest()
    assert callback_hash_of(token[:-1]) is None


def test_a_job_that_has_ended_has_no_address() -> None:
    """Nothing is left to be called."""
    for outcome in (o.Refused("no"), o.CancelAsked(), o.DeadlinePassed("late")):
        ended = advance(job(State.POLLING, callback_hash="ab", hinted=True), outcome, POLICY, NOW, Random(1)).job
        assert (ended.callback_hash, ended.hinted) == (None, False)


def test_an_update_knows_whether_its_step_saw_the_hint() -> None:
    """By that the commit tells an answered callback from one that came meanwhile."""
    for hinted in (True, False):
        update = advance(job(State.POLLING, hinted=hinted), o.Pending(), POLICY, NOW, Random(1))
        assert (update.saw_wake_up, update.job.hinted) == (hinted, False)

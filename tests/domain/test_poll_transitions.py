"""Polls that follow what earlier jobs took: within the provider's requests, and only where the submit counts."""

from random import Random

import pytest

from tests.domain.sample_jobs import NOW, PLAIN, job
from tidewaiter.domain import outcome as o
from tidewaiter.domain.duration_sketch import NO_DURATIONS, ObservedDuration
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.learned_schedule import LearnedSchedule, learn
from tidewaiter.domain.state_machine import JobUpdate, advance


def _history(took_s: float) -> LearnedSchedule:
    sketch = NO_DURATIONS
    for _ in range(20):
        sketch = sketch.with_one(took_s * 0.98, took_s)
    return learn("", sketch, PLAIN)


def _advance(before: Job, outcome: o.Outcome, learned: LearnedSchedule | None) -> JobUpdate:
    return advance(before, outcome, PLAIN, NOW, Random(1), learned=learned)


def _wait_s(before: Job, outcome: o.Outcome, learned: LearnedSchedule | None) -> float:
    return (_advance(before, outcome, learned).job.due_at or 0.0) - NOW


def test_first_poll() -> None:
    """The first poll comes when earlier jobs were ready, as does that of a remote job that had to be started."""
    history = _history(200.0)
    submitting, accepted = job(State.SUBMITTING), o.Accepted("h")
    assert _wait_s(submitting, accepted, None) <= 5.0
    assert 150.0 < _wait_s(submitting, accepted, history) < 220.0
    assert _wait_s(submitting, o.Accepted("h", retry_after_s=1000.0), history) == 1000.0


def test_next_poll() -> None:
    """So do the next ones; the provider's Retry-After delays them, and an exact one replaces them."""
    history = _history(200.0)
    polling = job(State.POLLING, submitted_at=NOW - 50.0, polls=1)
    assert 100.0 < _wait_s(polling, o.Pending(), history) < 160.0
    assert _wait_s(polling, o.Pending(retry_after_s=400.0), history) == 400.0
    assert _wait_s(polling, o.Pending(retry_after_s=3.0, exact=True), history) == 3.0


def test_progress() -> None:
    """Reported progress gives an estimate of its own, also without history; without progress nothing changes."""
    polling = job(State.POLLING, submitted_at=NOW - 600.0, polls=9, progress="40%", polled_at=NOW - 120.0)
    assert _wait_s(polling, o.Pending(progress="50%"), LearnedSchedule()) > 250.0
    assert _wait_s(polling, o.Pending(progress="99%"), LearnedSchedule()) < 12.0
    assert _wait_s(polling, o.Pending(), LearnedSchedule()) == _wait_s(polling, o.Pending(), None)


@pytest.mark.parametrize("changes", [{"shared": True}, {"ready_at": NOW - 60.0}, {"submitted_at": None}])
def test_jobs_whose_submit_says_nothing(changes: dict[str, object]) -> None:
    """A remote job that another has made, or that was ready before, is polled as configured and teaches nothing."""
    polling = job(State.POLLING, **{"submitted_at": NOW - 50.0, "polls": 1, **changes})
    assert _wait_s(polling, o.Pending(), _history(200.0)) == _wait_s(polling, o.Pending(), None)
    assert _advance(polling, o.Ready(), LearnedSchedule()).duration is None


def test_callbacks() -> None:
    """A job that expects a callback keeps its slow schedule."""
    polling = job(State.POLLING, submitted_at=NOW - 50.0, polls=1, callback_hash="c")
    assert _wait_s(polling, o.Pending(), _history(60.0)) > 300.0


def test_what_an_update_shows() -> None:
    """A poll that finds the remote job ready shows between which polls it got ready; other outcomes show nothing."""
    polling = job(State.POLLING, submitted_at=NOW - 300.0)
    pending = _advance(polling, o.Pending(), LearnedSchedule())
    assert (pending.job.polled_at, pending.duration) == (NOW, None)
    assert _advance(polling, o.Ready(), LearnedSchedule("k")).duration == ObservedDuration("k", 0.0, 300.0)
    again = job(State.POLLING, submitted_at=NOW - 300.0, polled_at=NOW - 40.0)
    assert _advance(again, o.Stored(()), LearnedSchedule("k")).duration == ObservedDuration("k", 260.0, 300.0)
    assert _advance(again, o.Stored((), shared_from=3), LearnedSchedule("k")).duration is None
    assert _advance(again, o.Ready(), None).duration is None
    assert _advance(again, o.Refused("no"), LearnedSchedule("k")).duration is None
    # A poll before a new submit says nothing about its remote job.
    anew = job(State.POLLING, submitted_at=NOW - 300.0, polled_at=NOW - 400.0)
    assert _advance(anew, o.Ready(), LearnedSchedule("k")).duration == ObservedDuration("k", 0.0, 300.0)


def test_a_remote_job_that_is_ready_has_no_failures() -> None:
    """Those of its polls are over; the download counts its own."""
    after = _advance(job(State.POLLING, failures=3, crashes=2), o.Ready(), None).job
    assert (after.state, after.failures, after.crashes) == (State.FETCHING, 0, 0)

"""The model of the protocol keeps its promises with every guard, and breaks one without any of them."""

import pytest

from tests.model.explorer import explore
from tests.model.protocol import LOST, NEVER_ENDS, SECOND, STALE_REQUEST, STALE_WRITE, Guards, Kind
from tests.model.traces import is_seen


def test_every_promise_is_kept() -> None:
    """With one fault at any moment: one remote job, never lost, no stale owner, and every job ends."""
    for kind in Kind:
        found = explore(kind, faults=1)
        assert found.broken == {}
        assert found.worlds > 500


@pytest.mark.chaos
def test_every_promise_is_kept_with_three_faults() -> None:
    """Any three of: a crash, a lease that ends under its owner, a lost or late POST, reply or acknowledgement."""
    for kind in (Kind.ADOPTABLE, Kind.BLIND):
        assert explore(kind, faults=3).broken == {}
    assert explore(Kind.REPEATABLE, faults=2).broken == {}


def test_each_guard_is_needed() -> None:
    """Without it the explorer finds the way to a promise that is broken."""
    without = {
        Guards(intent_first=False): {LOST, SECOND},
        Guards(doubts=False): {LOST, SECOND},
        Guards(waits_for_lag=False): {LOST, SECOND},
        Guards(checks_lease=False): {STALE_REQUEST, LOST, SECOND},
        Guards(fenced=False): {STALE_WRITE},
        Guards(passes_on=False): {NEVER_ENDS},
    }
    for guards, broken in without.items():
        assert set(explore(Kind.ADOPTABLE, guards, faults=1).broken) == broken, guards


def test_how_a_lease_that_is_not_checked_makes_a_second_remote_job() -> None:
    """The shortest way: an owner stands still between its intent and its POST, and another finds nothing to adopt."""
    way = explore(Kind.ADOPTABLE, Guards(checks_lease=False), faults=1).broken[SECOND]
    assert [step for step in way if is_seen(step)] == [
        "QUEUED Intended SUBMITTING",
        "SUBMITTING Unknown RECONCILING",
        "POST",
        "RECONCILING Absent QUEUED",
        "QUEUED Intended SUBMITTING",
        "POST",
    ]

"""The gravest outcome of several files, in any order."""

from itertools import permutations

import pytest

from tidewaiter.domain import outcome as o
from tidewaiter.domain.download_transitions import closes_account, ends_download, most_severe_outcome

FULL = o.StorageFull("no room")
REFUSED_KEY = o.Unauthorized("bad key")
BUSY = o.Throttled("busy", 7.0)
NO = o.Refused("never")
OLD = o.LinksExpired("expired")
RESET = o.Retry("reset")
LATER = o.NotYet("not there", 30.0)
IN_ORDER = (FULL, REFUSED_KEY, BUSY, NO, OLD, RESET, LATER)


@pytest.mark.parametrize("first", range(len(IN_ORDER)))
def test_the_gravest_counts_wherever_it_stands(first: int) -> None:
    """Each outcome comes before all that are lighter, in every order."""
    for order in permutations(IN_ORDER[first : first + 4]):
        assert type(most_severe_outcome(order)) is type(IN_ORDER[first])


def test_nothing_failed() -> None:
    """Without an outcome there is none."""
    assert most_severe_outcome([]) is None


def test_waits_are_kept() -> None:
    """What any file was asked to wait for holds for the step, and of a kind the first gives the reason."""
    assert most_severe_outcome([RESET, LATER, o.Retry("another", 5.0)]) == o.Retry("reset", 30.0)
    assert most_severe_outcome([LATER, o.NotYet("another", 50.0)]) == o.NotYet("not there", 50.0)
    assert most_severe_outcome([BUSY, o.Retry("x", 50.0)]) == BUSY


@pytest.mark.parametrize("outcome", [RESET, OLD])
def test_progress_of_any_file_counts(outcome: o.Outcome) -> None:
    """That another file landed, or came further, makes the step one that progressed."""
    assert not getattr(most_severe_outcome([outcome]), "progressed")  # noqa: B009  # of a union
    assert getattr(most_severe_outcome([outcome], landed=True), "progressed")  # noqa: B009
    assert getattr(most_severe_outcome([outcome, o.Retry("x", progressed=True)]), "progressed")  # noqa: B009


def test_what_stops_the_others() -> None:
    """A full storage and a refusal stop everything, the account's troubles what is asked of its own origin."""
    assert [ends_download(one) for one in IN_ORDER] == [True, False, False, True, False, False, False]
    assert [closes_account(one) for one in IN_ORDER] == [False, True, True, False, False, False, False]

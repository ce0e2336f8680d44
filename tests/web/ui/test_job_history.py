"""The timeline of a job's history."""

from tidewaiter.domain.job import HistoryEntry, State
from tidewaiter.web.ui.job_pages import time_in, timeline


def _history(*steps: tuple[float, State, str]) -> list[HistoryEntry]:
    return [HistoryEntry(1, number, at, None, state, outcome) for number, (at, state, outcome) in enumerate(steps)]


def test_moments_know_how_long_after_the_last_they_came() -> None:
    """The first has nothing before it; a change of state is told apart from what happened within one."""
    entries = timeline(
        _history((10.0, State.QUEUED, "Submitted"), (12.5, State.POLLING, "Accepted"), (20.0, State.POLLING, "Retry"))
    )
    moments = [moment for stretch in entries for moment in stretch.moments]
    assert [moment.after_s for moment in moments] == [None, 2.5, 7.5]
    assert [moment.arrived for moment in moments] == [True, True, False]
    assert moments[1].words == "accepted by the provider"


def test_many_alike_are_folded_but_for_the_first_and_the_last() -> None:
    """Hundreds of retries take one line until somebody opens it, and never more than a page can bear."""
    steps = [(0.0, State.POLLING, "Accepted"), *((60.0 * n, State.POLLING, "Retry") for n in range(1, 501))]
    entries = timeline(_history(*steps, (40_000.0, State.FAILED, "Refused")))
    assert [stretch.folded for stretch in entries] == [False, False, True, False, False]
    folded = entries[2]
    assert len(folded.moments) + folded.left_out == 498
    assert folded.left_out == 298
    assert folded.lasts_s == 60.0 * 498


def test_the_time_in_each_state_adds_up() -> None:
    """Until the end of a job that has ended, else until now; a state that was left and entered again counts twice."""
    history = _history(
        (0.0, State.QUEUED, "Submitted"), (4.0, State.POLLING, "Accepted"), (10.0, State.FETCHING, "Ready"),
        (12.0, State.POLLING, "LinksExpired"),
    )  # fmt: skip
    assert time_in(history, 20.0) == {State.QUEUED: 4.0, State.POLLING: 14.0, State.FETCHING: 2.0}
    ended = [*history, HistoryEntry(1, 9, 15.0, None, State.EXPIRED, "DeadlinePassed")]
    assert sum(time_in(ended, 99.0).values()) == 15.0
    assert time_in([], 1.0) == {}

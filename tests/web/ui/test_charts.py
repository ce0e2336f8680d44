"""The geometry of the charts."""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.database.dashboard_store import Minute
from tidewaiter.domain.job import State
from tidewaiter.web.ui import charts

_STATES = tuple(State)


def _minute(at: float, *delays: float, **ended: int) -> Minute:
    return Minute(at, {State(name): number for name, number in ended.items()}, sorted(delays))


@given(st.dictionaries(st.sampled_from(_STATES), st.integers(0, 10**7)))
def test_a_bar_is_filled_and_shows_every_state(counts: dict[State, int]) -> None:
    """The pieces touch, fill the bar, and even one job among a million is a hundredth of it wide or so."""
    pieces = charts.state_bar(counts, _STATES)
    assert [piece.state for piece in pieces] == [state for state in _STATES if counts.get(state)]
    for piece, after in pairwise(pieces):
        assert math.isclose(piece.start + piece.long, after.start, abs_tol=0.1)
    if pieces:
        assert math.isclose(pieces[-1].start + pieces[-1].long, 1000.0, abs_tol=0.1)
        assert min(piece.long for piece in pieces) > 8.0


def test_a_bar_of_more_than_there_is_ends_early() -> None:
    """What is still to come is the empty rest; however little there is, it can be seen, and too much fills the bar."""
    for count, of, end in ((25, 100, 250.0), (1, 10_000, 10.0), (11, 10, 1000.0)):
        (piece,) = charts.state_bar({State.SUCCEEDED: count}, _STATES, of=of)
        assert (piece.start, piece.long) == (0.0, end)


def test_columns_stand_on_the_axis() -> None:
    """Outcomes are stacked from the bottom; the top is a round number that nothing exceeds."""
    drawn = charts.ended_columns([_minute(0.0), _minute(60.0, succeeded=6, failed=1)])
    assert drawn.top == 8.0
    assert [piece.state for piece in drawn.columns[1].pieces] == [State.SUCCEEDED, State.FAILED]
    assert (drawn.columns[1].pieces[0].start, drawn.columns[1].pieces[0].long) == (25.0, 75.0)
    assert (drawn.columns[1].pieces[1].start, drawn.columns[1].pieces[1].long) == (12.5, 12.5)
    assert not drawn.columns[0].pieces


def test_curves_break_where_nothing_landed() -> None:
    """A minute without a landing parts the line; one alone is a dot; the newest value is told."""
    drawn = charts.delay_curves([_minute(0.0, 1.0), _minute(60.0, 3.0), _minute(120.0), _minute(180.0, 9.0, 9.5)])
    assert drawn.median.paths == ["M0.5 90L1.5 70"]
    assert drawn.slow.dots == [(3.5, 5.0)]
    assert (drawn.top, drawn.median.last) == (10.0, 9.5)
    assert charts.delay_curves([_minute(0.0)]).median.last is None


def test_no_delay_is_beyond_the_axis() -> None:
    """However long landing took, the axis is as long."""
    assert charts.delay_curves([_minute(0.0, 5e6)]).top >= 5e6
    assert charts.ceiling(0.0, least=4.0) == 4.0
    assert charts.ceiling(23.0, least=4.0) == 40.0
    assert charts.ceiling(100.0, least=4.0) == 100.0


def test_the_middle_of_an_axis_of_jobs_is_a_whole_number() -> None:
    """The axis has a number there."""
    assert [most for most in range(200) if charts.ceiling(most, least=4.0) % 2] == []

"""The text of a lane's request window: exact while it is short, bounded and never too early when it is long."""

import pytest

from tidewaiter.database.request_windows import window_of, window_text

DAY_S = 86_400.0
NOW = 1_800_000_000.0


@pytest.mark.parametrize("stamps", [[], [NOW], [NOW - 1.5, NOW - 0.25, NOW]])
def test_a_short_window_is_a_list_of_times(stamps: list[float]) -> None:
    """It stays exact, and as daemons of earlier versions read it."""
    assert window_text(stamps) == str(stamps)
    assert window_of(window_text(stamps)) == tuple(stamps)


def test_a_long_window_has_a_bounded_text() -> None:
    """A daily quota that is used up: no request is forgotten, and none leaves the window too early."""
    stamps = [NOW - DAY_S + DAY_S * number / 50_000 for number in range(50_000)]
    text = window_text(stamps)
    assert len(text) < 50_000
    read = window_of(text)
    assert len(read) == len(stamps)
    assert all(0.0 <= after - before <= DAY_S / 1000 for before, after in zip(stamps, read, strict=True))
    assert max(read) == max(stamps)


def test_requests_at_one_moment_are_one_pair() -> None:
    """As a window that counts as full after a crash."""
    stamps = [NOW] * 100_000
    assert window_text(stamps) == f"[[{NOW}, 100000]]"
    assert window_of(window_text(stamps)) == tuple(stamps)

"""Windows: days, weeks, months and hours of a span, also where the clock is changed."""

from datetime import timedelta
from itertools import pairwise

import pytest

from tidewaiter.domain.windows import Span, WindowError
from tidewaiter.recurrence import RecurrenceError, params_of_window

BERLIN = "Europe/Berlin"


def _days(*span: str) -> list[tuple[str, str]]:
    return [(one.first_day.isoformat(), one.last_day.isoformat()) for one in Span(*span).windows()]


def test_days_of_half_a_year() -> None:
    """Both days of the span belong to it."""
    days = _days("2026-01-01", "2026-06-30", "1d")
    assert len(days) == 181
    assert days[0] == ("2026-01-01", "2026-01-01")
    assert days[-1] == ("2026-06-30", "2026-06-30")


def test_weeks_and_a_shorter_last_window() -> None:
    """The last window ends with the span."""
    assert _days("2026-01-01", "2026-01-10", "1w") == [("2026-01-01", "2026-01-07"), ("2026-01-08", "2026-01-10")]
    assert _days("2026-01-01", "2026-01-01", "3d") == [("2026-01-01", "2026-01-01")]


def test_months() -> None:
    """A month is as long as it is; from the 31st, each begins on the last day of a shorter month."""
    assert _days("2026-01-01", "2026-03-31", "1mo") == [
        ("2026-01-01", "2026-01-31"),
        ("2026-02-01", "2026-02-28"),
        ("2026-03-01", "2026-03-31"),
    ]
    starts = [one[0] for one in _days("2027-12-31", "2028-04-30", "1mo")]
    assert starts == ["2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"]
    assert len(_days("2020-01-01", "2025-12-31", "12mo")) == 6


def test_days_on_which_the_clock_changes() -> None:
    """A day has 23 or 25 hours then; it is one window all the same, and no hour is lost or doubled."""
    windows = Span("2026-03-28", "2026-03-30", "1d", BERLIN).windows()
    lengths = [one.end.timestamp() - one.start.timestamp() for one in windows]
    assert [round(length / 3600) for length in lengths] == [24, 23, 24]
    autumn = Span("2026-10-25", "2026-10-25", "1h", BERLIN).windows()
    assert len(autumn) == 25
    assert len({one.key for one in autumn}) == 25
    for windows in (autumn, Span("2026-03-29", "2026-03-29", "6h", BERLIN).windows()):
        for before, after in pairwise(windows):
            assert before.end.timestamp() == after.start.timestamp()


def test_a_midnight_that_does_not_exist() -> None:
    """The hour before it belongs to the day before; its end is one o'clock of the new day."""
    days = _days("2018-11-03", "2018-11-04", "1h", "America/Sao_Paulo")
    assert days == [("2018-11-03", "2018-11-03")] * 24 + [("2018-11-04", "2018-11-04")] * 23


def test_moments() -> None:
    """With times the end is excluded."""
    windows = Span("2026-01-01T06:00", "2026-01-01T18:00", "6h").windows()
    assert [one.key for one in windows] == ["2026-01-01T06:00Z", "2026-01-01T12:00Z"]
    assert windows[-1].end - windows[0].start == timedelta(hours=12)


@pytest.mark.parametrize(
    ("span", "member"),
    [
        (("2026-01-01", "2026-01-02", "1x"), "window"),
        (("2026-01-01", "2026-01-02", "0d"), "window"),
        (("2026-01-01", "2026-01-02", "1m"), "window"),
        (("2026-01-01", "2025-12-31", "1d"), "to"),
        (("2026-02-30", "2026-03-31", "1d"), "from"),
        (("yesterday", "2026-03-31", "1d"), "from"),
        (("2026-01-01T06:00", "2026-01-02", "1d"), "window"),
        (("2000-01-01", "2099-12-31", "1d"), "window"),
        (("2026-01-01", "9999-12-31", "1mo"), "to"),
        (("0001-01-01", "0001-01-02", "6h", BERLIN), "from"),
        (("9999-12-29T00:00", "9999-12-31T23:00", "24h", "Asia/Tokyo"), "to"),
        (("2026-01-01", "2026-01-02", "1d", "Mars/Olympus"), "timezone"),
    ],
)
def test_spans_that_cannot_be_cut(span: tuple[str, ...], member: str) -> None:
    """The fault says which value is wrong."""
    with pytest.raises(WindowError) as raised:
        Span(*span).windows()
    assert raised.value.member == member


def test_templates() -> None:
    """Days and times of the window, in the same language as those of schedules."""
    (window,) = Span("2026-03-29", "2026-03-29", "1d", BERLIN).windows()
    texts = {
        "${window.from}": "2026-03-29",
        "${window.to}": "2026-03-29",
        "${window.to+1d:%d.%m.%Y}": "30.03.2026",
        "${window.from-1m:%Y%m}": "202602",
        "${window.start}": "2026-03-29T00:00:00+01:00",
        "${window.end}": "2026-03-30T00:00:00+02:00",
        "${window.start:%H:%M}": "00:00",
        "from ${window.from} on": "from 2026-03-29 on",
    }
    for template, text in texts.items():
        assert params_of_window({"a": {"b": [template]}}, window) == {"a": {"b": [text]}}
    for template in ("${yesterday}", "${window.start+1d}", "${window}", "${window.first}"):
        with pytest.raises(RecurrenceError, match=r"window\.from"):
            params_of_window({"a": template}, window)

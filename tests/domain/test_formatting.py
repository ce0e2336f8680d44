"""How times, durations, sizes, counts and foreign text are shown."""

import pytest

from tidewaiter.domain import formatting
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import fraction_of


@pytest.mark.parametrize(
    ("seconds", "read", "rough"),
    [
        (-5.0, "0 s", "0 s"),
        (0.0004, "0 s", "0 s"),
        (0.04, "40 ms", "0 s"),
        (0.06, "0.1 s", "0 s"),
        (9.94, "9.9 s", "10 s"),
        (9.96, "10 s", "10 s"),
        (59.4, "59 s", "59 s"),
        (59.6, "1 min", "1 min"),
        (61.0, "1 min 1 s", "1 min"),
        (3600, "1 h", "1 h"),
        (5400, "1 h 30 min", "1 h"),
        (7322.0, "2 h 2 min", "2 h"),
        (86_400.0 * 3 + 3700, "3 d 1 h", "3 d"),
    ],
)
def test_durations_read_in_the_units_that_matter(seconds: float, read: str, rough: str) -> None:
    """Two units at most, or one; never a negative one."""
    assert formatting.duration(seconds) == read
    assert formatting.rough(seconds) == rough


def test_moments() -> None:
    """For people to the second, for programs to the millisecond by RFC 3339; relative ones have a direction."""
    assert formatting.ago(100.0, 160.0) == "1 min ago"
    assert formatting.ago(190.0, 160.0) == "in 30 s"
    assert formatting.ago(160.4, 160.0) == "now"
    assert formatting.moment(0.0) == "1970-01-01 00:00:00 UTC"
    assert formatting.clock(3661.0) == "01:01:01"
    assert formatting.rfc3339(1_750_000_000.25) == "2025-06-15T15:06:40.250Z"
    assert (formatting.rfc3339(None), formatting.moment(None), formatting.date_and_time(None)) == (None, None, "")


def test_no_time_of_a_provider_raises() -> None:
    """What lies beyond the calendar becomes its last second, or its first."""
    assert formatting.rfc3339(1e300) == "9999-12-31T23:59:59.000Z"
    assert formatting.rfc3339(-1e300) == "1970-01-01T00:00:00.000Z"
    assert formatting.moment(1e300) == "9999-12-31 23:59:59 UTC"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (12_345_678, "12.3 MB"),
        (2 * 10**12, "2.0 TB"),
        (10**18, "1000000.0 TB"),
    ],
)
def test_sizes(count: int, shown: str) -> None:
    """Bytes in decimal units."""
    assert formatting.size(count) == shown


def test_counts() -> None:
    """One of a thing has no plural; commas stand between thousands."""
    assert [formatting.counted(number, "poll") for number in (0, 1, 2)] == ["0 polls", "1 poll", "2 polls"]
    assert formatting.counted(1200, "entry", "entries") == "1,200 entries"


@pytest.mark.parametrize(
    ("progress", "fraction"),
    [
        (None, None),
        ("250/500", 0.5),
        ("7 of 10", 0.7),
        ("3 of 12", 0.25),
        ("62.5 %", 0.625),
        ("9/0", None),
        ("soon", None),
        ("120%", 1.0),
        ("140 %", 1.0),
    ],
)
def test_progress(progress: str | None, fraction: float | None) -> None:
    """Ratios and percentages are numbers; other words are not."""
    assert fraction_of(progress) == fraction


def test_foreign_text_on_one_line() -> None:
    """Control characters and what turns the order of letters around are replaced; letters of all scripts stay."""
    assert formatting.printable("naïve\x1b[31m\n\x9bx") == "naïve�[31m��x"
    assert formatting.printable("a\u202etxt.exe\u2028b نص") == "a�txt.exe�b نص"


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("a\x00b\x1b[31m", "a␀b␛[31m"),
        ("\x7f\x9b", "␡\ufffd"),
        ("abc\u202egpj.exe", "abc\ufffdgpj.exe"),
        ("\u2066x\u2069", "\ufffdx\ufffd"),
        ("\ud800", "\ufffd"),
        ("família 👩‍👩‍👧", "família 👩‍👩‍👧"),
    ],
)
def test_what_would_steer_the_text_is_shown_instead(said: str, seen: str) -> None:
    """Control characters, turns of the direction and halves of pairs are signs that one can see."""
    assert formatting.visible(said) == seen


def test_parameters_read_as_they_would_be_typed() -> None:
    """Text as it is, anything else as JSON."""
    params: dict[str, Json] = {"period": "LAST_DAY", "ids": [1, 2], "full": True}
    assert formatting.parameters(params) == "period=LAST_DAY ids=[1, 2] full=true"

"""How moments, durations and sizes read, and what becomes of text that would steer the page."""

import pytest

from app.domain.progress import fraction_of
from app.web.page import texts


@pytest.mark.parametrize(
    ("seconds", "read", "rough"),
    [
        (0.04, "0.0 s", "0 s"),
        (9.94, "9.9 s", "10 s"),
        (59.6, "1 min", "1 min"),
        (61.0, "1 min 1 s", "1 min"),
        (7322.0, "2 h 2 min", "2 h"),
        (86_400.0 * 3 + 3700, "3 d 1 h", "3 d"),
        (-5.0, "0.0 s", "0 s"),
    ],
)
def test_durations_read_in_the_units_that_matter(seconds: float, read: str, rough: str) -> None:
    """Two units where it is studied, one where it is glanced at; never a negative one."""
    assert texts.duration(seconds).replace("\u00a0", " ") == read
    assert texts.rough(seconds).replace("\u00a0", " ") == rough


def test_moments_are_seen_from_now() -> None:
    """Past and future are told apart, and what is just now is now."""
    assert texts.ago(100.0, 160.0).replace("\u00a0", " ") == "1 min ago"
    assert texts.ago(190.0, 160.0).replace("\u00a0", " ") == "in 30 s"
    assert texts.ago(160.4, 160.0) == "now"
    assert texts.moment(0.0) == "1970-01-01 00:00:00 UTC"
    assert texts.machine(1e300) == "9999-12-31T23:59:59Z", "no time of a provider can break a page"


def test_sizes_and_counts() -> None:
    """Bytes in decimal units, thousands apart, nouns in the right number."""
    assert texts.size(999).replace("\u00a0", " ") == "999 B"
    assert texts.size(12_345_678).replace("\u00a0", " ") == "12.3 MB"
    assert texts.size(10**18).replace("\u00a0", " ") == "1000000.0 TB"
    assert texts.counted(1, "job").replace("\u00a0", " ") == "1 job"
    assert texts.counted(1200, "job").replace("\u00a0", " ") == "1,200 jobs"


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
    assert texts.visible(said) == seen


def test_progress_is_read_where_it_can_be() -> None:
    """A ratio or a percentage in a provider's words; anything else is no number."""
    assert fraction_of("3 of 12") == 0.25
    assert fraction_of("140 %") == 1.0
    assert fraction_of("0/0") is None
    assert fraction_of("soon") is None
    assert fraction_of(None) is None


def test_parameters_read_as_they_would_be_typed() -> None:
    """Text as it is, anything else as JSON."""
    assert (
        texts.parameters({"period": "LAST_DAY", "ids": [1, 2], "full": True}) == "period=LAST_DAY ids=[1, 2] full=true"
    )

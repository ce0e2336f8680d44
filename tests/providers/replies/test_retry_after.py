"""Retry-After: each form of RFC 9110, and the forms that servers write instead."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from tidewaiter.providers.replies.reply_headers import LONGEST_WAIT_S, parse_http_date, parse_retry_after, retry_after

NOW = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        (" \t7 ", 7.0),
        ("007", 7.0),
        ("10000000000", LONGEST_WAIT_S),
        ("9" * 18, LONGEST_WAIT_S),
        ("9" * 5000, None),
        ("-5", None),
        ("+5", None),
        ("1.5", 2.0),
        ("0.1", 1.0),
        ("3.0", 3.0),
        ("0.0", 0.0),
        ("1.", None),
        (".5", None),
        ("1,5", None),
        ("1.5.1", None),
        ("-0.5", None),
        ("1000000000", LONGEST_WAIT_S),
        ("1e3", None),
        ("", None),
        ("   ", None),
        ("soon", None),
        ("12 0", None),
        ("120s", None),
        ("120\n", None),
        ("\uff11\uff12\uff10", None),
        ("\u0661\u0662\u0660", None),
        ("\u00a0120", None),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sun, 06 Nov 1994 08:49:60 GMT", 22.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT_S),
        ("Sun, 06 Nov 1994 08:50:37 UTC", None),
        ("Sun, 06 Nov 1994 08:50:37 +0000", None),
        ("Sun, 6 Nov 1994 08:50:37 GMT", None),
        ("sun, 06 nov 1994 08:50:37 gmt", None),
        ("Sun, 31 Feb 1994 08:50:37 GMT", None),
        ("Sun, 06 Nov 1994 24:50:37 GMT", None),
        ("Sun, 06 Nov 1994 08:50:61 GMT", None),
        ("Sun, 00 Nov 1994 08:50:37 GMT", None),
        ("Sun, 06 Nov 0000 08:50:37 GMT", None),
        ("1994-11-06T08:50:37Z", None),
    ],
)
def test_every_form_of_retry_after(value: str, seconds: float | None) -> None:
    """Seconds and the three date forms are understood, clamped to 0 and a month; whatever else means nothing."""
    assert parse_retry_after(value, None, NOW) == seconds


def test_a_date_counts_from_the_servers_own_clock() -> None:
    """A server whose clock is a day ahead of ours still gets the minute that it asked for, and no day."""
    tomorrow = "Mon, 07 Nov 1994 08:50:37 GMT"
    assert parse_retry_after(tomorrow, "Mon, 07 Nov 1994 08:49:37 GMT", NOW) == 60.0
    assert parse_retry_after(tomorrow, None, NOW) == 86_460.0
    assert parse_retry_after(tomorrow, "yesterday, I think", NOW) == 86_460.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1764363660", 60.0),
        ("1764363660.5", 60.5),
        ("1764363660000", 60.0),
        ("1764363660250", 60.25),
        ("1764363540", 0.0),
        ("1000000001", 0.0),
        ("9999999999", LONGEST_WAIT_S),
    ],
)
def test_a_large_number_is_a_moment(value: str, seconds: float) -> None:
    """Some servers name the epoch second at which they open again, or the millisecond; nobody means 50 years."""
    now = 1764363600.0
    assert parse_retry_after(value, None, now) == seconds
    ahead = "Fri, 28 Nov 2025 21:00:30 GMT"
    assert parse_retry_after(value, ahead, now) in (max(0.0, seconds - 30.0), LONGEST_WAIT_S)


def test_of_several_fields_the_latest_moment_counts() -> None:
    """Each of them says "not before"; one that means nothing takes nothing from the others."""
    headers = CIMultiDict([("retry-after", "5"), ("retry-after", "soon"), ("retry-after", "60"), ("retry-after", "7")])
    assert retry_after(headers, NOW) == 60.0


def test_two_digit_years_mean_the_nearest_century() -> None:
    """RFC 9110: a year that seems more than 50 years ahead is in the past."""
    now = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    soon = parse_http_date("Tuesday, 01-Jan-30 00:00:00 GMT", now)
    past = parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT", now)
    assert soon is not None
    assert datetime.fromtimestamp(soon, UTC).year == 2030
    assert past == NOW


@pytest.mark.fault(24)
def test_a_reply_without_the_header_asks_for_nothing() -> None:
    """Absent is not zero: zero would be a hot loop."""
    assert retry_after({}, NOW) is None
    assert retry_after({"retry-after": "60"}, NOW) == 60.0


@settings(deadline=None)
@given(st.text(), st.none() | st.text())
def test_no_text_breaks_it(value: str, date: str | None) -> None:
    """Whatever a server sends, the answer is nothing, or a wait between none and a month."""
    seconds = parse_retry_after(value, date, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT_S


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=int(LONGEST_WAIT_S)))
def test_whole_seconds_come_back(seconds: int) -> None:
    """Every plain number of seconds is taken at its word."""
    assert parse_retry_after(str(seconds), None, NOW) == seconds


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)))  # noqa: DTZ001  # UTC by its format
def test_every_date_comes_back(moment: datetime) -> None:
    """Every date that the preferred form can write is read again."""
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    day, month = (
        ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
    )
    text = f"{day[moment.weekday()]}, {moment.day:02} {month[moment.month - 1]} {moment.year:04} {moment:%H:%M:%S} GMT"
    assert parse_http_date(text, NOW) == moment.timestamp()

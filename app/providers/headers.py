"""Header fields that say when to come back."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from app.domain.wire import field_values

LONGEST_WAIT_S = 30 * 86_400.0
"""A server that asks for more than a month is not believed; the policy of an operation clamps further."""

_NUMBER = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?")
_FIRST_MOMENT = 1e9  # larger numbers are epoch seconds: as a duration this would be 31 years
_FIRST_MOMENT_MS = 1e11  # and still larger ones are epoch milliseconds: as seconds this would be the year 5138
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DATES = tuple(
    re.compile(form)
    for form in (
        # IMF-fixdate, RFC 850 and asctime: the three forms of RFC 9110, section 5.6.7.
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",
        rf"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)
_LEAP_SECOND = 60


def parse_http_date(text: str, now: float) -> float | None:
    """An HTTP-date as epoch seconds, or ``None`` where the text is not a date.

    Args:
        text: the field value, without surrounding blanks.
        now: epoch seconds; a two-digit year more than 50 years ahead of it means the century before.

    Source: RFC 9110, section 5.6.7.
    """
    found = next((match for form in _DATES if (match := form.fullmatch(text))), None)
    if found is None:
        return None
    year, second = int(found["year"]), int(found["second"])
    if len(found["year"]) == 2:
        this_year = datetime.fromtimestamp(now, UTC).year
        year += this_year - this_year % 100
        year -= 100 if year > this_year + 50 else 0
    try:
        moment = datetime(
            year,
            _MONTHS.index(found["month"]) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            min(second, _LEAP_SECOND - 1) if second <= _LEAP_SECOND else second,
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return moment.timestamp()


def parse_retry_after(value: str, date: str | None, now: float) -> float | None:
    """How long a server asks to be left alone.

    Args:
        value: what stood in Retry-After: seconds or an HTTP-date; or what some servers send though the RFC knows
            neither, a fraction of seconds, which is rounded up, or a moment in epoch seconds or milliseconds.
        date: what stood in the same reply's Date. A moment in Retry-After counts from it, because the server's clock
            and ours may differ.
        now: epoch seconds, used where there is no usable Date.

    Returns:
        Seconds, from 0 (a moment in the past) to ``LONGEST_WAIT_S``; ``None`` where the value has none of these forms:
        negative, not ASCII, or garbage.

    Source: RFC 9110, section 10.2.3.
    """
    text = value.strip(" \t")
    number = float(text) if _NUMBER.fullmatch(text) else None
    if number is not None and number <= _FIRST_MOMENT:
        return min(float(math.ceil(number)), LONGEST_WAIT_S)
    until = parse_http_date(text, now) if number is None else _moment(number)
    if until is None:
        return None
    said_at = parse_http_date(date.strip(" \t"), now) if date else None
    return min(max(0.0, until - (now if said_at is None else said_at)), LONGEST_WAIT_S)


def _moment(number: float) -> float:
    """Epoch seconds out of epoch seconds or milliseconds."""
    return number / 1000.0 if number >= _FIRST_MOMENT_MS else number


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """What the Retry-After of a reply asks for, in seconds; ``None`` where it is absent or means nothing.

    Where the field came more than once, the latest moment counts: it means "not before".
    """
    date = headers.get("date")
    every = [parse_retry_after(value, date, now) for value in field_values(headers, "retry-after")]
    return max((wait_s for wait_s in every if wait_s is not None), default=None)

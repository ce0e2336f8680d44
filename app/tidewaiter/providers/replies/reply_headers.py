"""Header fields of replies: dates, Retry-After (RFC 9110) and Link (RFC 8288)."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from tidewaiter.domain.http_values import field_values

LONGEST_WAIT_S = 30 * 86_400.0
"""The longest wait that is accepted, a month; the policy of an operation clamps further."""

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
    """An HTTP-date as epoch seconds, or ``None`` if the text is not a date.

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
    """How long a server asks to wait.

    Args:
        value: the value of Retry-After: seconds or an HTTP-date. Some servers send what the RFC does not have: a
            fraction of seconds, which is rounded up, or a time in epoch seconds or milliseconds.
        date: the Date of the same reply. A time in Retry-After counts from it, because the server's clock and ours may
            differ.
        now: epoch seconds, used if there is no usable Date.

    Returns:
        Seconds, from 0 (a moment in the past) to ``LONGEST_WAIT_S``; ``None`` if the value has none of these
        forms.

    Source: RFC 9110, section 10.2.3.
    """
    text = value.strip(" \t")
    number = float(text) if _NUMBER.fullmatch(text) else None
    if number is not None and number <= _FIRST_MOMENT:
        return min(float(math.ceil(number)), LONGEST_WAIT_S)
    until = parse_http_date(text, now) if number is None else _moment(number)
    if until is None:
        return None
    replied_at = parse_http_date(date.strip(" \t"), now) if date else None
    return min(max(0.0, until - (now if replied_at is None else replied_at)), LONGEST_WAIT_S)


def _moment(number: float) -> float:
    """Epoch seconds out of epoch seconds or milliseconds."""
    return number / 1000.0 if number >= _FIRST_MOMENT_MS else number


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The wait in the Retry-After of a reply, in seconds; ``None`` if it is absent or cannot be read.

    If the field is repeated, the latest time counts: it means "not before".
    """
    values = field_values(headers, "retry-after")
    if not values:
        return None
    date = headers.get("date")
    every = [parse_retry_after(value, date, now) for value in values]
    return max((wait_s for wait_s in every if wait_s is not None), default=None)


# --- Link -------------------------------------------------------------------------------------------------------------


_SKIPPED = re.compile(r"[ \t,]*")
_PARAMETER = re.compile(r'[ \t]*;[ \t]*([^=;,"\s]*)[ \t]*(?:=[ \t]*("(?:[^"\\]|\\.)*"|[^;," \t]*))?')
_ESCAPED = re.compile(r"\\(.)")


def link_target(fields: Sequence[str], relation: str, url: str) -> str | None:
    """The target of the first link with this relation, unchanged; ``None`` if there is none.

    Args:
        fields: every value of Link in the reply; each may have several links.
        relation: such as ``next``, in any case.
        url: the address of the reply. A link with another context (its ``anchor``) does not count.

    Source: RFC 8288, sections 3 and B.2.
    """
    folded = relation.casefold()
    for field in fields:
        for target, parameters in _links(field):
            ours = parameters.get("anchor", "") in ("", "#", url)
            if ours and folded in parameters.get("rel", "").casefold().split():
                return target.strip()
    return None


def _links(field: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The links of one field. Other text is skipped up to the next comma."""
    at = 0
    while at < len(field):
        at = _after_link(_SKIPPED, field, at)
        if not field.startswith("<", at):
            comma = field.find(",", at)
            at = len(field) if comma < 0 else comma
            continue
        end = field.find(">", at)
        if end < 0:
            return
        target, at = field[at + 1 : end], end + 1
        parameters: dict[str, str] = {}
        while (found := _PARAMETER.match(field, at)) is not None:
            at = found.end()
            # If a parameter is repeated, the first one counts (section 3.3).
            parameters.setdefault(found[1].casefold(), _plain(found[2] or ""))
        yield target, parameters


def _after_link(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _plain(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value

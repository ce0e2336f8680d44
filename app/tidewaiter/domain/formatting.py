"""Formatters: times for programs (RFC 3339), and times, durations, sizes and counts for people.

The terminal and the page use the same words. The page puts a no-break space between a number and its unit.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, overload

from tidewaiter.domain.http_values import Json

_LAST_SECOND: Final = 253_402_300_799.0
_LEAST_TENTH: Final = 0.05
_MOST_TENTHS: Final = 9.95
_UNITS: Final = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
_SIZES: Final = ("B", "kB", "MB", "GB", "TB")
# Control characters, what breaks a line, and what changes the direction of text.
_NOT_PRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
# The same without line feed and tab, but with other invisible characters and single surrogates.
_INVISIBLE: Final = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_CONTROL_PICTURES: Final = 0x2400
_LARGEST_C0: Final = 0x1F
_DELETE: Final = "\x7f"


@overload
def rfc3339(at: float) -> str: ...
@overload
def rfc3339(at: float | None) -> str | None: ...
def rfc3339(at: float | None) -> str | None:
    """A time in UTC for programs (RFC 3339), to the millisecond: ``2025-06-15T15:06:40.250Z``."""
    return None if at is None else _utc(at).isoformat(timespec="milliseconds")[:-6] + "Z"


@overload
def moment(at: float) -> str: ...
@overload
def moment(at: float | None) -> str | None: ...
def moment(at: float | None) -> str | None:
    """A time in UTC for people, to the second: ``2025-06-15 15:06:40 UTC``."""
    return None if at is None else f"{date_and_time(at)} UTC"


def date_and_time(at: float | None) -> str:
    """The same without the time zone, for columns whose heading names it; empty for ``None``."""
    return "" if at is None else f"{_utc(at):%Y-%m-%d %H:%M:%S}"


def clock(at: float) -> str:
    """The time of day in UTC, to the second."""
    return f"{_utc(at):%H:%M:%S}"


def clock_or_date(at: float, now: float) -> str:
    """The time of day in UTC, or the date with hours and minutes where the day is not today."""
    moment_at = _utc(at)
    return clock(at) if moment_at.date() == _utc(now).date() else f"{moment_at:%Y-%m-%d %H:%M}"


def _utc(at: float) -> datetime:
    try:
        return datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):  # a provider may have sent such a time
        return datetime.fromtimestamp(min(max(at, 0.0), _LAST_SECOND), UTC)


def duration(seconds: float) -> str:
    """A duration in its two largest units, such as ``33 ms``, ``1.4 s``, ``3 min 20 s`` or ``2 d 4 h``."""
    if seconds < _LEAST_TENTH:
        milliseconds = round(max(0.0, seconds) * 1000)
        return f"{milliseconds} ms" if milliseconds else "0 s"
    if seconds < _MOST_TENTHS:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for length, unit, below, smaller in _UNITS:
        if whole >= length:
            rest = whole % length // below
            return f"{whole // length} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def rough(seconds: float) -> str:
    """A duration in its largest unit: ``4 s``, ``3 min``, ``2 d``."""
    whole = max(0, round(seconds))
    for length, unit, _, _ in _UNITS:
        if whole >= length:
            return f"{whole // length} {unit}"
    return f"{whole} s"


def ago(at: float, now: float) -> str:
    """A moment relative to now: ``12 s ago``, ``in 3 min``, ``now``."""
    if abs(now - at) < 1:
        return "now"
    return f"{rough(now - at)} ago" if at < now else f"in {rough(at - now)}"


def size(count: int) -> str:
    """A number of bytes in the unit that fits: ``1.5 kB``."""
    amount, unit = float(count), 0
    while amount >= 1000 and unit < len(_SIZES) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{count} B" if unit == 0 else f"{amount:.1f} {_SIZES[unit]}"


def number(count: float) -> str:
    """A count with commas between the thousands."""
    return f"{count:,.0f}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun: ``1 job``, ``3 jobs``."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def written(value: Json) -> str:
    """A parameter as a person types it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def parameters(params: Mapping[str, Json]) -> str:
    """Parameters on one line, as ``tidewaiter submit`` takes them."""
    return " ".join(f"{name}={written(value)}" for name, value in params.items())


def printable(text: object) -> str:
    """Foreign text on one line, without characters that control the terminal."""
    return _NOT_PRINTABLE.sub("\ufffd", str(text))


def visible(text: str) -> str:
    """Foreign text on one or more lines, with control and other invisible characters replaced by visible ones."""
    return _INVISIBLE.sub(_visible, text)


def _visible(found: re.Match[str]) -> str:
    character = found[0]
    if ord(character) <= _LARGEST_C0:
        return chr(_CONTROL_PICTURES + ord(character))
    return "\u2421" if character == _DELETE else "\ufffd"

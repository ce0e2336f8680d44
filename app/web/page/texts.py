"""How moments, durations, sizes and what strangers said look on the page."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from app.domain.jsonvalue import Json

_SPACE: Final = "\u00a0"
# C0 but line ends and tabs, DEL, C1, what turns the direction of writing, and halves of pairs, which are no text.
_UNSEEN: Final = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_PICTURES: Final = 0x2400
_DELETE: Final = 0x7F
_LARGEST_C0: Final = 0x1F
_LAST_SECOND: Final = 253_402_300_799.0
_UNITS: Final = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
_SIZES: Final = ("B", "kB", "MB", "GB", "TB")


def visible(said: str) -> str:
    """What somebody else said, with a sign in place of whatever would steer the text instead of being seen in it."""
    return _UNSEEN.sub(_sign, said)


def _sign(found: re.Match[str]) -> str:
    number = ord(found[0])
    if number <= _LARGEST_C0:
        return chr(_PICTURES + number)
    return "\u2421" if number == _DELETE else "\ufffd"


def duration(seconds: float) -> str:
    """A duration in the two largest units that matter, such as ``1.4 s``, ``3 min 20 s`` or ``2 d 4 h``."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f}{_SPACE}s"
    whole = round(seconds)
    for length, unit, below, smaller in _UNITS:
        if whole >= length:
            rest = whole % length // below
            return f"{whole // length}{_SPACE}{unit}" + (f" {rest}{_SPACE}{smaller}" if rest else "")
    return f"{whole}{_SPACE}s"


def rough(seconds: float) -> str:
    """A duration in its largest unit, for what is only glanced at: ``4 s``, ``3 min``, ``2 d``."""
    whole = max(0, round(seconds))
    for length, unit, _, _ in _UNITS:
        if whole >= length:
            return f"{whole // length}{_SPACE}{unit}"
    return f"{whole}{_SPACE}s"


def ago(at: float, now: float) -> str:
    """A moment as seen from now: ``12 s ago``, ``in 3 min``, ``now``."""
    if abs(now - at) < 1:
        return "now"
    return f"{rough(now - at)} ago" if at < now else f"in {rough(at - now)}"


def moment(at: float) -> str:
    """A moment in UTC, to the second."""
    return f"{_utc(at):%Y-%m-%d %H:%M:%S} UTC"


def clock(at: float) -> str:
    """The time of day in UTC, to the second."""
    return f"{_utc(at):%H:%M:%S}"


def machine(at: float) -> str:
    """A moment as ``<time datetime>`` wants it."""
    return f"{_utc(at):%Y-%m-%dT%H:%M:%SZ}"


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(min(max(at, 0.0), _LAST_SECOND), UTC)


def size(count: int) -> str:
    """A number of bytes in the unit that people use for so many."""
    amount, unit = float(count), 0
    while amount >= 1000 and unit < len(_SIZES) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{count}{_SPACE}B" if unit == 0 else f"{amount:.1f}{_SPACE}{_SIZES[unit]}"


def number(count: float) -> str:
    """A count, its thousands apart."""
    return f"{count:,.0f}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun: ``1 job``, ``3 jobs``."""
    return f"{number(count)}{_SPACE}{one if count == 1 else many or one + 's'}"


def written(value: Json) -> str:
    """A parameter as it would be typed: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def parameters(params: Mapping[str, Json]) -> str:
    """Parameters on one line, as they would be given to ``submit``."""
    return " ".join(f"{name}={written(value)}" for name, value in params.items())

"""Windows of time: a span, such as half a year, cut into days, weeks, months or hours, in a time zone."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import MINYEAR, UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MOST_WINDOWS: Final = 10_000
_SIZE: Final = re.compile(r"([1-9][0-9]{0,2})(h|d|w|mo)")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}")
_MONTHS_PER_YEAR: Final = 12


class WindowError(ValueError):
    """A span cannot be cut into windows; ``member`` names the wrong value, the message ends a sentence about it."""

    def __init__(self, member: str, reason: str) -> None:
        super().__init__(reason)
        self.member = member


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, from ``start`` until just before ``end``, both with their offset in the zone."""

    start: datetime
    end: datetime

    @property
    def first_day(self) -> date:
        """The first day."""
        return self.start.date()

    @property
    def last_day(self) -> date:
        """The last day that belongs to it; in absolute time, because midnight does not exist where a clock skips it."""
        return (self.end.astimezone(UTC) - timedelta(microseconds=1)).astimezone(self.end.tzinfo).date()

    @property
    def is_of_days(self) -> bool:
        """Whether it begins and ends with a day."""
        return self.start.time() == self.end.time() == time()

    @property
    def key(self) -> str:
        """Its name within its span: the first day of whole days, or the time in UTC."""
        if self.is_of_days:
            return self.start.date().isoformat()
        return f"{self.start.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


@dataclass(frozen=True, slots=True)
class Span:
    """What is cut: the first and the last day, both included, or two moments, the second excluded; window and zone.

    ``window`` is a number and ``h``, ``d``, ``w`` or ``mo``, as in ``1d``. The last window may be shorter.
    """

    first: str
    last: str
    window: str
    zone: str = "UTC"

    def windows(self) -> tuple[Window, ...]:
        """The windows, oldest first.

        Raises:
            WindowError: a value cannot be used.
        """
        return _windows(self)


@lru_cache(maxsize=64)
def _windows(span: Span) -> tuple[Window, ...]:
    size = _SIZE.fullmatch(span.window)
    if size is None:
        raise WindowError("window", "must be a number and h, d, w or mo, such as 1d, 6h or 1mo")
    try:
        zone = ZoneInfo(span.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise WindowError("timezone", f"{span.zone!r} is no time zone, such as UTC or Europe/Berlin") from None
    number, unit = int(size[1]), size[2]
    start, end = _moment("from", span.first), _moment("to", span.last)
    if _DAY.fullmatch(span.last):
        end = _moved(end, timedelta(days=1), "to")
    if unit != "h" and (start.time() != time() or end.time() != time()):
        raise WindowError("window", f"{span.window} needs days, without a time; with times, use hours, such as 24h")
    if end <= start:
        raise WindowError("to", f"{span.last} is before {span.first}")
    try:
        return _cut(_bound_of(start, number, unit, zone), end.replace(tzinfo=zone), span.window)
    except OverflowError:  # in the first or the last hours that dates have, in UTC or in the zone
        raise WindowError("from" if start.year == MINYEAR else "to", "is beyond the years that dates have") from None


def _cut(bound: Callable[[int], datetime], last: datetime, size: str) -> tuple[Window, ...]:
    """The windows from the first bound until ``last``."""
    found: list[Window] = []
    while True:
        opens, closes = bound(len(found)), bound(len(found) + 1)
        if opens.timestamp() >= last.timestamp():
            return tuple(found)
        if len(found) == MOST_WINDOWS:
            raise WindowError("window", f"{size} makes more than {MOST_WINDOWS} windows")
        found.append(Window(opens, min(closes, last, key=datetime.timestamp)))


def _bound_of(start: datetime, number: int, unit: str, zone: ZoneInfo) -> Callable[[int], datetime]:
    """Where the window of a place begins. Hours count in absolute time; days and months by the zone's clock."""
    if unit == "h":
        begun_at = start.replace(tzinfo=zone).astimezone(UTC)
        return lambda place: _moved(begun_at, timedelta(hours=number * place), "to").astimezone(zone)
    if unit == "mo":
        return lambda place: _months_later(start, number * place).replace(tzinfo=zone)
    days = number * (7 if unit == "w" else 1)
    return lambda place: _moved(start, timedelta(days=days * place), "to").replace(tzinfo=zone)


def _moment(member: str, text: str) -> datetime:
    if _DAY.fullmatch(text) or _MOMENT.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    raise WindowError(member, f"{text!r} is no day, such as 2026-01-31, and no time, such as 2026-01-31T06:00")


def _moved(at: datetime, by: timedelta, member: str) -> datetime:
    try:
        return at + by
    except OverflowError:
        raise WindowError(member, "is beyond the last year") from None


def _months_later(start: datetime, months: int) -> datetime:
    """The same day of a later month, or that month's last day: always counted from the first one."""
    year, month = divmod(start.year * _MONTHS_PER_YEAR + start.month - 1 + months, _MONTHS_PER_YEAR)
    for day in range(start.day, 27, -1):
        try:
            return start.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    try:
        return start.replace(year=year, month=month + 1)
    except ValueError:
        raise WindowError("to", "is beyond the last year") from None

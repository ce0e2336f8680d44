"""Waits that a reply names by a value of its own: a number, a moment, or a duration in a text."""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from tidewaiter.providers.replies.reply_headers import LONGEST_WAIT_S, parse_http_date, parse_retry_after

WaitUnit: TypeAlias = Literal["s", "ms", "text"]

_FIRST_MOMENT_MS: Final = 1e11  # larger numbers are epoch milliseconds: as a duration this would be three years
_NUMBER: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?")
_SECONDS: Final[Mapping[str, float]] = {
    "ms": 0.001, "millisecond": 0.001, "millis": 0.001, "msec": 0.001,
    "s": 1.0, "sec": 1.0, "second": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0,
    "h": 3600.0, "hr": 3600.0, "hour": 3600.0,
    "d": 86_400.0, "day": 86_400.0,
}  # fmt: skip
_NAMES: Final = "|".join(sorted(_SECONDS, key=len, reverse=True))
_AMOUNT: Final = re.compile(rf"([0-9]{{1,9}}(?:\.[0-9]{{1,9}})?)[ -]?({_NAMES})s?(?![A-Za-z])", re.IGNORECASE)
_BETWEEN: Final = re.compile(r"[ ,]{0,3}(?:and )?", re.IGNORECASE)
_ISO: Final = re.compile(
    r"(?<![A-Za-z0-9])P(?:([0-9]{1,9})D)?(?:T(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)S)?)?(?![A-Za-z0-9])"
)
_ISO_UNITS: Final = (86_400.0, 3600.0, 60.0, 1.0)
_LONGEST_TEXT: Final = 1000
_IGNORED: Final[ContextVar[list[str] | None]] = ContextVar("ignored waits", default=None)


def parse_wait(value: str, unit: WaitUnit, date: str | None, now: float) -> float | None:
    """How long a value of a reply says to wait.

    Args:
        value: with ``s`` what Retry-After may be, or a date of ISO 8601; with ``ms`` milliseconds; with ``text`` a text
            with a duration, such as "in 1 minute and 30 seconds", "2h", or "PT5M" of ISO 8601, else as ``s``. Numbers
            that no duration reaches are points in time, in epoch seconds or milliseconds.
        unit: what it is.
        date: the Date of the same reply; a point in time counts from it, because clocks differ.
        now: epoch seconds, used if there is no usable Date.

    Returns:
        Seconds, from 0 to ``LONGEST_WAIT_S``; ``None`` if the value cannot be read so.
    """
    text = value.strip()
    if unit == "ms" and _NUMBER.fullmatch(text) and float(text) < _FIRST_MOMENT_MS:
        return min(float(math.ceil(float(text) / 1000.0)), LONGEST_WAIT_S)
    if unit == "text":
        duration_s = _duration_in(text[:_LONGEST_TEXT])
        if duration_s is not None:
            return min(float(math.ceil(duration_s)), LONGEST_WAIT_S)
    wait_s = parse_retry_after(text, date, now)
    if wait_s is None:
        wait_s = _until(text, date, now)
    if wait_s is None and unit != "text" and (ignored := _IGNORED.get()) is not None:
        ignored += [text] if _duration_in(text[:_LONGEST_TEXT]) is not None else []
    return wait_s


@contextmanager
def ignored_texts() -> Iterator[list[str]]:
    """Note the texts with a duration that are not read within the block, because the spec names another unit."""
    texts: list[str] = []
    token = _IGNORED.set(texts)
    try:
        yield texts
    finally:
        _IGNORED.reset(token)


def _duration_in(text: str) -> float | None:
    """The first duration in a text, in seconds; ``None`` if it has none."""
    iso = next((one for one in _ISO.finditer(text) if any(one.groups())), None)
    if iso is not None:
        return sum(float(amount) * unit_s for amount, unit_s in zip(iso.groups(), _ISO_UNITS, strict=True) if amount)
    found = _AMOUNT.search(text)
    if found is None:
        return None
    total_s = 0.0
    while found is not None:
        total_s += float(found[1]) * _SECONDS[found[2].lower()]
        between = _BETWEEN.match(text, found.end())
        found = _AMOUNT.match(text, found.end() if between is None else between.end())
    return total_s


def _until(text: str, date: str | None, now: float) -> float | None:
    """The time until a moment of ISO 8601; one without an offset is in UTC."""
    try:
        moment = datetime.fromisoformat(text[:64])
        until = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    replied_at = parse_http_date(date.strip(), now) if date else None
    return min(max(0.0, until - (now if replied_at is None else replied_at)), LONGEST_WAIT_S)

"""Which jobs of an operation take about as long: those with the same values of the parameters that the spec names."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

from tidewaiter.domain.http_values import Json, JsonObject

_LONGEST: Final = 100
_DAY_S: Final = 86_400.0
_DATE_LENGTH: Final = len("2026-01-31")


def kind_of(names: Sequence[str], params: JsonObject) -> str:
    """The kind of a job: the same text for jobs that take about as long; empty if no names are given.

    Dates are counted by the span between them, in days, rounded up to a power of two: a month takes as long as any
    other month. Other values are taken as they are.
    """
    if not names:
        return ""
    values = {name: params.get(name) for name in names}
    dates = {name: at for name, value in values.items() if (at := _date(value)) is not None}
    parts = [f"{name}={value}" for name, value in values.items() if name not in dates]
    parts += [f"{_rounded(abs(later - earlier))} days" for earlier, later in pairwise(dates.values())]
    kind = ", ".join(parts)
    return kind if len(kind) <= _LONGEST else hashlib.sha256(kind.encode()).hexdigest()


def _date(value: Json) -> float | None:
    """A date, or a date with a time, as seconds; ``None`` if the value is something else."""
    if not isinstance(value, str) or len(value) < _DATE_LENGTH:
        return None
    try:
        return (datetime.fromisoformat(value).replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001  # only differences count
    except ValueError:
        return None


def _rounded(seconds: float) -> int:
    days = 1
    while days * _DAY_S < seconds:
        days *= 2
    return days

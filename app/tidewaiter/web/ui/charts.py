"""The geometry of the charts: positions in a drawing, computed from numbers. Colours are in the style sheet."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tidewaiter.database.dashboard_store import Minute
from tidewaiter.domain.job import State

HEIGHT: Final = 100.0
_SPARE: Final = 0.2
# The middle of the axis has a number, too: of five jobs it would be two and a half.
_STEPS: Final = (1.0, 2.0, 4.0, 6.0, 8.0, 10.0)
# Round durations in seconds whose halves are round, too.
_LENGTHS: Final = (1, 2, 4, 10, 20, 30, 60, 120, 240, 600, 1200, 1800, 3600, 7200, 14_400, 43_200, 86_400)
_OUTCOMES: Final = (State.SUCCEEDED, State.FAILED, State.EXPIRED, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class BarPiece:
    """A part of a bar: its start and length in units of the drawing, and its count of jobs or seconds."""

    state: State
    count: float
    start: float
    long: float


@dataclass(frozen=True, slots=True)
class ChartColumn:
    """One period of a chart: its position, and its pieces from the bottom up (``start`` counts from the top)."""

    x: float
    wide: float
    at: float
    pieces: Sequence[BarPiece]


@dataclass(frozen=True, slots=True)
class EndedColumns:
    """Ended jobs by period; ``top`` is the number at the upper edge."""

    columns: Sequence[ChartColumn]
    top: float
    wide: float


@dataclass(frozen=True, slots=True)
class DelayCurve:
    """A line, split at periods without a value; ``last`` is the newest value, in seconds."""

    paths: Sequence[str]
    dots: Sequence[tuple[float, float]]
    last: float | None


@dataclass(frozen=True, slots=True)
class DelayCurves:
    """Durations by period: the median and the 95th percentile; ``top`` is the upper edge in seconds."""

    median: DelayCurve
    slow: DelayCurve
    top: float
    wide: float


def state_bar(
    counts: Mapping[State, float], states: Sequence[State], wide: float = 1000.0, *, of: float = 0.0
) -> list[BarPiece]:
    """One bar, divided by state. Even one job among a million stays visible.

    Args:
        counts: what is counted in each state.
        states: the order of the states.
        wide: the length of the bar.
        of: how many there will be, if that is more: the rest of the bar stays empty.
    """
    present = [state for state in states if counts.get(state, 0) > 0]
    total = sum(counts[state] for state in present)
    wide = wide if total >= of else max(wide / 100, wide * total / of)
    least = min(wide / 100, wide / max(1, len(present)))
    raw = [max(least, wide * counts[state] / total) for state in present]
    pieces: list[BarPiece] = []
    start = 0.0
    for state, long in zip(present, raw, strict=True):
        scaled = long * wide / sum(raw)
        pieces.append(BarPiece(state, counts[state], round(start, 2), round(scaled, 2)))
        start += scaled
    return pieces


def ended_columns(minutes: Sequence[Minute]) -> EndedColumns:
    """Ended jobs by minute and outcome, stacked."""
    return stacked_columns([(minute.at, minute.ended) for minute in minutes])


def stacked_columns(periods: Sequence[tuple[float, Mapping[State, int]]], least: float = 4.0) -> EndedColumns:
    """Counts by outcome, stacked, for periods that begin at these epoch seconds; the top is at least ``least``."""
    top = ceiling(max((sum(counts.values()) for _, counts in periods), default=0), least=least)
    made = []
    for place, (at, counts) in enumerate(periods):
        pieces, left = [], HEIGHT
        for state in _OUTCOMES:
            if count := counts.get(state, 0):
                tall = HEIGHT * count / top
                left -= tall
                pieces.append(BarPiece(state, count, round(left, 2), round(tall, 2)))
        made.append(ChartColumn(place + _SPARE / 2, 1 - _SPARE, at, pieces))
    return EndedColumns(made, top, float(len(periods)))


def delay_curves(minutes: Sequence[Minute]) -> DelayCurves:
    """How long landing took, by minute: median and 95th percentile."""
    return spread_curves([minute.delay_s(0.5) for minute in minutes], [minute.delay_s(0.95) for minute in minutes])


def spread_curves(median: Sequence[float | None], slow: Sequence[float | None]) -> DelayCurves:
    """Durations in seconds by period: their median and their 95th percentile."""
    most = max((value for value in slow if value is not None), default=0.0)
    top = float(next((length for length in _LENGTHS if length >= most), math.ceil(most / 86_400) * 86_400))
    return DelayCurves(_curve(median, top), _curve(slow, top), top, float(len(median)))


def _curve(values: Sequence[float | None], top: float) -> DelayCurve:
    parts: list[list[tuple[float, float]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            parts.append([])
        else:
            parts[-1].append((place + 0.5, round(HEIGHT - HEIGHT * min(value, top) / top, 2)))
    paths = ["M" + "L".join(f"{x:g} {y:g}" for x, y in part) for part in parts if len(part) > 1]
    dots = [part[0] for part in parts if len(part) == 1]
    return DelayCurve(paths, dots, next((value for value in reversed(values) if value is not None), None))


def ceiling(most: float, *, least: float) -> float:
    """A round number not below ``most`` and ``least``: 1, 2, 4, 6 or 8 times a power of ten."""
    if most <= least:
        return least
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in _STEPS if step * power >= most * 0.999_999)

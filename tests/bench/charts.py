"""``python -m tests.bench.charts`` draws the charts of docs/benchmarks.md and docs/scale.md from the figures there.

The figures are written here by hand, each after a run of its benchmark: a chart that is drawn from a run on a busy
machine would show the machine.
"""

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from pathlib import Path
from typing import Final

_IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
_COLOURS: Final = ("#2563eb", "#d97706", "#059669", "#7c3aed", "#6b7280")
_WIDTH: Final = 760
_LEFT: Final = 300
_ROW: Final = 30

# docs/benchmarks.md, `python -m tests.bench polls`, idle machine: microseconds of processor time for a poll.
_POLLS: Final[Mapping[str, float]] = {
    "bare loop over aiohttp, nothing stored": 70.0,
    "durable, PostgreSQL": 114.0,
    "durable, SQLite": 127.0,
}
# docs/scale.md, `python -m tests.bench growth`: thousands of instructions of SQLite.
_SIZES: Final = (10_000, 100_000, 1_000_000)
_GROWTH: Final[Mapping[str, Sequence[float]]] = {
    "counts by state, all jobs": (70.1, 700.1, 7000.1),
    "list of a rare operation": (65.9, 428.1, 3993.6),
    "counts, as the heartbeat asks": (90.2, 220.0, 500.0),
    "due jobs of 100 lanes": (41.2, 41.9, 142.7),
    "take of a lane": (3.1, 3.1, 3.1),
}


def bars(title: str, values: Mapping[str, float], unit: str) -> str:
    """A chart of horizontal bars, as SVG; each bar has its name and its value."""
    largest = max(values.values())
    parts = [_text(10, 22, title, weight="bold")]
    for row, (name, value) in enumerate(values.items()):
        top = 40 + row * _ROW
        width = (_WIDTH - _LEFT - 100) * value / largest
        parts += [
            _text(_LEFT - 8, top + 15, name, anchor="end"),
            f'<rect x="{_LEFT}" y="{top}" width="{width:.0f}" height="20" fill="{_COLOURS[row % len(_COLOURS)]}"/>',
            _text(_LEFT + width + 6, top + 15, f"{value:g} {unit}"),
        ]
    return _svg(parts, 50 + len(values) * _ROW)


def lines(title: str, sizes: Sequence[int], series: Mapping[str, Sequence[float]], unit: str) -> str:
    """A chart of lines on logarithmic axes, as SVG; each line has its name at its end."""
    height, top, bottom, right = 360, 50, 320, _WIDTH - 230
    lowest = log10(min(min(values) for values in series.values()))
    span = log10(max(max(values) for values in series.values())) - lowest
    columns = [60 + (right - 60) * place / (len(sizes) - 1) for place in range(len(sizes))]

    def at(value: float) -> float:
        return bottom - (bottom - top) * (log10(value) - lowest) / span

    parts = [_text(10, 22, f"{title} ({unit}, logarithmic)", weight="bold")]
    for column, size in zip(columns, sizes, strict=True):
        parts.append(f'<line x1="{column:.0f}" y1="{top}" x2="{column:.0f}" y2="{bottom}" stroke="#d1d5db"/>')
        parts.append(_text(column, bottom + 20, f"{size:,}", anchor="middle"))
    for number, (name, values) in enumerate(series.items()):
        points = " ".join(f"{column:.0f},{at(value):.0f}" for column, value in zip(columns, values, strict=True))
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(right + 8, at(values[-1]) + 4, name, fill=colour))
    return _svg(parts, height)


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", weight: str = "normal", fill: str = "#374151"
) -> str:
    place = f'x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-weight="{weight}" fill="{fill}"'
    return f"<text {place}>{escape(words)}</text>"


def _svg(parts: Sequence[str], height: int) -> str:
    style = 'font-family="sans-serif" font-size="13"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {style}>'
    paper = f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>'
    return "\n".join([head, paper, *parts, "</svg>", ""])


if __name__ == "__main__":
    (_IMAGES / "polls.svg").write_text(bars("Processor time of a poll", _POLLS, "µs"), "utf-8")
    growth = lines("The cost of a question among so many jobs", _SIZES, _GROWTH, "thousands of instructions")
    (_IMAGES / "growth.svg").write_text(growth, "utf-8")

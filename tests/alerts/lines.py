"""The lines of a recorded log, and which alerts fire on them, for all query languages."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

STEP_S = 60.0
"""How often rules are evaluated."""

Labels = frozenset[tuple[str, str]]
Evaluate = Callable[[Sequence["Line"]], set[Labels]]
"""What fires, by labels, given the lines of the rule's window."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line: when it was logged (epoch seconds), its text, and what is in it."""

    at: float
    text: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """A query of whatever language, understood: the seconds that it looks back, and what it makes of them."""

    window_s: float
    evaluate: Evaluate


@dataclass(frozen=True, slots=True)
class Firing:
    """A moment at which a rule fired: when, with which labels, and the lines that it had before it."""

    at: float
    labels: Labels
    lines: Sequence[Line]


def read(path: Path) -> list[Line]:
    """The lines of a recording."""
    return lines_of(path.read_text())


def lines_of(log: str) -> list[Line]:
    """The lines of a log, in the order of their times: a line that was folded is printed late."""
    lines = []
    for text in log.splitlines():
        fields = json.loads(text)
        lines.append(Line(datetime.fromisoformat(fields["timestamp"]).timestamp(), text, fields))
    return sorted(lines, key=lambda line: line.at)


def replay(query: Query, lines: Sequence[Line]) -> list[Firing]:
    """Evaluate a rule every minute while the log was written, as soon as its whole window lies within it."""
    firings = []
    at = lines[0].at + query.window_s
    while at <= lines[-1].at:
        window = [line for line in lines if at - query.window_s < line.at <= at]
        firings += [Firing(at, labels, window) for labels in query.evaluate(window)]
        at += STEP_S
    return firings


def grouped(lines: Sequence[Line], by: Sequence[str]) -> dict[Labels, list[Line]]:
    """The lines by the values of these fields."""
    groups: dict[Labels, list[Line]] = {}
    for line in lines:
        groups.setdefault(frozenset((name, str(line.fields.get(name, ""))) for name in by), []).append(line)
    return groups


SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
    "==": lambda one, other: one == other,
}

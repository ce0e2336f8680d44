"""The results of the benchmarks, as a table and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

_COLUMNS = ("what", "measured", "reference", "ratio", "target", "")


@dataclass(frozen=True, slots=True)
class Finding:
    """One number beside the one that it is held against.

    ``ratio`` is ``measured`` over ``reference``, as the median of the runs. ``target`` and ``met`` are ``None`` where
    the number only helps to understand the others.
    """

    what: str
    measured: str
    reference: str
    ratio: float
    target: str | None = None
    met: bool | None = None


def at_least(what: str, measured: str, reference: str, ratio: float, target: float) -> Finding:
    """A finding whose ratio must not be below its target."""
    return Finding(what, measured, reference, ratio, f">= {target:g}", ratio >= target)


def at_most(what: str, measured: str, reference: str, ratio: float, target: float) -> Finding:
    """A finding whose ratio must not be above its target."""
    return Finding(what, measured, reference, ratio, f"<= {target:g}", ratio <= target)


def table(findings: Sequence[Finding]) -> str:
    """The findings as an aligned table."""
    rows = [_COLUMNS, *(_row(finding) for finding in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _row(finding: Finding) -> tuple[str, ...]:
    verdict = {True: "ok", False: "MISSED", None: ""}[finding.met]
    ratio = f"{finding.ratio:.2f}"
    return (finding.what, finding.measured, finding.reference, ratio, finding.target or "", verdict)


def as_json(findings: Sequence[Finding]) -> str:
    """The findings as a JSON document."""
    return json.dumps([asdict(finding) for finding in findings], indent=2)

"""``python -m tests.fault_page`` prints ``docs/faults.md``: each fault, and the tests that show it."""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.fault_catalogue import FAULTS, INVARIANTS

TESTS: Final = Path(__file__).parent
KINDS: Final = ("fault", "invariant")
_RUNS: Final = ("chaos", "slow")

_HEAD: Final = """\
# Faults

Made from `tests/support/fault_catalogue.py` and the markers of the tests by `make docs-faults`; do not edit.

Each row is something that goes wrong, what Tidewaiter does then, and the tests that show it. A test names its rows with
`@pytest.mark.fault(12, 14)`, and its invariants with `@pytest.mark.invariant(8)`; a test fails where a row has no test.
To run one: `.venv/bin/python -m pytest -m ""` and its name as it stands here.

Tests run in `make test`, where nothing else is said. After those of `make test-slow` stands *slow*, after those of
`make chaos-short` *chaos*.
"""


@dataclass(frozen=True, slots=True, order=True)
class MarkedTest:
    """A test and the rows that it shows; ``runs`` is the mark that keeps it out of `make test`, or empty."""

    path: str
    name: str
    rows: frozenset[tuple[str, int]]
    runs: str

    @property
    def place(self) -> str:
        """How pytest names it."""
        return f"tests/{self.path}::{self.name}"


def marked_tests(root: Path = TESTS) -> list[MarkedTest]:
    """Every test with a marker of the catalogue, by its source alone: nothing is imported."""
    return [
        one
        for path in sorted(root.rglob("test_*.py"))
        if any(f"pytest.mark.{kind}(" in (text := path.read_text("utf-8")) for kind in KINDS)
        for one in marks_in(text, path.relative_to(root).as_posix())
    ]


def marks_in(text: str, path: str) -> Iterator[MarkedTest]:
    """The marked tests of one module."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            marks = [ast.unparse(mark) for mark in node.decorator_list]
            rows = frozenset(row for mark in node.decorator_list for row in _rows_of(mark))
            runs = next((mark for mark in _RUNS if f"pytest.mark.{mark}" in marks), "")
            if rows:
                yield MarkedTest(path, node.name, rows, runs)


def _rows_of(mark: ast.expr) -> Iterator[tuple[str, int]]:
    if isinstance(mark, ast.Call):
        for kind in KINDS:
            if ast.unparse(mark.func) == f"pytest.mark.{kind}":
                yield from ((kind, int(ast.literal_eval(number))) for number in mark.args)


def shown_by_row(marked: list[MarkedTest]) -> Mapping[tuple[str, int], list[MarkedTest]]:
    """Which tests show each row."""
    found: dict[tuple[str, int], list[MarkedTest]] = {}
    for one in marked:
        for row in one.rows:
            found.setdefault(row, []).append(one)
    return found


def rows() -> set[tuple[str, int]]:
    """Every row of the catalogue."""
    faults = {("fault", fault.number) for group in FAULTS.values() for fault in group}
    return faults | {("invariant", number) for number in INVARIANTS}


def render(marked: list[MarkedTest]) -> str:
    """The page, in Markdown."""
    by_row = shown_by_row(marked)
    return "\n".join((_HEAD, *_invariants(by_row), *_faults(by_row)))


def _invariants(by_row: Mapping[tuple[str, int], list[MarkedTest]]) -> Iterator[str]:
    yield "## Invariants\n\nThey hold at every moment, whatever goes wrong.\n"
    yield "| # | what holds | shown by |"
    yield "|---|---|---|"
    for number, what in INVARIANTS.items():
        yield f"| {number} | {what} | {_shown(by_row.get(('invariant', number), []))} |"
    yield ""


def _faults(by_row: Mapping[tuple[str, int], list[MarkedTest]]) -> Iterator[str]:
    for group, faults in FAULTS.items():
        yield f"## {group}\n"
        yield "| # | what goes wrong | what is right | shown by |"
        yield "|---|---|---|---|"
        for one in faults:
            right = f"{one.right}. **Not yet:** {one.gap}" if one.gap else one.right
            yield f"| {one.number} | {one.what} | {right} | {_shown(by_row.get(('fault', one.number), []))} |"
        yield ""


def _shown(tests: list[MarkedTest]) -> str:
    return "; ".join(f"`{one.place}`" + (f" *{one.runs}*" if one.runs else "") for one in tests)


if __name__ == "__main__":
    sys.stdout.write(render(marked_tests()))

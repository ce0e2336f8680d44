"""Mutants made from the syntax of a source file: each is one small change that its tests should notice.

A comparison is turned or moved by one, a whole number grows by one, ``and`` and ``or`` change places, a ``not`` is
dropped, a statement that is a call, an increment or a ``raise`` becomes ``pass``. Log events, annotations and texts are
left alone.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from tests.mutants.catalogue import ROOT, SOURCES

_COMPARISONS: Final[Mapping[type[ast.cmpop], tuple[str, str]]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"),
}  # fmt: skip
_DOMAIN: Final = tuple(
    f"tests/domain/test_{name}.py"
    for name in (
        "state_machine", "download_transitions", "retry_delays", "early_files", "reuse", "submit_again", "stages",
        "poll_transitions", "failure_cause", "shared_remote_jobs", "gravest_outcome", "backoff_and_limits",
        "learned_schedule",
    )
)  # fmt: skip
_REPLIES: Final = ("tests/providers/replies", "tests/providers/steps", "tests/providers/test_symplify.py")
_STEPS: Final = (
    "tests/providers/replies/test_reply_defaults.py",
    "tests/providers/steps",
    "tests/providers/results",
    "tests/worker/test_stages.py",
)
_ON_THE_WIRE: Final = ("tests/transport", "tests/worker/test_foreign_hops.py")
_BUDGET: Final = (
    "tests/transport/test_request_budget.py",
    "tests/transport/test_budget_closings.py",
    "tests/transport/test_circuit_breaker.py",
)
TESTS: Final[Mapping[str, Sequence[str]]] = {
    "domain/state_machine.py": _DOMAIN,
    "domain/common_transitions.py": _DOMAIN,
    "domain/submit_transitions.py": _DOMAIN,
    "domain/poll_transitions.py": _DOMAIN,
    "domain/download_transitions.py": _DOMAIN,
    "domain/stage_transitions.py": _DOMAIN,
    "domain/early_transitions.py": _DOMAIN,
    "domain/backoff_and_limits.py": (*_DOMAIN, *_BUDGET),
    "providers/replies/reply_rules.py": _REPLIES,
    "providers/replies/extract.py": _REPLIES,
    "providers/replies/wait_times.py": _REPLIES,
    "providers/steps/step_replies.py": _STEPS,
    "providers/steps/compiled_steps.py": _STEPS,
    "transport/request_budget.py": (
        *_BUDGET,
        "tests/transport/test_budget_drain.py",
        "tests/worker/test_host_pauses.py",
    ),
    "transport/sliding_window.py": ("tests/transport/test_sliding_window.py", "tests/transport/test_request_budget.py"),
    "transport/request_urls.py": _ON_THE_WIRE,
    "transport/account_client.py": (
        *_ON_THE_WIRE,
        "tests/worker/test_result_fetcher.py::test_a_closed_host_is_not_asked_after_a_redirect_either",
    ),
    "transport/address_guard.py": _ON_THE_WIRE,
    "worker/committer.py": ("tests/worker/test_committer.py", "tests/worker/test_concurrent_updates.py"),
    "worker/file_download.py": (
        "tests/worker/test_reply_at_hand.py",
        "tests/worker/test_file_download.py",
        "tests/worker/test_coded_files.py",
        "tests/worker/test_pages_in_place_of_files.py",
        "tests/worker/test_result_fetcher.py",
        "tests/worker/test_download_killed.py",
        "tests/storage/test_live_checkpoints.py",
    ),
    "worker/job_download.py": (
        "tests/worker/test_passed_over.py",
        "tests/worker/test_files_side_by_side.py",
        "tests/worker/test_fetcher_killed.py",
        "tests/worker/test_result_fetcher.py",
        "tests/worker/test_host_pauses.py",
        "tests/domain/test_gravest_outcome.py",
    ),
}
"""The files that a sample is drawn from, and the tests that should notice."""


@dataclass(frozen=True, slots=True)
class GeneratedMutant:
    """One change of the text between two places of a file, which are offsets in bytes."""

    file: Path
    line: int
    first: int
    last: int
    before: str
    after: str
    tests: tuple[str, ...]
    area: str = "generated"

    @property
    def name(self) -> str:
        """Where it is and what it changes."""
        short = [re.sub(r"\s+", " ", text)[:60] for text in (self.before, self.after)]
        return f"{self.file.relative_to(SOURCES)}:{self.line}: {short[0]} -> {short[1]}"

    def applied_to(self, source: str) -> str:
        """The source with this mutant in it."""
        data = source.encode()
        return (data[: self.first] + self.after.encode() + data[self.last :]).decode()


def sample(files: Sequence[str], number: int, seed: int) -> list[GeneratedMutant]:
    """Mutants of these files, below ``app/tidewaiter``, or of all in the table; the seed chooses ``number`` of them."""
    unknown = [name for name in files if name not in TESTS]
    if unknown:
        raise ValueError(f"no tests are named for {', '.join(unknown)}; add them to TESTS in {__name__}")
    every = [mutant for name in files or TESTS for mutant in mutants_of(name, TESTS[name])]
    return Random(seed).sample(every, min(number, len(every)))


def mutants_of(name: str, tests: Sequence[str]) -> Iterator[GeneratedMutant]:
    """Every mutant of a file."""
    text = (ROOT / SOURCES / name).read_text()
    for line, first, last, after in changes_in(text):
        before = text.encode()[first:last].decode()
        yield GeneratedMutant(SOURCES / name, line, first, last, before, after, tuple(tests))


def changes_in(text: str) -> list[tuple[int, int, int, str]]:
    """Line, first byte, last byte and new text of each change of a source."""
    changes = _Changes(text)
    changes.visit(ast.parse(text))
    return changes.found


class _Changes(ast.NodeVisitor):
    def __init__(self, text: str) -> None:
        self.found: list[tuple[int, int, int, str]] = []
        self._data = text.encode()
        self._lines = [0]
        for line in self._data.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Without the annotation."""
        if node.value is not None:
            self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> None:
        """An annotation, too."""

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Without what it returns and its decorators."""
        for each in (*node.args.defaults, *node.args.kw_defaults, *node.body):
            if each is not None:
                self.visit(each)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  # the name that the visitor looks for

    def visit_Compare(self, node: ast.Compare) -> None:
        """Another comparison."""
        for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            before, after = _COMPARISONS[type(operator)]
            self._replace_between(left, right, before, after)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """``or`` in place of ``and``."""
        before, after = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._replace_between(left, right, before, after)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """Without its ``not``."""
        if isinstance(node.op, ast.Not):
            self._add(node, self._start(node), self._start(node) + len("not"), "")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """One more."""
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            self._add(node, self._start(node), self._end(node), repr(node.value + 1))

    def visit_Expr(self, node: ast.Expr) -> None:
        """No call, unless it logs."""
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(value, ast.Call) and not ast.unparse(value.func).endswith((".emit", "_log.crashed")):
            self._drop(node)
            self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """No increment."""
        self._drop(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        """No error."""
        self._drop(node)

    def _drop(self, node: ast.stmt) -> None:
        self._add(node, self._start(node), self._end(node), "pass")

    def _replace_between(self, left: ast.expr, right: ast.expr, before: str, after: str) -> None:
        first, last = self._end(left), self._start(right)
        pattern = before.replace(" ", r"\s+").encode()
        word = rb"(?<!\w)" + pattern + rb"(?!\w)" if before[0].isalpha() else re.escape(before).encode()
        found = re.search(word, self._data[first:last])
        if found is not None:
            self._add(left, first + found.start(), first + found.end(), after)

    def _add(self, node: ast.expr | ast.stmt, first: int, last: int, after: str) -> None:
        self.found.append((node.lineno, first, last, after))

    def _start(self, node: ast.expr | ast.stmt) -> int:
        return self._lines[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.expr | ast.stmt) -> int:
        if node.end_lineno is None or node.end_col_offset is None:
            raise ValueError("a node without an end")
        return self._lines[node.end_lineno - 1] + node.end_col_offset

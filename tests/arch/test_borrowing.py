"""No test imports from another test or from a conftest. Shared code is public, in modules that are no tests."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def borrowed(text: str) -> Iterator[str]:
    """The names that a module imports from a test module or a conftest, and private names from `tests`."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            first, *rest = name.split(".")
            if first == "tests" and any(part.startswith(("_", "test_")) or part == "conftest" for part in rest):
                yield name


def test_what_is_borrowed_is_found() -> None:
    """Each form of import is found, and nothing else."""
    text = "from tests.web.test_a import x\nimport tests.test_b\nfrom tests.web import test_c\nfrom tests.z import _y\n"
    assert list(borrowed(text)) == ["tests.web.test_a.x", "tests.test_b", "tests.web.test_c", "tests.z._y"]
    assert list(borrowed("from tests.web.conftest import x\n")) == ["tests.web.conftest.x"]
    assert list(borrowed("from tests.world import y\nimport tests.world\nimport json\nfrom app.x import _z\n")) == []


@pytest.mark.slow
def test_no_test_borrows_from_another() -> None:
    """What several suites use belongs in `tests/support`; what one suite shares belongs beside it."""
    found = [
        f"{path.relative_to(TESTS)} imports {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for name in borrowed(path.read_text("utf-8"))
    ]
    assert not found, "\n".join(found)

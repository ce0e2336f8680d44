"""Every fault of the catalogue has a test, and docs/faults.md names it."""

from itertools import count

from tests.fault_page import marked_tests, marks_in, render, rows, shown_by_row
from tests.support.doc_pages import ROOT
from tests.support.fault_catalogue import FAULTS, INVARIANTS


def test_markers_are_found() -> None:
    """Of functions, coroutines and several numbers; a test without a marker is none of the catalogue's."""
    text = (
        "@pytest.mark.fault(1, 2)\n@pytest.mark.invariant(3)\n@pytest.mark.slow\nasync def test_a(): ...\n"
        "@pytest.mark.slow\ndef test_b(): ...\n"
        "@pytest.mark.fault(4)\ndef helper(): ...\n"
    )
    (found,) = marks_in(text, "worker/test_x.py")
    assert found.rows == {("fault", 1), ("fault", 2), ("invariant", 3)}
    assert (found.place, found.runs) == ("tests/worker/test_x.py::test_a", "slow")


def test_rows_are_numbered() -> None:
    """From 1 on without a gap, so that a number names one row for ever."""
    numbers = [fault.number for group in FAULTS.values() for fault in group]
    assert numbers == [number for number, _ in zip(count(1), numbers, strict=False)]
    assert list(INVARIANTS) == list(range(1, 14))


def test_every_row_has_a_test_and_every_marker_a_row() -> None:
    """A fault without a test is a promise that nobody keeps watch over."""
    shown = shown_by_row(marked_tests()).keys()
    assert sorted(rows() - shown) == [], "rows without a test"
    assert sorted(shown - rows()) == [], "markers without a row"


def test_the_page_is_current() -> None:
    """docs/faults.md says what catalogue and markers say."""
    assert (ROOT / "docs/faults.md").read_text("utf-8") == render(marked_tests()), "run `make docs-faults`"

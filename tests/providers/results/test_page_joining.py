"""Pages joined into one file, with any cuts and any line endings."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.providers.results.page_joining import Csv, CsvPage, JoinError, json_items

HEADER = ["id", 'a "quoted"\nname']
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=5)
ROWS = st.lists(st.tuples(CELLS, CELLS), max_size=4)


def page_of(rows: list[tuple[str, str]], end: str, *, ended: bool, mark: bool = False) -> bytes:
    """A page of CSV with the header."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([HEADER, *rows])
    text = out.getvalue() if ended else out.getvalue().removesuffix(end)
    return text.encode("utf-8-sig" if mark else "utf-8")


def joined(pages: list[bytes], size: int) -> tuple[bytes, Csv]:
    """The pages as one file, each fed in pieces of that size."""
    so_far, out = Csv(), b""
    for data in pages:
        page = CsvPage(so_far)
        for start in range(0, len(data), size):
            out += page.feed(data[start : start + size])
        left, so_far = page.end()
        out += left
    return out, so_far


@given(
    pages=st.lists(st.tuples(ROWS, st.booleans(), st.booleans()), min_size=1, max_size=4),
    end=st.sampled_from(["\n", "\r\n"]),
    size=st.integers(1, 50),
)
def test_every_row_of_every_page_stands_once(
    pages: list[tuple[list[tuple[str, str]], bool, bool]], end: str, size: int
) -> None:
    """One header, all rows in order, and their number, however pages end and wherever pieces are cut."""
    data = [page_of(rows, end, ended=ended, mark=mark) for rows, ended, mark in pages]
    out, so_far = joined(data, size)
    expected = [row for rows, _, _ in pages for row in rows]
    read = list(csv.reader(io.StringIO(out.decode("utf-8-sig"), newline="")))
    assert read == [HEADER, *map(list, expected)]
    assert so_far.records == len(expected)


def test_pages_without_anything() -> None:
    """Empty pages add nothing, first or later; a header alone is a file."""
    assert joined([b"", b"a,b\n1,2\n", b"", b"a,b"], 3) == (b"a,b\n1,2\n", Csv(b"a,b", b"\n", True, 1))
    assert joined([b"a,b", b"a,b\n1,2"], 3)[0] == b"a,b\n1,2"
    assert joined([], 1) == (b"", Csv())


def test_a_page_that_does_not_belong() -> None:
    """Other columns, or a header that never ends, are told and not joined."""
    with pytest.raises(JoinError, match="other columns"):
        joined([b"a,b\n", b"b,a\n"], 10)
    with pytest.raises(JoinError, match="without end"):
        joined([b'"' + b"\n" * 2_000_000], 100_000)


def test_items_of_json() -> None:
    """Written as they came, with commas between pages; half a surrogate pair stays what it was."""
    out = b"[" + json_items([{"a": "Zoë"}, 1.5], first=True) + json_items([], first=False)
    out += json_items(["\ud83d", None], first=False) + b"]"
    assert json.loads(out) == [{"a": "Zoë"}, 1.5, "\ud83d", None]
    assert "Zoë".encode() in out

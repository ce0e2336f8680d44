"""Kinds of jobs: which of an operation's jobs take about as long."""

from tidewaiter.domain.duration_kind import kind_of
from tidewaiter.domain.http_values import Json


def test_named_parameters() -> None:
    """Only the named parameters count, in the order of the spec; without names all jobs are alike."""
    params: dict[str, Json] = {"report": "orders", "limit": 3, "note": "x"}
    assert kind_of((), params) == ""
    assert kind_of(("report", "limit"), params) == "report=orders, limit=3"
    assert kind_of(("absent",), params) == "absent=None"


def test_spans() -> None:
    """Of two dates the span counts: two months are alike, and a year is another kind; one date alone says nothing."""
    names = ("from", "to")
    january = kind_of(names, {"from": "2026-01-01", "to": "2026-01-31"})
    february = kind_of(names, {"from": "2026-02-01T00:00:00Z", "to": "2026-02-28T23:59:59Z"})
    year = kind_of(names, {"from": "2025-01-01", "to": "2026-01-01"})
    assert (january, february, year) == ("32 days", "32 days", "512 days")
    assert kind_of(("from",), {"from": "2026-01-01"}) == kind_of(("from",), {"from": "2026-06-01"}) == ""
    assert kind_of(names, {"from": "2026-01-01", "to": "2026-99-99"}) == "to=2026-99-99"


def test_long_values() -> None:
    """A kind is short, however long the values are, and still tells them apart."""
    first, second = (kind_of(("query",), {"query": "x" * 5000 + end}) for end in "ab")
    assert first != second
    assert len(first) == 64

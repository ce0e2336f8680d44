"""Labels and traces: what a caller may write on its jobs."""

import pytest

from tidewaiter.domain.job_labels import label_faults, trace_of

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("name", ["dag", "_x", "app.kubernetes.io/name", "A" * 63])
def test_names_of_labels(name: str) -> None:
    """Names as in Prometheus and in Kubernetes are labels."""
    assert list(label_faults({name: "a value, such as ä=1"})) == []


@pytest.mark.parametrize("name", ["", "1x", "a b", "a=b", "A" * 64, "ä", "a\n", "-a"])
def test_no_names_of_labels(name: str) -> None:
    """Any other name is a fault, which names it."""
    ((named, reason),) = label_faults({name: "x"})
    assert named == name
    assert "no name of a label" in reason


@pytest.mark.parametrize("value", ["", "x" * 201, "a\nb", "a\0", "x\n", "a\x85b", "\x9b"])
def test_no_values_of_labels(value: str) -> None:
    """A value that is empty, too long, or has control characters is a fault."""
    ((named, reason),) = label_faults({"dag": value})
    assert named == "dag"
    assert "200 characters" in reason


def test_no_more_than_sixteen() -> None:
    """The number of labels is limited."""
    assert list(label_faults({f"a{number}": "x" for number in range(16)})) == []
    assert [named for named, _ in label_faults({f"a{number}": "x" for number in range(17)})] == [""]


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (TRACE, TRACE),
        (f" {TRACE}\t", TRACE),
        (f"{TRACE}-more", None),  # version 00 has four fields
        (TRACE.upper(), None),
        (TRACE.replace("00-4b", "ff-4b"), None),
        (TRACE.replace("00-4b", "cc-4b"), TRACE),
        (f"cc{TRACE[2:-2]}ff-what-the-future-will-be", TRACE),
        (f"cc{TRACE[2:]}.x", None),
        ("00-" + "0" * 32 + TRACE[35:], None),
        (TRACE[:36] + "0" * 16 + "-01", None),
        (TRACE[:-1], None),
        ("", None),
    ],
)
def test_traces(header: str, trace: str | None) -> None:
    """A trace is kept as it came; an invalid header is ignored; a future version is written as version 00."""
    assert trace_of(header) == trace

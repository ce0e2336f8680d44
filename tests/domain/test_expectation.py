"""When a remote job is expected to be ready: numbers and words."""

import pytest

from tests.domain.sample_jobs import NOW, job
from tidewaiter.domain.duration_sketch import NO_DURATIONS, DurationSketch
from tidewaiter.domain.expectation import Expectation, expectation_of
from tidewaiter.domain.job import State


def _sketch(*took_s: float) -> DurationSketch:
    sketch = NO_DURATIONS
    for one in took_s:
        sketch = sketch.with_one(one - 5.0, one)
    return sketch


def _expected(elapsed_s: float, sketch: DurationSketch) -> Expectation:
    found = expectation_of(job(State.POLLING, submitted_at=NOW - elapsed_s), sketch, NOW)
    assert found is not None
    return found


def test_a_job_within_its_history() -> None:
    """The median of earlier jobs, and when this one is expected, which moves away as time passes without it."""
    sketch = _sketch(*[600.0, 240.0, 240.0] * 10)
    early, later = _expected(60.0, sketch), _expected(300.0, sketch)
    assert early.ready_at == pytest.approx(NOW - 60.0 + 240.0, abs=25.0)
    assert later.ready_at == pytest.approx(NOW - 300.0 + 600.0, abs=55.0)
    assert (early.margin_s or 0.0) > (later.margin_s or 0.0)
    assert not early.is_late
    assert early.sentence(NOW).startswith("usually ready after ")
    assert later.as_json()["late"] is False


def test_a_late_job() -> None:
    """Later than 95 % of the jobs before it, and then later than all of them."""
    sketch = _sketch(*[240.0] * 40, 600.0)
    late, latest = _expected(400.0, sketch), _expected(5000.0, sketch)
    assert "later than most; expected at " in late.sentence(NOW)
    assert latest == Expectation(latest.usual_s, None, None, is_late=True)
    assert latest.sentence(NOW).endswith("; later than all jobs before it")
    assert latest.as_json()["ready_at"] is None


@pytest.mark.parametrize(
    ("state", "changes", "sketch"),
    [
        (State.QUEUED, {}, _sketch(*[240.0] * 9)),
        (State.POLLING, {"shared": True}, _sketch(*[240.0] * 9)),
        (State.POLLING, {}, _sketch(240.0, 240.0)),
        (State.POLLING, {}, NO_DURATIONS),
    ],
)
def test_nothing_is_known(state: State, changes: dict[str, object], sketch: DurationSketch) -> None:
    """Of a job that is not polled, that nobody knows the beginning of, or that few jobs came before."""
    assert expectation_of(job(state, **changes), sketch, NOW) is None

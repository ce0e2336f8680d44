"""The sketch of durations: intervals, drift, bounds, quantiles, text."""

from random import Random

import pytest

from tests.support.poll_replay import durations, log_normal
from tidewaiter.domain.duration_sketch import EDGES_S, NO_DURATIONS, DurationSketch, bucket_of


def _seen(*intervals: tuple[float, float]) -> DurationSketch:
    sketch = NO_DURATIONS
    for after_s, until_s in intervals:
        sketch = sketch.with_one(after_s, until_s)
    return sketch


def test_an_interval_is_no_moment() -> None:
    """What got ready between two polls counts in the whole time between them, and nowhere else."""
    sketch = _seen((100.0, 400.0))
    assert {EDGES_S[bucket] < 400.0 and EDGES_S[bucket + 1] > 100.0 for bucket in sketch.weights} == {True}
    assert sketch.quantile_s(0.5) == pytest.approx(250.0, rel=0.01)
    assert sketch.total == pytest.approx(1.0, abs=0.02)


def test_wide_intervals_follow_narrow_ones() -> None:
    """A wide interval counts where narrow ones have shown that such jobs get ready."""
    wide = _seen(*[(0.0, 1000.0)] * 10)
    beside_narrow = _seen(*[(190.0, 210.0)] * 10, *[(0.0, 1000.0)] * 10)
    assert (wide.quantile_s(0.5) or 0.0) > 400.0
    assert beside_narrow.quantile_s(0.75) == pytest.approx(200.0, rel=0.2)


def test_polls_as_wide_as_those_of_a_backoff_find_the_median() -> None:
    """Seen only through the polls of a backoff, the median of many durations is found within a tenth."""
    rand, sketch = Random(1), NO_DURATIONS
    for took_s in durations(log_normal(600.0, 0.5), 200, seed=2):
        after_s, at_s, wait_s = 0.0, 5.0, 10.0
        while at_s < took_s:
            after_s, at_s, wait_s = at_s, at_s + wait_s * rand.uniform(0.8, 1.0), min(300.0, wait_s * 1.5)
        sketch = sketch.with_one(after_s, at_s)
    assert sketch.quantile_s(0.5) == pytest.approx(600.0, rel=0.1)


def test_old_observations_fade() -> None:
    """A hundred new jobs outweigh any number of old ones, and the weights have a bounded sum and number."""
    sketch = _seen(*[(29.0, 30.0)] * 300, *[(899.0, 900.0)] * 100)
    assert sketch.count == 400
    assert sketch.total <= 48.0
    assert sketch.quantile_s(0.2) == pytest.approx(900.0, rel=0.1)
    forever = _seen(*((0.0, 10.0**power) for power in range(12)), (5e6, 6e6), (1e9, 2e9))
    assert max(forever.weights) < len(EDGES_S) - 1


def test_quantiles_of_what_is_left() -> None:
    """After 300 s only the longer durations count; after the longest there is no quantile, and none of nothing."""
    sketch = _seen(*[(59.0, 60.0)] * 5, *[(590.0, 600.0)] * 5)
    assert sketch.quantile_s(0.5, after_s=300.0) == pytest.approx(600.0, rel=0.1)
    assert sketch.quantile_s(0.5, after_s=10_000.0) is None
    assert NO_DURATIONS.quantile_s(0.5) is None


def test_text() -> None:
    """A sketch is stored as text and read from it, in less than the row of a job."""
    sketch = _seen(*((took_s / 2, took_s) for took_s in durations(log_normal(600.0, 1.0), 100, seed=3)))
    text = sketch.to_text()
    assert DurationSketch.of_text(text).to_text() == text
    assert len(text) < 2500


def test_buckets() -> None:
    """Every duration has a bucket: on an edge that which ends there."""
    assert [bucket_of(one) for one in (0.0, 0.5, 1.0, EDGES_S[2], 1e12)] == [0, 0, 0, 1, len(EDGES_S) - 2]

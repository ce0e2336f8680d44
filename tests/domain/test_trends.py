"""Trends: periods, and durations in buckets."""

from datetime import UTC, datetime

import pytest

from tidewaiter.domain.trends import BOUNDS_S, Spread, Trend, TrendStep

HALF_PAST_THREE = datetime(2026, 3, 4, 15, 30, tzinfo=UTC).timestamp()  # a Wednesday


@pytest.mark.parametrize(
    ("step", "begin"),
    [
        (TrendStep.HOUR, datetime(2026, 3, 4, 15, tzinfo=UTC)),
        (TrendStep.DAY, datetime(2026, 3, 4, tzinfo=UTC)),
        (TrendStep.WEEK, datetime(2026, 3, 2, tzinfo=UTC)),
    ],
)
def test_begins_of_periods(step: TrendStep, begin: datetime) -> None:
    """Hours and days begin in UTC and weeks on Monday; the first moment of a period belongs to it, the last one too."""
    at = int(begin.timestamp())
    assert step.begin(HALF_PAST_THREE) == at
    assert (step.begin(at), step.begin(at + step.seconds - 0.001)) == (at, at)
    assert step.begins(HALF_PAST_THREE, 3) == [at - 2 * step.seconds, at - step.seconds, at]


def test_quantiles() -> None:
    """A quantile is inside the bucket that has it; half of a bucket's durations is half of its width."""
    assert Spread().quantile_s(0.5) is None
    assert Spread({4: 2}).quantile_s(0.5) == pytest.approx((BOUNDS_S[3] + BOUNDS_S[4]) / 2)
    assert Spread({0: 1}).quantile_s(1.0) == 1.0
    assert [Spread(one).quantile_words(0.5) for one in ({}, {0: 9}, {19: 2})] == ["", "under 1 s", "10 min 18 s"]
    two = Spread({2: 95, 20: 5})
    assert two.count == 100
    assert two.quantile_s(0.95) == pytest.approx(2.0)
    assert BOUNDS_S[19] < (two.quantile_s(0.96) or 0.0) < BOUNDS_S[20] == 1024.0


def test_sums_of_measures() -> None:
    """Names that are missing count as nothing; a bucket of another version of the program is read as the last one."""
    sums = Trend.of({"landed": 3, "bytes": 5, "duration:4": 2, "duration:999": 1, "delay:0": 3})
    assert (sums.landed, sums.bytes, sums.failed) == (3, 5, 0)
    assert sums.duration.buckets == {4: 2, len(BOUNDS_S) - 1: 1}
    assert sums.delay.buckets == {0: 3}

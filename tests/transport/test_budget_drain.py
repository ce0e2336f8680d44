"""Sleeps between two tries, when the lane is about to end."""

from random import Random

import pytest

from tests.support.virtual_time import virtual_time
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.transport.request_budget import Budget
from tidewaiter.transport.wire import DrainingError


@pytest.mark.parametrize(
    ("grace_s", "sleep_s", "sleeps"),
    [(60.0, 4.0, True), (60.0, 6.0, False), (2.0, 4.0, False), (2.0, 1.0, True), (None, 600.0, True)],
    ids=["soon over", "for long", "beyond the end", "before the end", "no drain"],
)
def test_a_sleep_between_tries(grace_s: float | None, sleep_s: float, sleeps: bool) -> None:
    """Only a short one that is over before the end is slept through."""
    with virtual_time() as (loop, clock):
        budget = Budget(clock, Random(1), Limits())
        if grace_s is not None:
            budget.drain(grace_s)
        if sleeps:
            loop.run_until_complete(budget.sleep_between_tries(sleep_s))
            assert clock.monotonic() == pytest.approx(sleep_s)
        else:
            with pytest.raises(DrainingError):
                loop.run_until_complete(budget.sleep_between_tries(sleep_s))
            assert clock.monotonic() == 0.0

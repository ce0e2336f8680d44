"""How many requests a budget permits at once."""

from random import Random

from tidewaiter.clock import SystemClock
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.transport.request_budget import Budget


async def test_what_is_left() -> None:
    """The limit less what was sent and what is in flight; a request that was not sent gives its place back."""
    budget = Budget(SystemClock(), Random(1), Limits(requests=3, period_s=60.0))
    assert budget.left == 3
    with await budget.admit():
        assert budget.left == 2
    assert budget.left == 2
    permit = await budget.admit()
    assert budget.left == 1
    permit.give_back()
    assert budget.left == 2


async def test_spacing_permits_one() -> None:
    """The tightest window counts."""
    budget = Budget(SystemClock(), Random(1), Limits(requests=3, period_s=60.0, spacing_s=30.0))
    assert budget.left == 1
    (await budget.admit()).done()
    assert budget.left == 0


def test_without_a_limit() -> None:
    """There is nothing to count."""
    assert Budget(SystemClock(), Random(1), Limits()).left is None
    assert Budget(SystemClock(), Random(1), Limits(requests=2), full=True).left == 0

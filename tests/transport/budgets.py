"""Budgets in virtual time."""

from random import Random
from typing import Any

import pytest

from tests.support.virtual_time import VirtualClock
from tidewaiter.clock import Clock
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.transport.request_budget import Budget

FREE = Limits()


def new_budget(clock: Clock, limits: Limits = FREE, window: tuple[float, ...] = (), *, full: bool = False) -> Budget:
    """A budget with a seed of its own."""
    return Budget(clock, Random(7), limits, window, full)


async def admitted_at(clock: VirtualClock, budget: Budget) -> float:
    """The virtual second at which a request that takes no time is admitted."""
    (await budget.admit()).done()
    return clock.monotonic()


def close_to(seconds: float) -> Any:
    """That moment, give or take the margin by which a window is overslept."""
    return pytest.approx(seconds, abs=0.1)


def fail(budget: Budget, times: int) -> None:
    """Report so many failures."""
    for _ in range(times):
        budget.failed("HTTP 502")

"""The circuit breaker of the budget, in virtual time: when it opens, its probe, and permits that are given back."""

import asyncio
from itertools import pairwise

import pytest

from tests.support.virtual_time import VirtualClock, virtual_time
from tests.transport.budgets import admitted_at, close_to, fail, new_budget
from tidewaiter.transport.wire import AccountClosedError


@pytest.mark.fault(25)
def test_the_breaker_opens_after_five_failures_in_a_row() -> None:
    """Four are bad luck, a success in between forgives them, five are an outage."""
    with virtual_time() as (loop, clock):
        budget = new_budget(clock)
        fail(budget, 4)
        budget.succeeded()
        fail(budget, 4)
        assert budget.breaker == "closed"
        assert loop.run_until_complete(admitted_at(clock, budget)) == 0
        fail(budget, 1)
        assert (budget.breaker, budget.closed_reason, budget.closed_until) == ("open", "HTTP 502", 0.0)
        assert budget.tests_at is not None
        assert 24 <= budget.tests_at - clock.now() <= 30.1
        assert 24 <= loop.run_until_complete(admitted_at(clock, budget)) <= 30.1


@pytest.mark.fault(25)
def test_who_cannot_wait_learns_that_the_breaker_is_open() -> None:
    """A step with files in hand ends; beside a probe it goes on, because the account is not closed any more."""

    async def story(clock: VirtualClock) -> None:
        budget = new_budget(clock)
        budget.check_open()
        fail(budget, 5)
        with pytest.raises(AccountClosedError, match="HTTP 502"):
            budget.check_open()
        await clock.sleep(40)
        assert await admitted_at(clock, budget) == 40
        budget.check_open()

    with virtual_time() as (loop, clock):
        loop.run_until_complete(story(clock))


@pytest.mark.fault(25)
def test_half_open_lets_one_probe_through() -> None:
    """The others wait for its verdict, and go when it is good."""

    async def story(clock: VirtualClock) -> None:
        budget = new_budget(clock)
        fail(budget, 5)
        waiting = [asyncio.ensure_future(admitted_at(clock, budget)) for _ in range(10)]
        await clock.sleep(40)
        assert budget.breaker == "half-open"
        assert sum(one.done() for one in waiting) == 1
        budget.succeeded()
        await asyncio.gather(*waiting)
        assert (clock.monotonic(), budget.breaker, budget.closed_reason) == (40, "closed", None)

    with virtual_time() as (loop, clock):
        loop.run_until_complete(story(clock))


@pytest.mark.fault(25)
def test_a_failed_probe_opens_it_for_longer() -> None:
    """From 30 seconds, doubling to 600; failures of requests sent before it opened do not count."""
    with virtual_time() as (loop, clock):
        budget = new_budget(clock)
        pauses, before = [], 0.0
        fail(budget, 5)
        for _ in range(7):
            fail(budget, 10)
            now = loop.run_until_complete(admitted_at(clock, budget))
            pauses.append(now - before)
            before = now
            fail(budget, 1)
            assert budget.breaker == "open"
        full = [30, 60, 120, 240, 480, 600, 600]
        assert all(0.8 * most <= paused <= most + 0.1 for paused, most in zip(pauses, full, strict=True))
        loop.run_until_complete(admitted_at(clock, budget))
        budget.succeeded()
        fail(budget, 5)
        before = clock.monotonic()
        assert loop.run_until_complete(admitted_at(clock, budget)) - before <= 30.1


def test_a_probe_without_a_verdict() -> None:
    """A probe that is cancelled, or throttled, or told nothing holds the others up for a minute at most."""
    with virtual_time() as (loop, clock):
        budget = new_budget(clock)
        fail(budget, 5)
        times = [loop.run_until_complete(admitted_at(clock, budget)) for _ in range(3)]
        assert [later - earlier for earlier, later in pairwise(times)] == [close_to(60), close_to(60)]
        budget.throttled(5.0, "HTTP 429")
        assert loop.run_until_complete(admitted_at(clock, budget)) == close_to(times[-1] + 5)


def test_a_probe_that_is_given_back_lets_another_go() -> None:
    """A half-open breaker does not wait a minute for a request that was never sent."""

    async def story(clock: VirtualClock) -> None:
        budget = new_budget(clock)
        for _ in range(5):
            budget.failed("down")
        permit = await budget.admit()
        probed_at = clock.monotonic()
        permit.give_back()
        assert await admitted_at(clock, budget) == close_to(probed_at)

    with virtual_time() as (loop, clock):
        loop.run_until_complete(story(clock))

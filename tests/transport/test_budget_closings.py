"""Closings and pauses of a budget, in virtual time: throttles, a person's pause, and the end of both."""

import asyncio

import pytest

from tests.support.virtual_time import VirtualClock, virtual_time
from tests.transport.budgets import admitted_at, close_to, fail, new_budget
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.transport.wire import AccountPausedError


def test_a_closing_holds_and_only_extends() -> None:
    """A shorter closing does not shorten a longer one; when it is over, nothing of it is left."""
    with virtual_time() as (loop, clock):
        budget = new_budget(clock)
        start = clock.now()
        budget.close(start + 100, "busy")
        budget.close(start + 50, "hasty")
        assert (budget.closed_until, budget.closed_reason) == (start + 100, "busy")
        budget.close(start + 200, "busier")
        assert loop.run_until_complete(admitted_at(clock, budget)) == close_to(200)
        assert (budget.closed_until, budget.closed_reason) == (0.0, None)


def test_a_closing_reaches_those_who_wait_already() -> None:
    """A request that waits for the window also waits for a pause that begins meanwhile, and for its extension."""

    async def story(clock: VirtualClock) -> None:
        budget = new_budget(clock, Limits(requests=1, period_s=10.0))
        await admitted_at(clock, budget)
        waiting = asyncio.ensure_future(admitted_at(clock, budget))
        await clock.sleep(5)
        budget.close(clock.now() + 20, "busy")
        await clock.sleep(15)
        budget.close(clock.now() + 80, "busier")
        assert await waiting == close_to(100)

    with virtual_time() as (loop, clock):
        loop.run_until_complete(story(clock))


@pytest.mark.fault(26)
def test_a_pause_turns_everybody_away() -> None:
    """Waiting requests are refused at once when the account is paused, and so are later ones."""

    async def story(clock: VirtualClock) -> None:
        budget = new_budget(clock, Limits(requests=1, period_s=60.0))
        await admitted_at(clock, budget)
        waiting = [asyncio.ensure_future(admitted_at(clock, budget)) for _ in range(100)]
        await clock.sleep(5)
        budget.pause("the key was refused")
        assert {type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)} == {AccountPausedError}
        assert clock.monotonic() == 5
        with pytest.raises(AccountPausedError, match="the key was refused"):
            await budget.admit()
        assert not budget.unpaused.is_set()

    with virtual_time() as (loop, clock):
        loop.run_until_complete(story(clock))


@pytest.mark.fault(26)
def test_a_pause_turns_away_without_limits_too() -> None:
    """Where no limit makes anybody wait, nothing else is between a request and the provider."""
    with virtual_time() as (loop, clock):
        budget = new_budget(clock)
        loop.run_until_complete(admitted_at(clock, budget))
        budget.pause("the key was refused")
        with pytest.raises(AccountPausedError, match="the key was refused"):
            loop.run_until_complete(budget.admit())


@pytest.mark.fault(26)
def test_after_a_pause_one_request_goes_first() -> None:
    """Whether the key works now is found out with one request; when it does, all the others go."""

    async def story(clock: VirtualClock) -> None:
        budget = new_budget(clock)
        budget.pause("the key was refused")
        await clock.sleep(3600)
        budget.resume()
        waiting = [asyncio.ensure_future(admitted_at(clock, budget)) for _ in range(100)]
        await clock.sleep(10)
        assert sum(one.done() for one in waiting) == 1
        budget.succeeded()
        assert await asyncio.gather(*waiting) == [3600] + [3610] * 99

    with virtual_time() as (loop, clock):
        loop.run_until_complete(story(clock))


@pytest.mark.fault(26)
def test_a_pause_is_none_of_the_closings() -> None:
    """It is not handed to the lane's next owner, who reads it where everybody does; a Retry-After outlives it."""
    with virtual_time() as (loop, clock):
        budget = new_budget(clock)
        budget.throttled(100.0, "HTTP 429")
        budget.pause("the key was refused")
        budget.pause("again")
        assert (budget.paused, budget.closed_reason) == ("the key was refused", "HTTP 429")
        budget.resume()
        assert budget.paused is None
        assert loop.run_until_complete(admitted_at(clock, budget)) == close_to(100)


@pytest.mark.fault(24)
def test_a_throttle_with_a_time() -> None:
    """Retry-After is obeyed, but never as a hot loop."""
    with virtual_time() as (loop, clock):
        budget = new_budget(clock)
        budget.throttled(42.0, "HTTP 429")
        assert budget.closed_reason == "HTTP 429"
        assert loop.run_until_complete(admitted_at(clock, budget)) == close_to(42)
        budget.throttled(-5.0, "HTTP 429")
        assert loop.run_until_complete(admitted_at(clock, budget)) == close_to(43)


@pytest.mark.fault(24)
def test_a_short_time_again_and_again_is_no_hot_loop() -> None:
    """A second one may be chance; behind more of them our own backoff grows, until the provider answers."""
    with virtual_time() as (loop, clock):
        budget = new_budget(clock)

        def pause(asked_s: float) -> float:
            before = clock.monotonic()
            budget.throttled(asked_s, "HTTP 429")
            return loop.run_until_complete(admitted_at(clock, budget)) - before

        pauses = [pause(1.0) for _ in range(10)]
        full = [1.0, 1.0, *(min(300.0, 5.0 * 2**n) for n in range(8))]
        assert all(0.8 * most - 0.1 <= paused <= most + 0.1 for paused, most in zip(pauses, full, strict=True))
        assert pause(900.0) == close_to(900.0)
        budget.succeeded()
        assert pause(1.0) == close_to(1.0)


def test_many_throttles_with_a_time_are_one() -> None:
    """Of twenty requests in flight that are all throttled only the first counts for the backoff."""
    with virtual_time() as (loop, clock):
        budget = new_budget(clock)
        for _ in range(20):
            budget.throttled(2.0, "HTTP 429")
        assert loop.run_until_complete(admitted_at(clock, budget)) == close_to(2)
        budget.throttled(2.0, "HTTP 429")
        assert loop.run_until_complete(admitted_at(clock, budget)) == close_to(4)


def test_a_person_ends_a_closing() -> None:
    """Waiting requests go on at once, one at first; without a pause nothing changes."""

    async def story(clock: VirtualClock) -> None:
        budget = new_budget(clock)
        assert not budget.reopen()
        budget.throttled(3600.0, "HTTP 429")
        waiting = [asyncio.ensure_future(admitted_at(clock, budget)) for _ in range(3)]
        await clock.sleep(10)
        assert budget.reopen()
        await clock.sleep(1)
        assert [one.done() for one in waiting] == [True, False, False]
        budget.succeeded()
        assert await asyncio.gather(*waiting) == [10.0, close_to(11.0), close_to(11.0)]
        fail(budget, 5)
        assert budget.reopen()
        assert budget.breaker == "half-open"

    with virtual_time() as (loop, clock):
        loop.run_until_complete(story(clock))


@pytest.mark.fault(24)
def test_a_throttle_without_a_time() -> None:
    """Our own backoff: from 5 seconds, doubling to 300, jittered, and begun anew after a success."""
    with virtual_time() as (loop, clock):
        budget = new_budget(clock)

        def pause() -> float:
            before = clock.monotonic()
            budget.throttled(None, "HTTP 429")
            return loop.run_until_complete(admitted_at(clock, budget)) - before

        pauses = [pause() for _ in range(10)]
        full = [min(300.0, 5.0 * 2**n) for n in range(10)]
        assert all(0.8 * most - 0.1 <= paused <= most + 0.1 for paused, most in zip(pauses, full, strict=True))
        budget.succeeded()
        assert pause() <= 5.1


def test_many_throttles_at_once_are_one() -> None:
    """Twenty requests in flight that are all throttled do not raise the backoff twenty times."""
    with virtual_time() as (loop, clock):
        budget = new_budget(clock)
        for _ in range(20):
            budget.throttled(None, "HTTP 429")
        assert loop.run_until_complete(admitted_at(clock, budget)) <= 5.1

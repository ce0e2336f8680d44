"""The budget in virtual time: rate, spacing, throttling, the breaker, and its state after a restart."""

import asyncio
import resource
from collections.abc import Coroutine
from itertools import pairwise
from random import Random
from types import SimpleNamespace
from typing import Any

import asyncio_throttle.throttler
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.virtual_time import VirtualClock, virtual_time
from tidewaiter.clock import Clock, SystemClock
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.transport.request_budget import Budget, Permit
from tidewaiter.transport.wire import AccountClosedError, AccountPausedError

FREE = Limits()


def new(clock: Clock, limits: Limits = FREE, window: tuple[float, ...] = (), *, full: bool = False) -> Budget:
    """A budget with a seed of its own."""
    return Budget(clock, Random(7), limits, window, full)


async def at(clock: VirtualClock, budget: Budget) -> float:
    """The virtual second at which a request that takes no time is admitted."""
    (await budget.admit()).done()
    return clock.monotonic()


def close_to(seconds: float) -> Any:
    """That moment, give or take the margin by which a window is overslept."""
    return pytest.approx(seconds, abs=0.1)


# --- the window -----------------------------------------------------------------------------------------------------


@pytest.mark.invariant(8)
@given(seed=st.integers(0, 2**32), requests=st.integers(1, 8), workers=st.integers(1, 20))
def test_the_remote_never_counts_too_many(seed: int, requests: int, workers: int) -> None:
    """Whatever moment between sending and reply the remote counts, no period holds more than allowed."""
    rand, period_s = Random(seed), 10.0
    counted: list[float] = []

    async def work(clock: VirtualClock, budget: Budget) -> None:
        for _ in range(6):
            with await budget.admit():
                there, back = rand.random() * 8, rand.random() * 8
                await clock.sleep(there)
                counted.append(clock.monotonic())
                await clock.sleep(back)
            await clock.sleep(rand.random() * 3)

    async def story(clock: VirtualClock) -> None:
        budget = new(clock, Limits(requests=requests, period_s=period_s))
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work(clock, budget))

    with virtual_time() as (loop, clock):
        loop.run_until_complete(story(clock))
    counted.sort()
    assert len(counted) == 6 * workers
    assert all(later - earlier > period_s for earlier, later in zip(counted, counted[requests:], strict=False))


def test_the_whole_rate_is_used() -> None:
    """All that is allowed goes at once, and again as soon as the period is over: nothing is lost to caution."""
    with virtual_time() as (loop, clock):
        budget = new(clock, Limits(requests=10, period_s=60.0))
        times = [loop.run_until_complete(at(clock, budget)) for _ in range(30)]
    assert times == [close_to(second) for second in [0] * 10 + [60] * 10 + [120] * 10]


def test_a_request_in_flight_keeps_its_place() -> None:
    """A reply that takes ten periods holds its place for eleven."""
    with virtual_time() as (loop, clock):
        budget = new(clock, Limits(requests=2, period_s=60.0))
        slow = loop.run_until_complete(budget.admit())
        times = [loop.run_until_complete(at(clock, budget)) for _ in range(3)]
        assert times == [close_to(second) for second in (0, 60, 120)]
        loop.run_until_complete(clock.sleep(600 - clock.monotonic()))
        slow.done()
        times = [loop.run_until_complete(at(clock, budget)) for _ in range(3)]
    assert times == [close_to(second) for second in (600, 660, 660)]


def test_a_reply_makes_room_for_those_who_wait_for_it() -> None:
    """While all places are in flight nobody knows how long to wait; the first reply tells."""

    async def story(clock: VirtualClock) -> None:
        budget = new(clock, Limits(requests=1, period_s=60.0))
        only = await budget.admit()
        waiting = asyncio.ensure_future(at(clock, budget))
        await clock.sleep(100)
        only.done()
        assert await waiting == close_to(160)

    with virtual_time() as (loop, clock):
        loop.run_until_complete(story(clock))


def test_a_permit_is_done_once() -> None:
    """Done twice, or done and left, counts once."""
    with virtual_time() as (loop, clock):
        budget = new(clock, Limits(requests=5, period_s=60.0))
        with loop.run_until_complete(budget.admit()) as permit:
            permit.done()
            permit.done()
        assert len(budget.snapshot()) == 1


def test_spacing() -> None:
    """Requests are a spacing apart as the remote sees them: from the reply of one to the sending of the next."""

    async def story(clock: VirtualClock) -> list[float]:
        budget, sent = new(clock, Limits(spacing_s=2.0)), []

        async def one() -> None:
            with await budget.admit():
                sent.append(clock.monotonic())
                await clock.sleep(0.5)

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(one())
        return sent

    with virtual_time() as (loop, clock):
        assert loop.run_until_complete(story(clock)) == [close_to(second) for second in (0, 2.5, 5, 7.5)]


def test_first_come_first_served() -> None:
    """Those who wait are admitted in the order in which they came, and one who gives up costs no place."""

    async def story(clock: VirtualClock) -> None:
        budget, order = new(clock, Limits(requests=1, period_s=1.0)), list[int]()

        async def one(number: int) -> None:
            (await budget.admit()).done()
            order.append(number)

        tasks = [asyncio.ensure_future(one(number)) for number in range(6)]
        await clock.sleep(0.5)
        tasks[1].cancel()
        tasks[4].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert order == [0, 2, 3, 5]
        assert clock.monotonic() == close_to(3)

    with virtual_time() as (loop, clock):
        loop.run_until_complete(story(clock))


def test_the_library_does_not_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio-throttle would check every few milliseconds; a waiting request sleeps until there is room."""
    polls = list[float]()

    async def counted(seconds: float) -> None:
        polls.append(seconds)
        await asyncio.sleep(seconds)

    monkeypatch.setattr(asyncio_throttle.throttler, "asyncio", SimpleNamespace(sleep=counted))
    with virtual_time() as (loop, clock):
        budget = new(clock, Limits(requests=3, period_s=60.0, spacing_s=0.7))
        for _ in range(50):
            loop.run_until_complete(at(clock, budget))
    assert not polls


@pytest.mark.slow
async def test_ten_thousand_may_wait() -> None:
    """Waiting costs nothing: less than a hundredth of a core for ten thousand who wait a real second."""
    budget = Budget(SystemClock(), Random(1), Limits(requests=1, period_s=3600.0))
    await budget.admit()
    waiting = [asyncio.ensure_future(budget.admit()) for _ in range(10_000)]
    await asyncio.sleep(0.1)
    before = resource.getrusage(resource.RUSAGE_SELF)
    await asyncio.sleep(1.0)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.01
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def test_without_limits_nobody_waits() -> None:
    """An account without limits is admitted without a turn of the event loop."""

    def step(admitting: Coroutine[Any, Any, Permit]) -> None:
        with pytest.raises(StopIteration):
            admitting.send(None)

    with virtual_time() as (_, clock):
        budget = new(clock)
        for _ in range(1000):
            step(budget.admit())
        assert budget.snapshot() == []


# --- across restarts ------------------------------------------------------------------------------------------------


@pytest.mark.invariant(8)
def test_a_restart_remembers_the_window() -> None:
    """What ``snapshot`` tells, the next owner counts, in flight included."""
    with virtual_time() as (loop, clock):
        limits = Limits(requests=3, period_s=60.0)
        before = new(clock, limits)
        loop.run_until_complete(at(clock, before))
        loop.run_until_complete(clock.sleep(20))
        loop.run_until_complete(before.admit())
        window = before.snapshot()
        assert window == [pytest.approx(clock.now() - 20), pytest.approx(clock.now())]
        after = new(clock, limits, tuple(reversed(window)))
        times = [loop.run_until_complete(at(clock, after)) for _ in range(3)]
    assert times == [close_to(second) for second in (20, 60, 80)]


@pytest.mark.invariant(8)
def test_the_window_after_an_owner_who_cannot_say() -> None:
    """A lane taken after an expired lease waits a whole period; so it is with spacing."""
    with virtual_time() as (loop, clock):
        assert loop.run_until_complete(at(clock, new(clock, Limits(requests=3, period_s=60.0), full=True))) == close_to(
            60
        )
        budget = new(clock, Limits(spacing_s=5.0), full=True)
        assert loop.run_until_complete(at(clock, budget)) == close_to(65)
        assert loop.run_until_complete(at(clock, new(clock, full=True))) == close_to(65)


@pytest.mark.fault(54)
def test_a_window_from_a_clock_that_runs_ahead() -> None:
    """Stamps of the future, which another worker's clock may write, count as now and not for longer."""
    with virtual_time() as (loop, clock):
        budget = new(clock, Limits(requests=1, period_s=60.0), (clock.now() + 86_400,))
        assert loop.run_until_complete(at(clock, budget)) == close_to(60)


def test_spacing_alone_is_remembered_too() -> None:
    """The last request is what spacing needs to know."""
    with virtual_time() as (loop, clock):
        limits = Limits(spacing_s=30.0)
        before = new(clock, limits)
        loop.run_until_complete(at(clock, before))
        loop.run_until_complete(clock.sleep(10))
        assert loop.run_until_complete(at(clock, new(clock, limits, tuple(before.snapshot())))) == close_to(30)


# --- closings -------------------------------------------------------------------------------------------------------


def test_a_closing_holds_and_only_extends() -> None:
    """A shorter closing does not shorten a longer one; when it is over, nothing of it is left."""
    with virtual_time() as (loop, clock):
        budget = new(clock)
        start = clock.now()
        budget.close(start + 100, "busy")
        budget.close(start + 50, "hasty")
        assert (budget.closed_until, budget.closed_reason) == (start + 100, "busy")
        budget.close(start + 200, "busier")
        assert loop.run_until_complete(at(clock, budget)) == close_to(200)
        assert (budget.closed_until, budget.closed_reason) == (0.0, None)


def test_a_closing_reaches_those_who_wait_already() -> None:
    """A request that waits for the window also waits for a pause that begins meanwhile, and for its extension."""

    async def story(clock: VirtualClock) -> None:
        budget = new(clock, Limits(requests=1, period_s=10.0))
        await at(clock, budget)
        waiting = asyncio.ensure_future(at(clock, budget))
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
        budget = new(clock, Limits(requests=1, period_s=60.0))
        await at(clock, budget)
        waiting = [asyncio.ensure_future(at(clock, budget)) for _ in range(100)]
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
        budget = new(clock)
        loop.run_until_complete(at(clock, budget))
        budget.pause("the key was refused")
        with pytest.raises(AccountPausedError, match="the key was refused"):
            loop.run_until_complete(budget.admit())


@pytest.mark.fault(26)
def test_after_a_pause_one_request_goes_first() -> None:
    """Whether the key works now is found out with one request; when it does, all the others go."""

    async def story(clock: VirtualClock) -> None:
        budget = new(clock)
        budget.pause("the key was refused")
        await clock.sleep(3600)
        budget.resume()
        waiting = [asyncio.ensure_future(at(clock, budget)) for _ in range(100)]
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
        budget = new(clock)
        budget.throttled(100.0, "HTTP 429")
        budget.pause("the key was refused")
        budget.pause("again")
        assert (budget.paused, budget.closed_reason) == ("the key was refused", "HTTP 429")
        budget.resume()
        assert budget.paused is None
        assert loop.run_until_complete(at(clock, budget)) == close_to(100)


@pytest.mark.fault(24)
def test_a_throttle_with_a_time() -> None:
    """Retry-After is obeyed, but never as a hot loop."""
    with virtual_time() as (loop, clock):
        budget = new(clock)
        budget.throttled(42.0, "HTTP 429")
        assert budget.closed_reason == "HTTP 429"
        assert loop.run_until_complete(at(clock, budget)) == close_to(42)
        budget.throttled(-5.0, "HTTP 429")
        assert loop.run_until_complete(at(clock, budget)) == close_to(43)


@pytest.mark.fault(24)
def test_a_short_time_again_and_again_is_no_hot_loop() -> None:
    """A second one may be chance; behind more of them our own backoff grows, until the provider answers."""
    with virtual_time() as (loop, clock):
        budget = new(clock)

        def pause(asked_s: float) -> float:
            before = clock.monotonic()
            budget.throttled(asked_s, "HTTP 429")
            return loop.run_until_complete(at(clock, budget)) - before

        pauses = [pause(1.0) for _ in range(10)]
        full = [1.0, 1.0, *(min(300.0, 5.0 * 2**n) for n in range(8))]
        assert all(0.8 * most - 0.1 <= paused <= most + 0.1 for paused, most in zip(pauses, full, strict=True))
        assert pause(900.0) == close_to(900.0)
        budget.succeeded()
        assert pause(1.0) == close_to(1.0)


def test_many_throttles_with_a_time_are_one() -> None:
    """Of twenty requests in flight that are all throttled only the first counts for the backoff."""
    with virtual_time() as (loop, clock):
        budget = new(clock)
        for _ in range(20):
            budget.throttled(2.0, "HTTP 429")
        assert loop.run_until_complete(at(clock, budget)) == close_to(2)
        budget.throttled(2.0, "HTTP 429")
        assert loop.run_until_complete(at(clock, budget)) == close_to(4)


def test_a_person_ends_a_closing() -> None:
    """Waiting requests go on at once, one at first; without a pause nothing changes."""

    async def story(clock: VirtualClock) -> None:
        budget = new(clock)
        assert not budget.reopen()
        budget.throttled(3600.0, "HTTP 429")
        waiting = [asyncio.ensure_future(at(clock, budget)) for _ in range(3)]
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
        budget = new(clock)

        def pause() -> float:
            before = clock.monotonic()
            budget.throttled(None, "HTTP 429")
            return loop.run_until_complete(at(clock, budget)) - before

        pauses = [pause() for _ in range(10)]
        full = [min(300.0, 5.0 * 2**n) for n in range(10)]
        assert all(0.8 * most - 0.1 <= paused <= most + 0.1 for paused, most in zip(pauses, full, strict=True))
        budget.succeeded()
        assert pause() <= 5.1


def test_many_throttles_at_once_are_one() -> None:
    """Twenty requests in flight that are all throttled do not raise the backoff twenty times."""
    with virtual_time() as (loop, clock):
        budget = new(clock)
        for _ in range(20):
            budget.throttled(None, "HTTP 429")
        assert loop.run_until_complete(at(clock, budget)) <= 5.1


# --- the breaker ----------------------------------------------------------------------------------------------------


def fail(budget: Budget, times: int) -> None:
    """So many failures."""
    for _ in range(times):
        budget.failed("HTTP 502")


@pytest.mark.fault(25)
def test_the_breaker_opens_after_five_failures_in_a_row() -> None:
    """Four are bad luck, a success in between forgives them, five are an outage."""
    with virtual_time() as (loop, clock):
        budget = new(clock)
        fail(budget, 4)
        budget.succeeded()
        fail(budget, 4)
        assert budget.breaker == "closed"
        assert loop.run_until_complete(at(clock, budget)) == 0
        fail(budget, 1)
        assert (budget.breaker, budget.closed_reason, budget.closed_until) == ("open", "HTTP 502", 0.0)
        assert budget.tests_at is not None
        assert 24 <= budget.tests_at - clock.now() <= 30.1
        assert 24 <= loop.run_until_complete(at(clock, budget)) <= 30.1


@pytest.mark.fault(25)
def test_who_cannot_wait_learns_that_the_breaker_is_open() -> None:
    """A step with files in hand ends; beside a probe it goes on, because the account is not closed any more."""

    async def story(clock: VirtualClock) -> None:
        budget = new(clock)
        budget.check_open()
        fail(budget, 5)
        with pytest.raises(AccountClosedError, match="HTTP 502"):
            budget.check_open()
        await clock.sleep(40)
        assert await at(clock, budget) == 40
        budget.check_open()

    with virtual_time() as (loop, clock):
        loop.run_until_complete(story(clock))


@pytest.mark.fault(25)
def test_half_open_lets_one_probe_through() -> None:
    """The others wait for its verdict, and go when it is good."""

    async def story(clock: VirtualClock) -> None:
        budget = new(clock)
        fail(budget, 5)
        waiting = [asyncio.ensure_future(at(clock, budget)) for _ in range(10)]
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
        budget = new(clock)
        pauses, before = [], 0.0
        fail(budget, 5)
        for _ in range(7):
            fail(budget, 10)
            now = loop.run_until_complete(at(clock, budget))
            pauses.append(now - before)
            before = now
            fail(budget, 1)
            assert budget.breaker == "open"
        full = [30, 60, 120, 240, 480, 600, 600]
        assert all(0.8 * most <= paused <= most + 0.1 for paused, most in zip(pauses, full, strict=True))
        loop.run_until_complete(at(clock, budget))
        budget.succeeded()
        fail(budget, 5)
        before = clock.monotonic()
        assert loop.run_until_complete(at(clock, budget)) - before <= 30.1


def test_a_probe_without_a_verdict() -> None:
    """A probe that is cancelled, or throttled, or told nothing holds the others up for a minute at most."""
    with virtual_time() as (loop, clock):
        budget = new(clock)
        fail(budget, 5)
        times = [loop.run_until_complete(at(clock, budget)) for _ in range(3)]
        assert [later - earlier for earlier, later in pairwise(times)] == [close_to(60), close_to(60)]
        budget.throttled(5.0, "HTTP 429")
        assert loop.run_until_complete(at(clock, budget)) == close_to(times[-1] + 5)


# --- a permit that is not used ----------------------------------------------------------------------------------------


def test_a_permit_that_is_given_back_costs_nothing() -> None:
    """Its place is free at once: nothing was sent, so the remote counts nothing. A waiting request goes on."""

    async def story(clock: VirtualClock) -> None:
        for limits in (Limits(requests=1, period_s=60.0), Limits(spacing_s=60.0)):
            budget = new(clock, limits)
            permit, began = await budget.admit(), clock.monotonic()
            waiting = asyncio.ensure_future(at(clock, budget))
            await clock.sleep(1.0)
            assert not waiting.done()
            permit.give_back()
            permit.give_back()
            assert await waiting == close_to(began + 1.0)
            assert len(budget.snapshot()) == 1

    with virtual_time() as (loop, clock):
        loop.run_until_complete(story(clock))


def test_a_probe_that_is_given_back_lets_another_go() -> None:
    """A half-open breaker does not wait a minute for a request that was never sent."""

    async def story(clock: VirtualClock) -> None:
        budget = new(clock)
        for _ in range(5):
            budget.failed("down")
        permit = await budget.admit()
        probed_at = clock.monotonic()
        permit.give_back()
        assert await at(clock, budget) == close_to(probed_at)

    with virtual_time() as (loop, clock):
        loop.run_until_complete(story(clock))

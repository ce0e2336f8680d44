"""The budget in virtual time: rate, spacing, and its state after a restart."""

import asyncio
import resource
from collections.abc import Coroutine
from random import Random
from types import SimpleNamespace
from typing import Any

import asyncio_throttle.throttler
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.virtual_time import VirtualClock, virtual_time
from tests.transport.budgets import admitted_at, close_to, new_budget
from tidewaiter.clock import SystemClock
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.transport.request_budget import Budget, Permit

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
        budget = new_budget(clock, Limits(requests=requests, period_s=period_s))
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
        budget = new_budget(clock, Limits(requests=10, period_s=60.0))
        times = [loop.run_until_complete(admitted_at(clock, budget)) for _ in range(30)]
    assert times == [close_to(second) for second in [0] * 10 + [60] * 10 + [120] * 10]


def test_a_request_in_flight_keeps_its_place() -> None:
    """A reply that takes ten periods holds its place for eleven."""
    with virtual_time() as (loop, clock):
        budget = new_budget(clock, Limits(requests=2, period_s=60.0))
        slow = loop.run_until_complete(budget.admit())
        times = [loop.run_until_complete(admitted_at(clock, budget)) for _ in range(3)]
        assert times == [close_to(second) for second in (0, 60, 120)]
        loop.run_until_complete(clock.sleep(600 - clock.monotonic()))
        slow.done()
        times = [loop.run_until_complete(admitted_at(clock, budget)) for _ in range(3)]
    assert times == [close_to(second) for second in (600, 660, 660)]


def test_a_reply_makes_room_for_those_who_wait_for_it() -> None:
    """While all places are in flight nobody knows how long to wait; the first reply tells."""

    async def story(clock: VirtualClock) -> None:
        budget = new_budget(clock, Limits(requests=1, period_s=60.0))
        only = await budget.admit()
        waiting = asyncio.ensure_future(admitted_at(clock, budget))
        await clock.sleep(100)
        only.done()
        assert await waiting == close_to(160)

    with virtual_time() as (loop, clock):
        loop.run_until_complete(story(clock))


def test_a_permit_is_done_once() -> None:
    """Done twice, or done and left, counts once."""
    with virtual_time() as (loop, clock):
        budget = new_budget(clock, Limits(requests=5, period_s=60.0))
        with loop.run_until_complete(budget.admit()) as permit:
            permit.done()
            permit.done()
        assert len(budget.snapshot()) == 1


def test_spacing() -> None:
    """Requests are a spacing apart as the remote sees them: from the reply of one to the sending of the next."""

    async def story(clock: VirtualClock) -> list[float]:
        budget, sent = new_budget(clock, Limits(spacing_s=2.0)), []

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
        budget, order = new_budget(clock, Limits(requests=1, period_s=1.0)), list[int]()

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
    """asyncio-throttle would check every few milliseconds; a waiting request sleeps once, until there is room."""
    polls, sleeps = list[float](), list[float]()

    async def counted(seconds: float) -> None:
        polls.append(seconds)
        await asyncio.sleep(seconds)

    monkeypatch.setattr(asyncio_throttle.throttler, "asyncio", SimpleNamespace(sleep=counted))
    with virtual_time() as (loop, clock):
        budget = new_budget(clock, Limits(requests=3, period_s=60.0, spacing_s=0.7))
        sleep_until = loop.call_at

        def slept(when: float, *of_timer: Any, **context: Any) -> asyncio.TimerHandle:
            sleeps.append(when)
            return sleep_until(when, *of_timer, **context)

        monkeypatch.setattr(loop, "call_at", slept)
        for _ in range(50):
            loop.run_until_complete(admitted_at(clock, budget))
    assert not polls
    assert len(sleeps) <= 2 * 50


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
        budget = new_budget(clock)
        for _ in range(1000):
            step(budget.admit())
        assert budget.snapshot() == []


# --- across restarts ------------------------------------------------------------------------------------------------


@pytest.mark.invariant(8)
def test_a_restart_remembers_the_window() -> None:
    """What ``snapshot`` tells, the next owner counts, in flight included."""
    with virtual_time() as (loop, clock):
        limits = Limits(requests=3, period_s=60.0)
        before = new_budget(clock, limits)
        loop.run_until_complete(admitted_at(clock, before))
        loop.run_until_complete(clock.sleep(20))
        loop.run_until_complete(before.admit())
        window = before.snapshot()
        assert window == [pytest.approx(clock.now() - 20), pytest.approx(clock.now())]
        after = new_budget(clock, limits, tuple(reversed(window)))
        times = [loop.run_until_complete(admitted_at(clock, after)) for _ in range(3)]
    assert times == [close_to(second) for second in (20, 60, 80)]


@pytest.mark.invariant(8)
def test_the_window_after_an_owner_who_cannot_say() -> None:
    """A lane taken after an expired lease waits a whole period; so it is with spacing."""
    with virtual_time() as (loop, clock):
        budget = new_budget(clock, Limits(requests=3, period_s=60.0), full=True)
        assert loop.run_until_complete(admitted_at(clock, budget)) == close_to(60)
        budget = new_budget(clock, Limits(spacing_s=5.0), full=True)
        assert loop.run_until_complete(admitted_at(clock, budget)) == close_to(65)
        assert loop.run_until_complete(admitted_at(clock, new_budget(clock, full=True))) == close_to(65)


@pytest.mark.fault(54)
def test_a_window_from_a_clock_that_runs_ahead() -> None:
    """Stamps of the future, which another worker's clock may write, count as now and not for longer."""
    with virtual_time() as (loop, clock):
        budget = new_budget(clock, Limits(requests=1, period_s=60.0), (clock.now() + 86_400,))
        assert loop.run_until_complete(admitted_at(clock, budget)) == close_to(60)


def test_spacing_alone_is_remembered_too() -> None:
    """The last request is what spacing needs to know."""
    with virtual_time() as (loop, clock):
        limits = Limits(spacing_s=30.0)
        before = new_budget(clock, limits)
        loop.run_until_complete(admitted_at(clock, before))
        loop.run_until_complete(clock.sleep(10))
        after = new_budget(clock, limits, tuple(before.snapshot()))
        assert loop.run_until_complete(admitted_at(clock, after)) == close_to(30)


# --- a permit that is not used ----------------------------------------------------------------------------------------


def test_a_permit_that_is_given_back_costs_nothing() -> None:
    """Its place is free at once: nothing was sent, so the remote counts nothing. A waiting request goes on."""

    async def story(clock: VirtualClock) -> None:
        for limits in (Limits(requests=1, period_s=60.0), Limits(spacing_s=60.0)):
            budget = new_budget(clock, limits)
            permit, began = await budget.admit(), clock.monotonic()
            waiting = asyncio.ensure_future(admitted_at(clock, budget))
            await clock.sleep(1.0)
            assert not waiting.done()
            permit.give_back()
            permit.give_back()
            assert await waiting == close_to(began + 1.0)
            assert len(budget.snapshot()) == 1

    with virtual_time() as (loop, clock):
        loop.run_until_complete(story(clock))

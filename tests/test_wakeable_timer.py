"""A sleep between two rounds, and what cuts it short."""

import asyncio

import pytest

from tests.support.stored_jobs import StandingClock
from tidewaiter.clock import WakeableTimer


class StillClock(StandingClock):
    """A clock on which nobody wakes up by himself."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


class BrokenClock(StandingClock):
    """A clock that fails whoever sleeps by it."""

    async def sleep(self, seconds: float) -> None:
        raise ZeroDivisionError


async def test_somebody_wakes_the_sleeper() -> None:
    """Woken in the middle, and woken before: both end a sleep that would last for ever; the next one is whole."""
    timer = WakeableTimer(StillClock())
    asleep = asyncio.create_task(timer.sleep(60))
    await asyncio.sleep(0)
    timer.wake()
    await asleep
    timer.wake()
    await timer.sleep(60)
    again = asyncio.create_task(timer.sleep(60))
    await asyncio.wait([again], timeout=0.05)
    assert not again.done()
    again.cancel()
    with pytest.raises(asyncio.CancelledError):
        await again


async def test_a_sleep_ends_by_the_clock() -> None:
    """Unless somebody wakes it, it lasts as long as was asked; what the clock raises comes out."""
    clock = StandingClock()
    await WakeableTimer(clock).sleep(0.01)
    with pytest.raises(ZeroDivisionError):
        await WakeableTimer(BrokenClock()).sleep(1)

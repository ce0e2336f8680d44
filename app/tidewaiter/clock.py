"""Time: the only module that reads a clock or sleeps, so that a simulation can replace both."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """The source of time for every part of the program."""

    def now(self) -> float:
        """Seconds since the Unix epoch, UTC; never runs backwards in a process."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start, for measuring durations and waits."""

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds; zero or less yields to the event loop once."""

    def skew(self) -> float:
        """Seconds by which the wall clock has been moved ahead (or, negative, back) since the process started."""


class SystemClock:
    """The machine's clock, without jumps.

    ``now()`` is the wall clock at the start of the process plus the monotonic time since. So a wall clock that is set a
    day forward or back neither expires every job nor stops the daemon. ``skew()`` is the difference of the two, which
    the heartbeat logs.
    """

    def __init__(self) -> None:
        self._wall_at_start = time.time()
        self._monotonic_at_start = time.monotonic()

    def now(self) -> float:
        """Seconds since the Unix epoch, UTC."""
        return self._wall_at_start + (time.monotonic() - self._monotonic_at_start)

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds of real time."""
        await asyncio.sleep(max(0.0, seconds))

    def skew(self) -> float:
        """Seconds by which the wall clock has been moved ahead (or, negative, back) since the process started."""
        return time.time() - self.now()


class WakeableTimer:
    """A sleep that another task can end early.

    Args:
        clock: the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """End the current sleep now, or the next one at once if there is no current sleep."""
        self._woken.set()

    async def sleep(self, seconds: float) -> None:
        """Sleep that many seconds, or until :meth:`wake` is called."""
        asleep = asyncio.ensure_future(self._clock.sleep(seconds))
        woken = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait((asleep, woken), return_when=asyncio.FIRST_COMPLETED)
            if asleep.done():
                asleep.result()
        finally:
            asleep.cancel()
            woken.cancel()
            self._woken.clear()

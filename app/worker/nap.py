"""A sleep that somebody can cut short."""

import asyncio

from app.clock import Clock


class Nap:
    """Where a task sleeps between two rounds of its work.

    Args:
        clock: the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Let the next round begin now; where one is under way, another follows it at once."""
        self._woken.set()

    async def sleep(self, seconds: float) -> None:
        """Sleep that long, or until somebody wakes us."""
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

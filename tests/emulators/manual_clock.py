"""A clock that only the test moves."""

import asyncio


class ManualClock:
    """A clock that stands still until it is moved. ``sleep`` moves it and returns at once."""

    def __init__(self, at: float = 1_403_187_000.0) -> None:
        self.at = at
        self.slept: list[float] = []

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self.at

    def monotonic(self) -> float:
        """Seconds since the Unix epoch, here too."""
        return self.at

    async def sleep(self, seconds: float) -> None:
        """Move the clock by that much."""
        self.slept.append(seconds)
        self.at += seconds
        await asyncio.sleep(0)

    def skew(self) -> float:
        """No second clock to drift from."""
        return 0.0

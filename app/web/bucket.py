"""A token bucket: limits a rate, with bursts."""

from app.clock import Clock


class Bucket:
    """Holds up to ``burst`` tokens and gets ``per_s`` new ones per second.

    Args:
        clock: the time.
        per_s: the rate in the long run.
        burst: how many may come at once.
    """

    def __init__(self, clock: Clock, per_s: float, burst: int) -> None:
        self._clock = clock
        self._per_s = per_s
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at = clock.monotonic()

    def take(self) -> float:
        """Take one token. Returns 0, or, if there is none, the seconds until the next one."""
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_s)
        self._filled_at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_s
        self._tokens -= 1
        return 0.0

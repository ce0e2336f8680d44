"""A rate limit that is counted progressively, as the servers count it."""

from collections import deque


class SlidingWindow:
    """At most ``most`` requests in any ``period_s`` seconds; each leaves the count ``period_s`` after it was made.

    Requests that were refused are not counted.
    """

    def __init__(self, most: int, period_s: float) -> None:
        self._most = most
        self._period_s = period_s
        self._taken: deque[float] = deque()

    def take(self, at: float) -> float:
        """Count a request made at that time (any clock, in seconds).

        Returns 0 when it is within the limit, else the seconds until it would be; then it is not counted.
        """
        while self._taken and at - self._taken[0] >= self._period_s:
            self._taken.popleft()
        if len(self._taken) < self._most:
            self._taken.append(at)
            return 0.0
        return self._period_s - (at - self._taken[0])

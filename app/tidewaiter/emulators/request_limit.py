"""A rate limit with a sliding window, as the servers count it."""

from collections import deque


class RequestLimit:
    """At most ``most`` requests in any ``period_s`` seconds; each counts for ``period_s`` seconds.

    Refused requests are not counted.
    """

    def __init__(self, most: int, period_s: float) -> None:
        self.most = most
        self.period_s = period_s
        self._taken: deque[float] = deque()

    def take(self, at: float) -> float:
        """Count a request made at that time (any clock, in seconds).

        Returns 0 if it is within the limit; otherwise the seconds until it would be, and it is not counted.
        """
        if self.remaining(at) > 0:
            self._taken.append(at)
            return 0.0
        return self.oldest_leaves_at(at) - at

    def remaining(self, at: float) -> int:
        """How many more requests the limit permits at that time."""
        while self._taken and at - self._taken[0] >= self.period_s:
            self._taken.popleft()
        return self.most - len(self._taken)

    def oldest_leaves_at(self, at: float) -> float:
        """When the oldest counted request stops counting; one period after that time if none counts."""
        return (self._taken[0] if self.remaining(at) < self.most else at) + self.period_s

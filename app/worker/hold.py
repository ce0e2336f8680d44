"""The hold: what a step may rely on while it works on a job of a lane."""

from app.clock import Clock


class Hold:
    """A lane's lease as this process may believe in it.

    ``epoch`` is the fence: every write names it, and the database refuses the write of an epoch that has passed on.
    ``held()`` is the cheap check before something that cannot be fenced, a POST: the lease was renewed recently enough,
    by the monotonic clock and counted from before the renewal was asked for, so a paused process finds out by itself.
    """

    def __init__(self, lane: int, epoch: int, clock: Clock, lease_s: float) -> None:
        self.lane = lane
        self.epoch = epoch
        self._clock = clock
        self._lease_s = lease_s
        self._until = clock.monotonic() + lease_s

    def held(self) -> bool:
        """Whether the lease can still be ours."""
        return self._clock.monotonic() < self._until

    def renewed(self, asked_at: float) -> None:
        """The database has extended the lease; ``asked_at`` is the monotonic time before it was asked."""
        self._until = max(self._until, asked_at + self._lease_s)

    def lost(self) -> None:
        """The lease has passed on."""
        self._until = float("-inf")

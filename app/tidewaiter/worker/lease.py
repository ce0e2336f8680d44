"""The lease of one lane, as this process knows it."""

import math

from tidewaiter.clock import Clock


class Lease:
    """Says until when this process may serve a lane.

    ``epoch`` is the fence: every write names it, and the database refuses a write with the epoch of a former owner.
    ``held()`` is the cheap check before something that cannot be fenced, a request: the lease was renewed recently
    enough, counted from before the renewal was sent. So a process that was stopped notices it without a query.

    Two clocks must agree. The monotonic clock goes on while the process is stopped (SIGSTOP, a frozen container), and
    it cannot be set. While the machine is suspended it stands still on Linux (clock_gettime(2)), but the wall clock is
    correct again afterwards. If a person sets the wall clock ahead, the lease ends too soon; the next renewal repairs
    it.

    Args:
        lane: the lane's number.
        epoch: raised each time that the lane is taken.
        clock: the time.
        lease_s: how long a lease lasts without renewal.
        asked: the :func:`moment` before the lease was requested; now by default.
    """

    def __init__(
        self,
        lane: int,
        epoch: int,
        clock: Clock,
        lease_s: float,
        asked: tuple[float, float] | None = None,
    ) -> None:
        self.lane = lane
        self.epoch = epoch
        self._clock = clock
        self._lease_s = lease_s
        self._until = -math.inf
        self._wall_until = -math.inf
        self.renewed(*(asked or moment(clock)))

    def held(self) -> bool:
        """Whether the lease is still ours."""
        return self._clock.monotonic() < self._until and moment(self._clock)[1] < self._wall_until

    def renewed(self, asked_at: float, wall_asked_at: float) -> None:
        """The database has extended the lease.

        Args:
            asked_at: the monotonic time before the renewal was sent.
            wall_asked_at: the wall clock at that time.
        """
        if asked_at + self._lease_s >= self._until:
            self._until = asked_at + self._lease_s
            # Not the later of the two: after a wall clock was set back, the lease would never end.
            self._wall_until = wall_asked_at + self._lease_s

    def lost(self) -> None:
        """The lane has another owner."""
        self._until = -math.inf


def moment(clock: Clock) -> tuple[float, float]:
    """Now, in seconds, by the monotonic clock and by the wall clock as it is set at present."""
    return clock.monotonic(), clock.now() + clock.skew()

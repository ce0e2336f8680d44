"""The hold: what a step may rely on while it works on a job of a lane."""

import math

from app.clock import Clock


class Hold:
    """A lane's lease as this process may believe in it.

    ``epoch`` is the fence: every write names it, and the database refuses the write of an epoch that has passed on.
    ``held()`` is the cheap check before something that cannot be fenced, a request: the lease was renewed recently
    enough, counted from before the renewal was asked for, so a stopped process finds out by itself.

    Two clocks must agree that it was. The monotonic clock goes on while the process is stopped (SIGSTOP, a frozen
    container), and nobody can set it. While the machine is suspended it stands still on Linux (clock_gettime(2)), and
    the wall clock is right again afterwards. A wall clock that is set ahead by a person ends the belief too soon; the
    next renewal restores it.
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
        """Whether the lease can still be ours."""
        return self._clock.monotonic() < self._until and moment(self._clock)[1] < self._wall_until

    def renewed(self, asked_at: float, wall_asked_at: float | None = None) -> None:
        """The database has extended the lease.

        Args:
            asked_at: the monotonic time before it was asked.
            wall_asked_at: the wall clock then; reckoned from now where it is not given.
        """
        if wall_asked_at is None:
            monotonic, wall = moment(self._clock)
            wall_asked_at = wall - (monotonic - asked_at)
        if asked_at + self._lease_s >= self._until:
            self._until = asked_at + self._lease_s
            # Not the later of the two: a wall clock that was set back since would never end the belief.
            self._wall_until = wall_asked_at + self._lease_s

    def lost(self) -> None:
        """The lease has passed on."""
        self._until = -math.inf


def moment(clock: Clock) -> tuple[float, float]:
    """Now, in seconds, by the monotonic clock and by the wall clock as it stands, wherever it was set to."""
    return clock.monotonic(), clock.now() + clock.skew()

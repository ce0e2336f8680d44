"""The state at the moment of a scrape: read from the daemon's parts, not counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LaneNow:
    """A lane that is served: running steps, seconds until the next request, requests that its budget permits now.

    ``left`` is ``None`` if the account has no limit.
    """

    lane: int
    account: str
    in_flight: int
    closed_s: float
    breaker_open: bool
    left: int | None


@dataclass(frozen=True, slots=True)
class DaemonNow:
    """The parts of a daemon: its lanes, who paused which account, updates not yet committed, the storage gate.

    ``in_touch``: the last renewal of leases succeeded. ``stalled``: none was tried for too long.
    """

    lanes: Sequence[LaneNow] = ()
    paused: Mapping[str, str] = field(default_factory=dict)
    waiting: int = 0
    storage_open: bool = True
    in_touch: bool = False
    stalled: bool = False


@dataclass(frozen=True, slots=True)
class DatabaseNow:
    """What was read from the database: jobs by state, and by account the jobs due and the seconds it is late.

    ``free_bytes`` is the free space in the storage folder, ``None`` for a bucket.
    """

    jobs: Mapping[str, int]
    due: Mapping[str, int]
    overdue_s: Mapping[str, float]
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ProcessNow:
    """The process: its phase, whether it is ready, how far the wall clock was moved, log lines lost.

    ``database`` is ``None`` if the database did not answer.
    """

    phase: str
    phases: Sequence[str]
    ready: bool
    clock_skew_s: float
    lines_lost: int
    database: DatabaseNow | None

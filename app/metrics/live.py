"""What is true at the moment of a scrape: read from the daemon's parts, not counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LaneNow:
    """A lane that is served: steps under way, seconds until its provider is asked again, what its budget permits.

    ``left`` is ``None`` where the account has no limit.
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

    ``in_touch`` says that the last renewal of the leases could be made, ``stalled`` that none was tried for too long.
    """

    lanes: Sequence[LaneNow] = ()
    paused: Mapping[str, str] = field(default_factory=dict)
    waiting: int = 0
    storage_open: bool = True
    in_touch: bool = False
    stalled: bool = False


@dataclass(frozen=True, slots=True)
class DatabaseNow:
    """What a look into the database brought: jobs by state, and by account the jobs due and the seconds it is late.

    ``free_bytes`` is the room in the storage's folder, ``None`` where there is no folder.
    """

    jobs: Mapping[str, int]
    due: Mapping[str, int]
    overdue_s: Mapping[str, float]
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ProcessNow:
    """How the process stands: its phase, whether it is ready, how far the wall clock was moved, log lines lost.

    ``database`` is ``None`` where the database did not answer.
    """

    phase: str
    phases: Sequence[str]
    ready: bool
    clock_skew_s: float
    lines_lost: int
    database: DatabaseNow | None

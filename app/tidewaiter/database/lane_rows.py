"""The rows of lanes and workers, as their store reads and writes them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LaneState:
    """What the next owner of a lane must know.

    All times are by the clock of this process; the store converts them for others, whose clocks differ.
    ``request_window`` are the epoch seconds of the recent requests that the account's limit still counts;
    ``closed_until`` is when requests are permitted again, and ``closed_reason`` is why not before. ``reopened_at`` is
    when a person last opened the account, as far as the owner knows: a later opening ends the closing.
    """

    epoch: int
    request_window: Sequence[float] = ()
    closed_until: float | None = None
    closed_reason: str | None = None
    reopened_at: float | None = None


@dataclass(frozen=True, slots=True)
class LaneRow:
    """A lane that was taken.

    ``clean`` says that the previous owner gave it back, or that there was none: then ``request_window`` is complete.
    After an expired lease it is not. ``lane_count`` is how many lanes share the account's limits: all lanes up to the
    last one that has a live job. All times are by the clock of this process.
    """

    id: int
    account: str
    shard: int
    epoch: int
    closed_until: float | None
    closed_reason: str | None
    request_window: tuple[float, ...]
    clean: bool
    lane_count: int = 1


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """The state of a lane: its owner and the owner's host, if it has one, and whether the lease still holds.

    ``request_window`` are the epoch seconds of its recent requests at the last renewal of the lease. These times and
    ``closed_until`` are by the clock of this process, ``lease_until`` is by the database's.
    """

    id: int
    account: str
    shard: int
    owner: str | None
    host: str | None
    epoch: int
    lease_until: float | None
    leased: bool
    closed_until: float | None
    closed_reason: str | None
    request_window: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A live daemon: where it runs, since when, and until when it counts as alive without another heartbeat.

    Both in epoch seconds by the database's clock.
    """

    owner: str
    host: str
    pid: int
    version: str
    started_at: float
    lease_until: float

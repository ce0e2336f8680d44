"""How an account stands, as people and programs are shown it."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.job import State
from app.store.accounts import Pause
from app.store.lanes import LaneStatus


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands: its pause if it has one, the lanes that are closed for a while, its live jobs by state."""

    account: str
    provider: str
    pause: Pause | None
    closed: tuple[LaneStatus, ...]
    jobs: Mapping[State, int]


@dataclass(frozen=True, slots=True)
class Resumed:
    """How an account stands after its pause has ended.

    ``paused_s`` is how long it was paused, ``None`` if it was not; ``opened`` are the lanes that were closed before.
    """

    standing: Standing
    paused_s: float | None
    opened: tuple[LaneStatus, ...]


def is_closed(lane: LaneStatus, now: float) -> bool:
    """Whether a lane asks nothing for a while: throttled until a moment, or by its breaker, which tells of none."""
    return lane.closed_reason is not None and (not lane.closed_until or lane.closed_until > now)

"""The status of an account, as people and programs see it."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.job import State
from app.store.accounts import Pause
from app.store.lanes import LaneStatus


@dataclass(frozen=True, slots=True)
class Standing:
    """The status of an account: its pause, the lanes that are closed for a while, and its live jobs by state."""

    account: str
    provider: str
    pause: Pause | None
    closed: tuple[LaneStatus, ...]
    jobs: Mapping[State, int]


@dataclass(frozen=True, slots=True)
class Resumed:
    """The status of an account after its pause has ended.

    ``paused_s`` is how long it was paused, ``None`` if it was not; ``opened`` are the lanes that were closed before.
    """

    standing: Standing
    paused_s: float | None
    opened: tuple[LaneStatus, ...]


def is_closed(lane: LaneStatus, now: float) -> bool:
    """Whether a lane sends nothing for a while: throttled until a known time, or stopped by its breaker."""
    return lane.closed_reason is not None and (not lane.closed_until or lane.closed_until > now)

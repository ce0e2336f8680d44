"""The status of accounts and lanes, and why a job waits and until when.

The page and the command line show the same answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tidewaiter.database.account_store import Pause
from tidewaiter.database.lane_rows import LaneStatus
from tidewaiter.database.refresh_token_store import StoredToken
from tidewaiter.domain.job import State


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """The status of an account: its pause, the lanes that are closed for a while, and its live jobs by state.

    ``fault`` is why no daemon can serve it; then nobody knows its ``provider``. ``refresh_token`` says since when it
    has the one that its provider replaces.
    """

    account: str
    provider: str | None
    pause: Pause | None
    closed: tuple[LaneStatus, ...]
    jobs: Mapping[State, int]
    fault: str | None = None
    refresh_token: StoredToken | None = None


@dataclass(frozen=True, slots=True)
class Resumed:
    """The status of an account after its pause has ended.

    ``paused_s`` is how long it was paused, ``None`` if it was not; ``opened`` are the lanes that were closed before.
    ``tries_token``: its refresh token, which may have been used, is tried with the next login.
    """

    status: AccountStatus
    paused_s: float | None
    opened: tuple[LaneStatus, ...]
    tries_token: bool = False


def is_closed(lane: LaneStatus, now: float) -> bool:
    """Whether a lane sends nothing for a while: throttled until a known time, or stopped by its breaker."""
    return lane.closed_reason is not None and (not lane.closed_until or lane.closed_until > now)

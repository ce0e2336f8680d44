"""How lanes stand, in words: who serves them, what is left of their budget, and why they ask nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.domain.schedule import Limits
from app.providers.provider import BoundAccount
from app.store.accounts import Pause
from app.store.lanes import LaneStatus
from app.store.overview import MOST_DUE, Backlog, Picture


class Standing(StrEnum):
    """Whether a lane asks its provider."""

    OPEN = "open"
    THROTTLED = "throttled"
    BROKEN = "breaker open"
    PAUSED = "paused"
    UNSERVED = "unserved"
    UNKNOWN = "not configured"


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane as it is shown.

    ``until`` is when it opens again (epoch seconds), where that is known. ``used`` of ``limits.requests`` were spent
    within ``limits.period_s``. ``late_s`` is how long ago the first of its ``due`` jobs was due.
    """

    id: int
    account: str
    shard: int
    provider: str | None
    host: str | None
    standing: Standing
    reason: str | None
    until: float | None
    limits: Limits
    used: int
    live: int
    due: int
    late_s: float

    @property
    def due_text(self) -> str:
        """How many are due, as far as they were counted."""
        return f"{self.due:,}" if self.due <= MOST_DUE else f"over {MOST_DUE:,}"


def lanes_of(
    picture: Picture, accounts: Mapping[str, BoundAccount], shards: Mapping[str, int], now: float
) -> list[LaneView]:
    """The lanes as they are shown, by account and shard; those that serve nothing any more are left out.

    Args:
        picture: how everything stands.
        accounts: the configured accounts.
        shards: how many lanes each of them has.
        now: epoch seconds.
    """
    found = []
    live = [lane for lane in picture.lanes if lane.id in picture.backlogs and picture.backlogs[lane.id].live]
    sharing = {lane.account: lane.shard + 1 for lane in sorted(live, key=lambda lane: lane.shard)}
    for lane in picture.lanes:
        backlog = picture.backlogs.get(lane.id) or Backlog(lane.id, 0, 0, None)
        account = accounts.get(lane.account)
        number = shards.get(lane.account, 1)
        if (account is None or lane.shard >= number) and not backlog.live:
            continue
        limits = account.limits.share(max(number, sharing.get(lane.account, 1))) if account else Limits()
        since = now - limits.period_s
        standing, reason, until = _standing(lane, account, picture.pauses.get(lane.account), now)
        found.append(
            LaneView(
                lane.id,
                lane.account,
                lane.shard,
                account.provider if account else None,
                lane.host if lane.leased else None,
                standing,
                reason,
                until,
                limits,
                min(sum(at > since for at in lane.request_window), limits.requests or 0),
                backlog.live,
                backlog.due,
                max(0.0, now - backlog.oldest_due_at) if backlog.oldest_due_at is not None else 0.0,
            )
        )
    return found


def _standing(
    lane: LaneStatus, account: BoundAccount | None, pause: Pause | None, now: float
) -> tuple[Standing, str | None, float | None]:
    if account is None:
        return Standing.UNKNOWN, "its account is in no configuration that this daemon has read", None
    if pause is not None:
        return Standing.PAUSED, pause.reason, None
    if lane.closed_until and lane.closed_until > now:
        return Standing.THROTTLED, lane.closed_reason, lane.closed_until
    if lane.closed_reason is not None and not lane.closed_until:
        return Standing.BROKEN, lane.closed_reason, None
    if not lane.leased:
        return Standing.UNSERVED, "no daemon serves it now", None
    return Standing.OPEN, None, None

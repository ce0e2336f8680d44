"""Lanes as they are shown: who serves them, what is left of their budget, and why they send no requests."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.desk.waiting import LaneStanding, hold_of
from app.domain.schedule import Limits
from app.providers.provider import BoundAccount
from app.store.overview import MOST_DUE, Backlog, Picture


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane as it is shown.

    ``until`` is when it opens again (epoch seconds), if that is known. ``used`` of ``limits.requests`` were sent within
    ``limits.period_s``. ``late_s`` is how long ago the first of its ``due`` jobs was due.
    """

    id: int
    account: str
    shard: int
    provider: str | None
    host: str | None
    standing: LaneStanding
    reason: str | None
    until: float | None
    limits: Limits
    used: int
    live: int
    due: int
    late_s: float

    @property
    def due_text(self) -> str:
        """The number of due jobs, as far as they were counted."""
        return f"{self.due:,}" if self.due <= MOST_DUE else f"over {MOST_DUE:,}"


def lanes_of(
    picture: Picture, accounts: Mapping[str, BoundAccount], shards: Mapping[str, int], now: float
) -> list[LaneView]:
    """The lanes by account and shard, without those that have nothing to serve any more.

    Args:
        picture: the state of everything.
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
        hold = hold_of(lane, is_configured=account is not None, pause=picture.pauses.get(lane.account), now=now)
        found.append(
            LaneView(
                lane.id,
                lane.account,
                lane.shard,
                account.provider if account else None,
                lane.host if lane.leased else None,
                hold.standing,
                hold.reason,
                hold.until,
                limits,
                min(sum(at > since for at in lane.request_window), limits.requests or 0),
                backlog.live,
                backlog.due,
                max(0.0, now - backlog.oldest_due_at) if backlog.oldest_due_at is not None else 0.0,
            )
        )
    return found

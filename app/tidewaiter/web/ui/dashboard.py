"""What the pages show of the whole: the dashboard with its lanes, in words."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from tidewaiter.clock import Clock
from tidewaiter.database.dashboard_store import MOST_DUE, Dashboard, DashboardSnapshot, LaneBacklog
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.job import LIVE, Job
from tidewaiter.providers.bound_accounts import faulty_among
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.services import AccountService
from tidewaiter.services.wait_reasons import LaneCondition, lane_report, limit_opens_at


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane as it is shown.

    ``until`` is when it opens again (epoch seconds), if that is known; of an open lane, when its limit permits the next
    request, if it is used up. ``used`` of ``limits.requests`` were sent within
    ``limits.period_s``. ``late_s`` is how long ago the first of its ``due`` jobs was due.
    """

    id: int
    account: str
    shard: int
    provider: str | None
    host: str | None
    condition: LaneCondition
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
    snapshot: DashboardSnapshot, accounts: Mapping[str, BoundAccount], shards: Mapping[str, int], now: float
) -> list[LaneView]:
    """The lanes by account and shard, without those that have nothing to serve any more.

    Args:
        snapshot: the state of everything.
        accounts: the configured accounts.
        shards: how many lanes each of them has.
        now: epoch seconds.
    """
    found, faulty = [], faulty_among(accounts)
    live = [lane for lane in snapshot.lanes if lane.id in snapshot.backlogs and snapshot.backlogs[lane.id].live]
    sharing = {lane.account: lane.shard + 1 for lane in sorted(live, key=lambda lane: lane.shard)}
    for lane in snapshot.lanes:
        backlog = snapshot.backlogs.get(lane.id) or LaneBacklog(lane.id, 0, 0, None)
        account = accounts.get(lane.account)
        number = shards.get(lane.account, 1)
        fault = faulty.get(lane.account)
        if ((account is None and fault is None) or lane.shard >= number) and not backlog.live:
            continue
        limits = account.limits.share(max(number, sharing.get(lane.account, 1))) if account else Limits()
        since = now - limits.period_s
        pause = snapshot.pauses.get(lane.account)
        report = lane_report(lane, is_configured=account is not None, pause=pause, now=now, fault=fault)
        found.append(
            LaneView(
                id=lane.id,
                account=lane.account,
                shard=lane.shard,
                provider=account.provider.name if account else None,
                host=lane.host if lane.leased else None,
                condition=report.condition,
                reason=report.reason,
                until=report.until or (limit_opens_at(lane.request_window, limits, now) if report.is_open else None),
                limits=limits,
                used=min(sum(at > since for at in lane.request_window), limits.requests or 0),
                live=backlog.live,
                due=backlog.due,
                late_s=max(0.0, now - backlog.oldest_due_at) if backlog.oldest_due_at is not None else 0.0,
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class DashboardView:
    """The dashboard and its lanes; ``trouble`` is why it could not be refreshed, if it could not."""

    snapshot: DashboardSnapshot
    lanes: list[LaneView]
    trouble: str | None

    def limit_opens_at(self, job: Job, now: float) -> float | None:
        """When the used-up limit of its lane permits the next request; ``None`` if this job does not wait for that."""
        if job.state not in LIVE or job.due_at is None or job.due_at > now:
            return None
        lane = next((one for one in self.lanes if one.id == job.lane), None)
        return lane.until if lane is not None and lane.condition is LaneCondition.OPEN else None

    def closed_lane(self, job: Job, now: float) -> LaneView | None:
        """The lane of a due job if its provider has closed it for a while, or fails; ``None`` if it is not so."""
        if job.state not in LIVE or job.due_at is None or job.due_at > now:
            return None
        closed = LaneCondition.THROTTLED, LaneCondition.BROKEN
        return next((one for one in self.lanes if one.id == job.lane and one.condition in closed), None)


class DashboardReader:
    """Reads the dashboard for a caller.

    Args:
        accounts: has the accounts.
        overview: reads the state of everything.
        shards: how many lanes each account has.
        clock: the time.
        storage_trouble: why downloads wait for the storage, if they do.
        write_trouble: why the database accepts no writes, if it does not.
    """

    def __init__(
        self,
        accounts: Callable[[web.Request], AccountService],
        overview: Callable[[web.Request], Dashboard],
        shards: Callable[[], Mapping[str, int]],
        clock: Clock,
        *,
        storage_trouble: Callable[[], str | None],
        write_trouble: Callable[[], Awaitable[str | None]],
    ) -> None:
        self.storage_trouble = storage_trouble
        self.write_trouble = write_trouble
        self._accounts = accounts
        self._overview = overview
        self._shards = shards
        self._clock = clock

    async def read(self, request: web.Request) -> DashboardView:
        """The dashboard that the caller may see, or the last one while the database cannot be reached.

        Raises:
            StoreUnavailableError: the database could never be reached.
        """
        overview, trouble = self._overview(request), None
        try:
            snapshot = await overview.snapshot()
        except StoreUnavailableError as error:
            if overview.last is None:
                raise
            snapshot, trouble = overview.last, str(error)
        return DashboardView(
            snapshot, lanes_of(snapshot, self._accounts(request).accounts, self._shards(), self._clock.now()), trouble
        )

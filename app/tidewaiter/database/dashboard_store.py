"""The dashboard: jobs by state, what is due in each lane, and what has landed lately, of all accounts or of some.

The status page, a terminal and a scrape read it all the time, so only two counts here read all jobs, and they are kept
for a while where the database is large: see `job_census`. The rest reads a few index entries. Callers share one
snapshot.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import merge
from itertools import islice
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Double,
    Integer,
    ScalarSelect,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    or_,
    select,
)

from tidewaiter.clock import Clock
from tidewaiter.database import notification_store
from tidewaiter.database.account_store import AccountStore, Pause
from tidewaiter.database.due_store import FIRST_WAITING
from tidewaiter.database.errors import StoreUnavailableError
from tidewaiter.database.failure_store import FailureStore, UnhandledFailures
from tidewaiter.database.job_census import Census, Censuses
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_rows import LaneStatus, WorkerStatus
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.database.row_codec import JOB_COLUMNS, job_of
from tidewaiter.database.tables import artifacts, jobs, lanes
from tidewaiter.domain.account_scope import EVERY_ACCOUNT, Scope
from tidewaiter.domain.job import Job, State, Track

MOST_DUE: Final = 10_000
"""More due jobs than these are not counted in a lane."""
WINDOW_S: Final = 3600.0
STEP_S: Final = 60.0
_MOST_DELAYS: Final = 5_000
MOST_RECENT: Final = 20
MOST_TROUBLES: Final = 5
_DAY_S: Final = 86_400.0
_FRESH_S: Final = 1.0
_SHARE_OF_TIME: Final = 20.0
_FAULTY_S: Final = 2.0
_MOST_DASHBOARDS: Final = 64


@dataclass(frozen=True, slots=True)
class LaneBacklog:
    """What waits in a lane: how many jobs that have not ended, and how many of them are due.

    ``due`` is :data:`MOST_DUE` + 1 where there are more, and downloads under way are among them; ``oldest_due_at`` is
    since when (epoch seconds) the first is due that waits, see :data:`~tidewaiter.database.due_store.FIRST_WAITING`.
    """

    lane: int
    live: int
    due: int
    oldest_due_at: float | None


@dataclass(frozen=True, slots=True)
class Minute:
    """What ended in one step of the window that begins at ``at``: jobs by final state, and how long landing took.

    ``delays_s`` are, of some of them, the seconds from "ready" to the landed file, in ascending order.
    """

    at: float
    ended: Mapping[State, int]
    delays_s: Sequence[float]

    def delay_s(self, share: float) -> float | None:
        """The delay that this share of the landings stayed below; ``None`` where nothing landed."""
        return self.delays_s[min(len(self.delays_s) - 1, int(share * len(self.delays_s)))] if self.delays_s else None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A job that has landed its files lately: how many they are, their bytes, and the first one's name."""

    job: Job
    files: int
    size: int
    name: str | None


@dataclass(frozen=True, slots=True)
class DashboardSnapshot:
    """Everything at one moment: ``at`` in epoch seconds; ``minutes`` are those of the last hour, oldest first.

    ``parked`` and ``failures`` (those that nobody has handled) are the newest few of them; ``unhandled`` counts those
    failures by account and operation; ``undelivered`` is what each endpoint for notifications has not taken.
    """

    at: float
    counts: Mapping[State, int]
    lanes: Sequence[LaneStatus]
    workers: Sequence[WorkerStatus]
    pauses: Mapping[str, Pause]
    backlogs: Mapping[int, LaneBacklog]
    minutes: Sequence[Minute]
    arrivals: Sequence[Arrival]
    parked: Sequence[Job]
    failures: Sequence[Job]
    undelivered: Mapping[str, notification_store.EndpointBacklog] = field(default_factory=dict)
    unhandled: Sequence[UnhandledFailures] = ()


class DashboardStore:
    """Reads the dashboard. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        jobs: the jobs table.
        downloads: gives how many jobs of a lane are downloaded at once.
    """

    def __init__(self, jobs: JobStore, downloads: Callable[[], int]) -> None:
        self._database = jobs.database
        self._downloads = downloads
        self.jobs = jobs
        self.lanes = LaneStore(jobs.database)
        self.accounts = AccountStore(jobs.database)
        self.failures = FailureStore(jobs.database)
        self.censuses = Censuses(self._count)
        self.notifications = notification_store.NotificationStore(jobs.database)

    async def snapshot(self, now: float, account: str | None = None) -> DashboardSnapshot:
        """The whole snapshot at ``now`` (epoch seconds).

        With an account, ended jobs, failures and parked jobs are only this account's, and landed files those of a day.
        """
        census = await self.censuses.of(EVERY_ACCOUNT).at(now)
        return DashboardSnapshot(
            now,
            census.states,
            await self.lanes.all_lanes(),
            await self.lanes.workers(),
            await self.accounts.paused(),
            await self._backlogs(now, census.lives),
            await self.minutes(now, account),
            await self.arrivals(account=account, since=0.0 if account is None else now - _DAY_S),
            await self.jobs.find(account=account, states=[State.PARKED], limit=MOST_TROUBLES),
            await self.failures.newest(MOST_TROUBLES, account),
            await self.notifications.backlogs(),
            await self.failures.groups(None if account is None else [account]),
        )

    async def _count(self, now: float, scope: Scope) -> Census:
        states = await self.jobs.counts(scope.accounts)
        # What waits is counted for all lanes together.
        lives = {row[0]: row[1] for row in await self._rows(_LIVES)} if scope == EVERY_ACCOUNT else {}
        return Census(now, states, lives)

    async def backlogs(self, now: float) -> dict[int, LaneBacklog]:
        """The due jobs of each lane at ``now``."""
        return await self._backlogs(now, (await self.censuses.of(EVERY_ACCOUNT).at(now)).lives)

    async def _backlogs(self, now: float, lives: Mapping[int, int]) -> dict[int, LaneBacklog]:
        found: dict[int, LaneBacklog] = {}
        for number, *of_tracks in await self._rows(_BACKLOGS, now=now, most=MOST_DUE + 1, downloads=self._downloads()):
            due, first = sum(of_tracks[:2]), [at for at in of_tracks[2:] if at is not None and at <= now]
            found[number] = LaneBacklog(number, lives.get(number, 0), min(due, MOST_DUE + 1), min(first, default=None))
        return found

    async def minutes(self, now: float, account: str | None = None) -> list[Minute]:
        """The jobs that ended in each minute of the last hour, oldest first, of all accounts or of one."""
        since = now - WINDOW_S
        ended: list[dict[State, int]] = [{} for _ in range(int(WINDOW_S / STEP_S))]
        delays: list[list[float]] = [[] for _ in ended]
        for step, state, number in await self._rows(_ENDED, since=since, now=now, step=STEP_S, account=account):
            ended[min(step, len(ended) - 1)][State(state)] = number
        for at, delay_s in await self._rows(_DELAYS, since=since, limit=_MOST_DELAYS, account=account):
            delays[min(int((at - since) / STEP_S), len(delays) - 1)].append(max(0.0, delay_s))
        return [Minute(since + i * STEP_S, ended[i], sorted(delays[i])) for i in range(len(ended))]

    async def arrivals(self, limit: int = MOST_RECENT, account: str | None = None, since: float = 0.0) -> list[Arrival]:
        """The jobs that succeeded last, newest first, of all accounts or of one; since then (epoch seconds)."""
        rows = await self._rows(_ARRIVALS, since=since, limit=limit, account=account)
        return [Arrival(job_of(row[:-3]), *row[-3:]) for row in rows]

    async def _rows(self, statement: Any, **parameters: object) -> Sequence[Sequence[Any]]:
        return await self._database.read(lambda connection: connection.execute(statement, parameters).all())


class Dashboard:
    """One snapshot for many readers.

    Args:
        read: reads a snapshot at a time in epoch seconds.
        clock: the time.
    """

    def __init__(self, read: Callable[[float], Awaitable[DashboardSnapshot]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._turn = asyncio.Lock()
        self._snapshot: DashboardSnapshot | None = None
        self._fault: str | None = None
        self._good_until = 0.0

    @property
    def last(self) -> DashboardSnapshot | None:
        """The last snapshot, of any age; ``None`` before the first."""
        return self._snapshot

    async def snapshot(self) -> DashboardSnapshot:
        """A snapshot that is at most a second old, or as old as twenty times the duration of its reading.

        Raises:
            StoreUnavailableError: the database cannot be reached, or could not two seconds ago.
        """
        async with self._turn:
            began = self._clock.monotonic()
            if began < self._good_until and self._fault is not None:
                raise StoreUnavailableError(self._fault)
            if began < self._good_until and self._snapshot is not None:
                return self._snapshot
            try:
                self._snapshot = await self._read(self._clock.now())
            except StoreUnavailableError as error:
                # A database that does not answer costs seconds, and many callers may be waiting here.
                self._fault, self._good_until = str(error), self._clock.monotonic() + _FAULTY_S
                raise
            ended = self._clock.monotonic()
            self._fault, self._good_until = None, ended + max(_FRESH_S, _SHARE_OF_TIME * (ended - began))
            return self._snapshot


class Dashboards:
    """One dashboard for each scope in use: for each limited token, and one for all accounts.

    Args:
        store: reads their snapshots.
        clock: the time.
    """

    def __init__(self, store: DashboardStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._made: dict[Scope, Dashboard] = {}

    def of(self, scope: Scope) -> Dashboard:
        """The dashboard of these accounts."""
        if scope not in self._made and len(self._made) >= _MOST_DASHBOARDS:  # a reload may add scopes
            self._made.clear()
        return self._made.setdefault(scope, Dashboard(partial(limited_snapshot, self._store, scope=scope), self._clock))


async def limited_snapshot(store: DashboardStore, now: float, scope: Scope) -> DashboardSnapshot:
    """The snapshot of the accounts of ``scope`` at ``now`` (epoch seconds).

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    if scope.accounts is None:
        return await store.snapshot(now)
    names = sorted(scope.accounts)
    lanes = [lane for lane in await store.lanes.all_lanes() if lane.account in scope]
    numbers = {lane.id for lane in lanes}
    pauses, backlogs = await store.accounts.paused(), await store.backlogs(now)
    arrivals = [await store.arrivals(account=name) for name in names]
    parked = [await store.jobs.find(account=name, states=[State.PARKED], limit=MOST_TROUBLES) for name in names]
    failures = [await store.failures.newest(MOST_TROUBLES, name) for name in names]
    return DashboardSnapshot(
        now,
        (await store.censuses.of(scope).at(now)).states,
        lanes,
        await store.lanes.workers(),
        {name: pause for name, pause in pauses.items() if name in scope},
        {number: backlog for number, backlog in backlogs.items() if number in numbers},
        _added_minutes([await store.minutes(now, name) for name in names]),
        list(islice(merge(*arrivals, key=lambda one: -(one.job.finished_at or 0.0)), MOST_RECENT)),
        list(islice(merge(*parked, key=lambda job: -job.id), MOST_TROUBLES)),
        list(islice(merge(*failures, key=lambda job: -job.id), MOST_TROUBLES)),
        await store.notifications.limited_to(scope).backlogs(),
        await store.failures.groups(names),
    )


def _added_minutes(of_accounts: Collection[list[Minute]]) -> list[Minute]:
    """The minutes of several accounts in one list: outcomes added, delays together."""
    made: list[Minute] = []
    for same in zip(*of_accounts, strict=True):
        ended = {state: sum(one.ended.get(state, 0) for one in same) for one in same for state in one.ended}
        made.append(Minute(same[0].at, ended, sorted(delay for one in same for delay in one.delays_s)))
    return made


_NOW: Final[BindParameter[float]] = bindparam("now", type_=Double())
_SINCE: Final[BindParameter[float]] = bindparam("since", type_=Double())
_LIMIT: Final = bindparam("limit", type_=Integer())


def _due(track: Track) -> ScalarSelect[int]:
    """How many jobs of the outer query's lane are due; the count stops at a limit."""
    of_stream = (jobs.c.lane == lanes.c.id, jobs.c.track == track.value, jobs.c.due_at <= _NOW)
    some: Select[Any] = select(literal_column("1")).where(*of_stream).limit(bindparam("most", type_=Integer()))
    return select(func.count()).select_from(some.correlate(lanes).subquery()).scalar_subquery()


_LIVES: Final = select(jobs.c.lane, func.count()).where(jobs.c.due_at.is_not(None)).group_by(jobs.c.lane)
_BACKLOGS: Final = select(lanes.c.id, _due(Track.ASK), _due(Track.FETCH), *FIRST_WAITING)
_ACCOUNT: Final = bindparam("account", type_=Text())
_OF_ACCOUNT: Final = or_(_ACCOUNT.is_(None), jobs.c.account == _ACCOUNT)
_STEP: Final = cast(func.floor((jobs.c.finished_at - _SINCE) / bindparam("step", type_=Double())), BigInteger)
_ENDED: Final = (
    select(_STEP.label("step"), jobs.c.state, func.count())
    .where(jobs.c.finished_at > _SINCE, jobs.c.finished_at <= _NOW, _OF_ACCOUNT)
    .group_by(literal_column("1"), jobs.c.state)
)
_DELAYS: Final = (
    select(jobs.c.finished_at, jobs.c.landed_at - jobs.c.ready_at)
    .where(jobs.c.finished_at > _SINCE, jobs.c.landed_at.is_not(None), jobs.c.ready_at.is_not(None), _OF_ACCOUNT)
    .order_by(jobs.c.finished_at.desc())
    .limit(_LIMIT)
)
# PostgreSQL's sum of whole numbers is a decimal, which JSON does not have.
_SIZE: Final = cast(func.coalesce(func.sum(artifacts.c.size), 0), BigInteger)
_OF_JOB: Final = artifacts.c.job_id == jobs.c.id
# Prevents the use of the index by state: only the index over the times of ends finds the latest jobs fast.
_KEPT_STATE: Final = func.coalesce(jobs.c.state, "")
_ARRIVALS: Final = (
    select(
        *JOB_COLUMNS,
        select(func.count()).where(_OF_JOB).scalar_subquery(),
        select(_SIZE).where(_OF_JOB).scalar_subquery(),
        select(artifacts.c.name).where(_OF_JOB).order_by(artifacts.c.number).limit(1).scalar_subquery(),
    )
    .where(_KEPT_STATE.in_([State.SUCCEEDED.value]), jobs.c.finished_at > _SINCE, _OF_ACCOUNT)
    .order_by(jobs.c.finished_at.desc())
    .limit(_LIMIT)
)

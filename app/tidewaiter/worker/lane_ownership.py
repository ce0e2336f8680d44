"""Leases: which lanes this daemon serves. Takes free and expired ones up to its share, renews them, gives back surplus.

Every third of the lease time one statement renews all leases, by the database's clock. A lane that was not renewed has
another owner: its steps are stopped, and its writes would be refused. While the database cannot be reached, leases run
out by themselves: :class:`Lease` counts down on the monotonic clock.

When the configuration changes, the lanes of the accounts that it concerns are replaced under their lease: the old lane
ends its steps, and the new one starts with the same request window. No other daemon can take the lane in between, and
all other lanes continue.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from tidewaiter.clock import Clock, WakeableTimer
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.database.lane_rows import LaneRow
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.http_values import Json
from tidewaiter.log import EventLog
from tidewaiter.worker.lane import Lane
from tidewaiter.worker.lease import Lease, moment

_RENEWALS_PER_LEASE = 3
_LAST_COMMIT_S = 5.0
_LONGEST_ROUND_S = 120.0


@dataclass(frozen=True, slots=True)
class DaemonIdentity:
    """Identifies this daemon. ``owner`` is random per boot: another process may have the same host name."""

    owner: str
    host: str
    pid: int
    version: str


@dataclass(frozen=True, slots=True)
class LanePlan:
    """Which lanes a configuration serves, and how they are built.

    ``accounts`` has the settings of every account of this daemon, secrets included; lanes of other accounts are not
    taken. ``make_lane`` builds a lane that was taken.
    """

    accounts: Mapping[str, Mapping[str, Json]]
    make_lane: Callable[[LaneRow, Lease], Lane]


class LaneOwnership:
    """Keeps the set of lanes that this daemon serves.

    Args:
        store: the lanes table.
        identity: of this daemon.
        plan: which lanes to serve, and how they are built.
        lease_s: how long a lease lasts without renewal.
        alone: whether no other daemon can use this database (SQLite, whose file lock proves it).
        outcomes_settled: waits until every outcome handed over for commit so far is committed or refused.
        clock: the time.
        log: receives which lanes come and go.
    """

    def __init__(
        self,
        store: LaneStore,
        identity: DaemonIdentity,
        plan: LanePlan,
        *,
        lease_s: float,
        alone: bool,
        outcomes_settled: Callable[[], Awaitable[None]],
        clock: Clock,
        log: EventLog,
    ) -> None:
        self._store = store
        self._identity = identity
        self._plan = plan
        self._suspended: frozenset[str] = frozenset()
        self._lease_s = lease_s
        self._alone = alone
        self._outcomes_settled = outcomes_settled
        self._clock = clock
        self._log = log
        self._lanes: dict[int, Lane] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._ending = False
        self._has_left = False
        self._in_touch = False
        self._round_began_at: float | None = None
        self._group: asyncio.TaskGroup | None = None
        self._one_round = asyncio.Lock()
        self._timer = WakeableTimer(clock)

    @property
    def lanes(self) -> Mapping[int, Lane]:
        """The lanes being served, by number."""
        return self._lanes

    @property
    def in_touch(self) -> bool:
        """Whether the last round succeeded, so that this daemon serves all lanes of its share."""
        return self._in_touch

    @property
    def stalled(self) -> bool:
        """Whether no round has begun for so long that something must be stuck."""
        if self._round_began_at is None:
            return False
        return self._clock.monotonic() - self._round_began_at > self._lease_s + _LONGEST_ROUND_S

    async def run(self) -> None:
        """Take and renew until cancelled; the lanes' tasks belong to this call."""
        is_away = False
        async with asyncio.TaskGroup() as self._group:
            while True:
                self._round_began_at = self._clock.monotonic()
                try:
                    async with self._one_round:
                        await self._round()
                    self._in_touch = True
                    if is_away:
                        is_away = False
                        self._log.emit("store.resumed", waiting=0)
                except StoreUnavailableError as error:
                    self._in_touch, is_away = False, True
                    self._log.emit("store.unavailable", reason=str(error), waiting=0)
                    self._drop_expired()
                await self._timer.sleep(self._lease_s / _RENEWALS_PER_LEASE)

    async def suspend(self, accounts: Collection[str], grace_s: float) -> int:
        """End all steps of the lanes of these accounts: by themselves, or stopped after ``grace_s``.

        The leases are kept, and renewed meanwhile. :meth:`reconfigure` starts the lanes again.

        Returns:
            How many lanes were suspended.
        """
        async with self._one_round:
            self._suspended = frozenset(accounts)
        lanes = [lane for lane in self._lanes.values() if lane.row.account in self._suspended]
        if lanes:
            await self._end_steps(lanes, grace_s)
            await self._outcomes_settled()
        return len(lanes)

    def reconfigure(self, plan: LanePlan) -> None:
        """Serve these accounts from now on, and build the suspended lanes again.

        The next round begins now. It gives back lanes of accounts that are gone, and takes lanes of new accounts.
        """
        suspended = [lane for lane in self._lanes.values() if lane.row.account in self._suspended]
        self._plan, self._suspended = plan, frozenset()
        for lane in suspended:
            if lane.row.account in plan.accounts and not self._ending:
                self._serve(_row_of(lane), lane.lease)
        self._timer.wake()

    async def end(self, grace_s: float) -> bool:
        """Begin no more steps, wait for those under way, stop the rest after ``grace_s``. Leases are renewed meanwhile.

        Returns:
            Whether every step ended by itself and every outcome was committed.
        """
        self._ending = True
        clean = await self._end_steps(list(self._lanes.values()), grace_s)
        try:
            async with asyncio.timeout(_LAST_COMMIT_S):
                await self._outcomes_settled()
        except TimeoutError:
            return False
        return clean

    async def give_back(self) -> None:
        """Free every lane that is still ours and leave the list of workers.

        It waits for a round under way, and no round follows: a renewal at the same moment would find the lanes free,
        treat them as lost, and put this daemon on the list again.
        """
        async with self._one_round:
            self._has_left = True
            states = {number: lane.state() for number, lane in self._lanes.items()}
            await self._store.give_back(self._identity.owner, states)
            await self._store.remove_worker(self._identity.owner)
            for number, lane in self._lanes.items():
                self._log.emit("lane.given_back", lane=number, account=lane.row.account)
            self._lanes.clear()

    async def _round(self) -> None:
        """Renew the leases, then give back or take lanes."""
        if self._has_left:
            return
        me = self._identity
        await self._store.heartbeat(me.owner, me.host, me.pid, me.version, self._lease_s)
        await self._renew()
        if self._ending:
            return
        await self._release(self._leaving())
        share = await self._store.share(self._plan.accounts.keys())
        mine = share.lanes if self._alone else math.ceil(share.lanes / max(1, share.workers))
        if len(self._lanes) > mine:
            await self._release(self._least_busy()[: len(self._lanes) - mine])
        elif len(self._lanes) < mine:
            if not self._in_touch:
                await self._write_own_outcomes()
            await self._take(mine - len(self._lanes))

    async def _write_own_outcomes(self) -> None:
        """Let what steps have learned be written before this daemon takes its expired lanes from itself.

        While nobody else has taken them, their epochs are still valid, and a new one would refuse these outcomes: a
        submit whose reply is known would be in doubt. Renewed lanes wait meanwhile, for a third of their lease.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._lease_s / _RENEWALS_PER_LEASE):
                await self._outcomes_settled()

    def _leaving(self) -> list[Lane]:
        """The lanes of accounts that are gone, and those that an earlier round closed but failed to give back.

        Closed lanes do no work. If the share allows them again, they are taken anew.
        """
        accounts = self._plan.accounts
        return [lane for lane in self._movable() if lane.is_closed or lane.row.account not in accounts]

    def _least_busy(self) -> list[Lane]:
        """The lanes that can be given back, the one with the fewest steps under way first."""
        return sorted(self._movable(), key=lambda lane: (lane.in_flight, -lane.row.id))

    def _movable(self) -> list[Lane]:
        """The lanes that a round may give back: all but the suspended ones, which start again here."""
        return [lane for lane in self._lanes.values() if lane.row.account not in self._suspended]

    async def _renew(self) -> None:
        asked = moment(self._clock)
        states = {number: lane.state() for number, lane in self._lanes.items()}
        held = await self._store.renew(self._identity.owner, self._lease_s, states) if states else set()
        for number, lane in list(self._lanes.items()):
            if number in held:
                lane.lease.renewed(*asked)
            else:
                self._drop(number)

    async def _take(self, most: int) -> None:
        asked = moment(self._clock)
        rows = await self._store.take(
            self._identity.owner,
            most,
            self._lease_s,
            force=self._alone,
            accounts=self._plan.accounts.keys() - self._suspended,
            held=self._lanes.keys(),
        )
        for row in rows:
            if row.id in self._lanes:
                continue
            self._serve(row, Lease(row.id, row.epoch, self._clock, self._lease_s, asked))
            self._log.emit("lane.taken", lane=row.id, account=row.account, epoch=row.epoch, clean=row.clean)

    def _serve(self, row: LaneRow, lease: Lease) -> None:
        if self._group is None:
            raise RuntimeError("lanes are served only while run() runs")
        lane = self._plan.make_lane(row, lease)
        if self._ending:  # taken by a round that ran when the end began: it is given back unused
            lane.close()
        self._lanes[row.id] = lane
        self._tasks[row.id] = self._group.create_task(lane.run())

    async def _release(self, lanes: Sequence[Lane]) -> None:
        """Give lanes back; each becomes free only when its steps have ended.

        The other lanes are not renewed meanwhile. Together with the sleep that follows, the waits here are shorter than
        a lease.

        Raises:
            StoreUnavailableError: the lanes are still held, and closed.
        """
        if not lanes:
            return
        grace_s = self._lease_s / _RENEWALS_PER_LEASE
        await self._end_steps(lanes, grace_s)
        try:
            async with asyncio.timeout(grace_s / 2):
                await self._outcomes_settled()
        except TimeoutError:
            raise StoreUnavailableError("Outcomes of lanes that are to be given back are not committed yet.") from None
        states = {lane.row.id: lane.state() for lane in lanes}
        await self._store.give_back(self._identity.owner, states)
        for lane in lanes:
            self._forget(lane.row.id)
            self._log.emit("lane.given_back", lane=lane.row.id, account=lane.row.account)

    async def _end_steps(self, lanes: Sequence[Lane], grace_s: float) -> bool:
        """Close lanes and wait until their steps have ended; those under way after ``grace_s`` are stopped.

        Returns:
            Whether every step ended by itself.
        """
        for lane in lanes:
            lane.close(grace_s)
        tasks = [self._tasks[lane.row.id] for lane in lanes]
        if not tasks:
            return True
        _, running = await asyncio.wait(tasks, timeout=grace_s)
        for lane in lanes:
            lane.interrupt()
        await asyncio.wait(tasks)
        return not running

    def _drop_expired(self) -> None:
        for number, lane in list(self._lanes.items()):
            if not lane.lease.held():
                self._drop(number)

    def _drop(self, number: int) -> None:
        lane = self._lanes[number]
        lane.lease_lost()
        self._forget(number)
        self._log.emit("lane.lost", lane=number, account=lane.row.account)

    def _forget(self, number: int) -> None:
        del self._lanes[number]
        del self._tasks[number]


def _row_of(lane: Lane) -> LaneRow:
    """The row of a lane, as if the lane had been given back and taken again."""
    state = lane.state()
    return replace(
        lane.row,
        closed_until=state.closed_until,
        closed_reason=state.closed_reason,
        request_window=tuple(state.request_window),
        clean=True,
    )

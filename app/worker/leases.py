"""Leases: which lanes this daemon serves. Takes free and expired ones up to its share, renews, gives back the surplus.

Every third of the lease time one statement renews all leases, by the database's clock. A lane that was not renewed has
passed on: its steps are stopped and its writes would be refused. While the database cannot be reached the leases run
out by themselves: ``Hold`` counts down on the monotonic clock.

When the configuration changes, the lanes of the accounts that it concerns are exchanged under their lease: the old one
ends its steps, and the new one begins with the exact window that the old one has left. Nobody else can take the lane
in between, and every other lane goes on.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from app.clock import Clock
from app.log import EventLog
from app.store.engine import StoreUnavailableError
from app.store.lanes import LaneRow, LaneStore
from app.worker.hold import Hold, moment
from app.worker.lane import Lane
from app.worker.nap import Nap

_RENEWALS_PER_LEASE = 3
_LAST_COMMIT_S = 5.0
_LONGEST_ROUND_S = 120.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this daemon is. ``owner`` is random per boot: a host name can be used again by another process."""

    owner: str
    host: str
    pid: int
    version: str


class Leases:
    """Keeps the set of lanes that this daemon serves.

    Args:
        store: the lanes table.
        identity: who takes them.
        accounts: the accounts that this daemon knows; lanes of others are left alone.
        lease_s: how long a lease lasts without renewal.
        alone: nobody else can hold a lane of this database (SQLite, whose file lock proves it).
        make_lane: builds a lane that was taken.
        outcomes_settled: waits until every outcome handed to the recorder so far is committed or refused.
        clock: the time.
        log: told of lanes that come and go.
    """

    def __init__(
        self,
        store: LaneStore,
        identity: Identity,
        *,
        accounts: Collection[str],
        lease_s: float,
        alone: bool,
        make_lane: Callable[[LaneRow, Hold], Lane],
        outcomes_settled: Callable[[], Awaitable[None]],
        clock: Clock,
        log: EventLog,
    ) -> None:
        self._store = store
        self._identity = identity
        self._accounts = frozenset(accounts)
        self._held_back: frozenset[str] = frozenset()
        self._lease_s = lease_s
        self._alone = alone
        self._make_lane = make_lane
        self._outcomes_settled = outcomes_settled
        self._clock = clock
        self._log = log
        self._lanes: dict[int, Lane] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._ending = False
        self._has_left = False
        self._in_touch = False
        self._tried_at: float | None = None
        self._group: asyncio.TaskGroup | None = None
        self._one_round = asyncio.Lock()
        self._nap = Nap(clock)

    @property
    def lanes(self) -> Mapping[int, Lane]:
        """The lanes being served, by number."""
        return self._lanes

    @property
    def in_touch(self) -> bool:
        """Whether the last round of renewals could be made: the lanes that there are for this daemon are served."""
        return self._in_touch

    @property
    def stalled(self) -> bool:
        """Whether no round was begun for so long that something must be stuck."""
        if self._tried_at is None:
            return False
        return self._clock.monotonic() - self._tried_at > self._lease_s + _LONGEST_ROUND_S

    async def run(self) -> None:
        """Take and renew until cancelled; the lanes' tasks belong to this call."""
        async with asyncio.TaskGroup() as self._group:
            while True:
                self._tried_at = self._clock.monotonic()
                try:
                    async with self._one_round:
                        await self._round()
                    self._in_touch = True
                except StoreUnavailableError as error:
                    self._in_touch = False
                    self._log.emit("store.unavailable", reason=str(error), waiting=0)
                    self._drop_expired()
                await self._nap.sleep(self._lease_s / _RENEWALS_PER_LEASE)

    async def hold_back(self, accounts: Collection[str], grace_s: float) -> None:
        """Let the lanes of these accounts come to rest: what is under way ends, or is stopped after ``grace_s``.

        The leases are kept, and renewed meanwhile. :meth:`go_on` begins again.
        """
        async with self._one_round:
            self._held_back = frozenset(accounts)
        resting = [lane for lane in self._lanes.values() if lane.row.account in self._held_back]
        tasks = [self._tasks[lane.row.id] for lane in resting]
        for lane in resting:
            lane.close(grace_s)
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
            for lane in resting:
                lane.interrupt()
            await asyncio.wait(tasks)
            await self._outcomes_settled()

    def go_on(self, accounts: Collection[str], make_lane: Callable[[LaneRow, Hold], Lane]) -> int:
        """Serve these accounts, with lanes that are built like this, instead of those before.

        Lanes that were held back are built anew. Those of accounts that are gone are given back in a moment, those of
        new ones taken.

        Returns:
            How many lanes were held back.
        """
        resting = [lane for lane in self._lanes.values() if lane.row.account in self._held_back]
        self._accounts, self._make_lane, self._held_back = frozenset(accounts), make_lane, frozenset()
        for lane in resting:
            if lane.row.account in self._accounts and not self._ending:
                self._serve(_as_left(lane), lane.hold)
        self._nap.wake()
        return len(resting)

    async def end(self, grace_s: float) -> bool:
        """Begin no more steps, wait for those under way, stop what is left after ``grace_s``; renewals go on meanwhile.

        Returns:
            Whether every step ended by itself and every outcome was committed.
        """
        self._ending = True
        for lane in self._lanes.values():
            lane.close(grace_s)
        pending = set(self._tasks.values())
        if pending:
            _, pending = await asyncio.wait(pending, timeout=grace_s)
        for lane in self._lanes.values():
            lane.interrupt()
        if pending:
            await asyncio.wait(pending)
        try:
            async with asyncio.timeout(_LAST_COMMIT_S):
                await self._outcomes_settled()
        except TimeoutError:
            return False
        return not pending

    async def give_back(self) -> None:
        """Free every lane that is still ours and leave the list of workers.

        A renewal at the same moment would take lanes that are free for lost, and put this daemon on the list again: it
        is waited for, and none follows.
        """
        async with self._one_round:
            self._has_left = True
            states = {number: lane.state() for number, lane in self._lanes.items()}
            await self._store.give_back(self._identity.owner, states)
            await self._store.forget(self._identity.owner)
            for number, lane in self._lanes.items():
                self._log.emit("lane.given_back", lane=number, account=lane.row.account)
            self._lanes.clear()

    async def _round(self) -> None:
        """One renewal, and what follows from it."""
        if self._has_left:
            return
        me = self._identity
        await self._store.beat(me.owner, me.host, me.pid, me.version, self._lease_s)
        await self._renew()
        if self._ending:
            return
        await self._release(self._leaving())
        share = await self._store.share(self._accounts)
        mine = share.lanes if self._alone else math.ceil(share.lanes / max(1, share.workers))
        if len(self._lanes) > mine:
            await self._release(self._quietest()[: len(self._lanes) - mine])
        elif len(self._lanes) < mine:
            await self._take(mine - len(self._lanes))

    def _leaving(self) -> list[Lane]:
        """The lanes of accounts that are gone, and those closed in an earlier round, which failed to give them back.

        Closed lanes serve nobody. Should the share allow them again they are taken anew.
        """
        return [lane for lane in self._movable() if lane.is_closed or lane.row.account not in self._accounts]

    def _quietest(self) -> list[Lane]:
        """The lanes that can be given back, the one with the least under way first."""
        return sorted(self._movable(), key=lambda lane: (lane.in_flight, -lane.row.id))

    def _movable(self) -> list[Lane]:
        """The lanes that a round may give back: not those that are held back, which begin anew here."""
        return [lane for lane in self._lanes.values() if lane.row.account not in self._held_back]

    async def _renew(self) -> None:
        asked = moment(self._clock)
        states = {number: lane.state() for number, lane in self._lanes.items()}
        held = await self._store.renew(self._identity.owner, self._lease_s, states) if states else set()
        for number, lane in list(self._lanes.items()):
            if number in held:
                lane.hold.renewed(*asked)
            else:
                self._drop(number)

    async def _take(self, most: int) -> None:
        asked = moment(self._clock)
        rows = await self._store.take(
            self._identity.owner,
            most,
            self._lease_s,
            force=self._alone,
            accounts=self._accounts - self._held_back,
            held=self._lanes.keys(),
        )
        for row in rows:
            if row.id in self._lanes:
                continue
            hold = Hold(row.id, row.epoch, self._clock, self._lease_s, asked)
            self._serve(row, hold)
            self._log.emit("lane.taken", lane=row.id, account=row.account, epoch=row.epoch, clean=row.clean)

    def _serve(self, row: LaneRow, hold: Hold) -> None:
        if self._group is None:
            raise RuntimeError("lanes are served while run() is")
        lane = self._make_lane(row, hold)
        self._lanes[row.id] = lane
        self._tasks[row.id] = self._group.create_task(lane.run())

    async def _release(self, lanes: Sequence[Lane]) -> None:
        """Give lanes back; each is freed only when its steps have ended.

        The other lanes are not renewed meanwhile. With the nap that follows, the waits here are shorter than a lease.

        Raises:
            StoreUnavailableError: the lanes are still held, and closed.
        """
        if not lanes:
            return
        patience_s = self._lease_s / _RENEWALS_PER_LEASE
        for lane in lanes:
            lane.close(patience_s)
        await asyncio.wait([self._tasks[lane.row.id] for lane in lanes], timeout=patience_s)
        for lane in lanes:
            lane.interrupt()
        await asyncio.wait([self._tasks[lane.row.id] for lane in lanes])
        try:
            async with asyncio.timeout(patience_s / 2):
                await self._outcomes_settled()
        except TimeoutError:
            raise StoreUnavailableError("Outcomes of lanes that are to be given back are not committed yet.") from None
        states = {lane.row.id: lane.state() for lane in lanes}
        await self._store.give_back(self._identity.owner, states)
        for lane in lanes:
            self._forget(lane.row.id)
            self._log.emit("lane.given_back", lane=lane.row.id, account=lane.row.account)

    def _drop_expired(self) -> None:
        for number, lane in list(self._lanes.items()):
            if not lane.hold.held():
                self._drop(number)

    def _drop(self, number: int) -> None:
        lane = self._lanes[number]
        lane.lose()
        self._forget(number)
        self._log.emit("lane.lost", lane=number, account=lane.row.account)

    def _forget(self, number: int) -> None:
        del self._lanes[number]
        del self._tasks[number]


def _as_left(lane: Lane) -> LaneRow:
    """A lane as it would be taken now, had it been given back."""
    state = lane.state()
    return replace(
        lane.row,
        closed_until=state.closed_until,
        closed_reason=state.closed_reason,
        request_window=tuple(state.request_window),
        clean=True,
    )

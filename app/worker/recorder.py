"""The recorder: commits what steps have learned, many outcomes in one transaction, each fenced.

One transaction per outcome would cost five times as much as the outcome itself, so outcomes gather for a few
milliseconds and go to the database together. An outcome that somebody waits for (an intent, before its POST) cuts the
gathering short. Nothing is told to anybody, the log included, before its commit.

While the database cannot be written the outcomes are kept and the same group is tried again; ``room`` then holds back
new steps, so that what is kept stays bounded.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from random import Random
from typing import TypeVar

from app.clock import Clock
from app.domain import outcome as o
from app.domain.job import LIVE
from app.domain.machine import Update, advance
from app.domain.schedule import Policy
from app.log import EventLog
from app.store.engine import StoreUnavailableError
from app.store.jobs import FencedUpdate, JobStore, Recorded
from app.worker.narrator import Narrator

T = TypeVar("T")

_LINGER_S = 0.02
_LONGER_LINGER_S = 0.13
_LARGEST_GROUP = 512
_MOST_WAITING = 2048
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)


def _uncounted(_updates: int, _seconds: float) -> None:
    pass


class Verdict(Enum):
    """What became of an outcome that was handed in."""

    ACCEPTED = "accepted"
    STALE = "stale"
    """The lane's lease or the job's version has moved on; nothing was written."""
    CONFLICT = "conflict"
    """Another job follows the same remote job already; nothing was written."""
    UNWRITABLE = "unwritable"
    """The database will never take its values; the job was failed in its place, where it still stood as it was."""


@dataclass(frozen=True, slots=True)
class _Item:
    fenced: FencedUpdate
    settled: Callable[[Update, Verdict], None]
    shares: bool
    verdict: Verdict = Verdict.ACCEPTED

    def as_failed(self, update: Update) -> "_Item":
        """What is written in place of an update that cannot be."""
        return replace(self, fenced=FencedUpdate(update, self.fenced.epoch), shares=False, verdict=Verdict.UNWRITABLE)

    def as_shared(self) -> "_Item":
        """The same, as an update of a job that follows a remote job together with another one."""
        update = self.fenced.update
        again = FencedUpdate(replace(update, job=update.job.but(shared=True)), self.fenced.epoch)
        return replace(self, fenced=again)


class Recorder:
    """Takes updates from lanes and commits them in groups.

    Args:
        jobs: where they are committed.
        owner: the name of this daemon's boot; part of the fence.
        clock: paces the gathering and the retries.
        log: told of an unavailable database.
        narrator: told of every update after its commit.
        committed: told of each group's size, and of the seconds that its commit took.
    """

    def __init__(
        self,
        jobs: JobStore,
        owner: str,
        clock: Clock,
        log: EventLog,
        narrator: Narrator,
        *,
        committed: Callable[[int, float], None] = _uncounted,
    ) -> None:
        self._jobs = jobs
        self._owner = owner
        self._clock = clock
        self._log = log
        self._narrator = narrator
        self._committed = committed
        self._rand = Random(0)  # what ends has nothing to spread
        self._items: list[_Item] = []
        self._arrived = asyncio.Event()
        self._hurry = asyncio.Event()
        self._handed_in = 0
        self._settled = 0
        self._progress = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()

    def record(
        self,
        update: Update,
        epoch: int,
        settled: Callable[[Update, Verdict], None],
        *,
        urgent: bool = False,
        shares: bool = False,
    ) -> None:
        """Hand in an update; ``settled`` is called with the verdict after the commit, from the event loop.

        ``shares`` says that jobs may follow one remote job together: what brings the handle of another job is written
        as an update of a shared job then, and no conflict.
        """
        self._hand_in(_Item(FencedUpdate(update, epoch), settled, shares), urgent=urgent)

    def _hand_in(self, item: _Item, *, urgent: bool) -> None:
        self._items.append(item)
        self._handed_in += 1
        self._arrived.set()
        if urgent or len(self._items) >= _LARGEST_GROUP:
            self._hurry.set()
        if len(self._items) >= _MOST_WAITING:
            self.room.clear()

    async def commit(self, update: Update, epoch: int) -> Verdict:
        """Hand in an update and wait until it is durable, or refused."""
        verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()

        def settled(_: Update, told: Verdict) -> None:
            if not verdict.done():
                verdict.set_result(told)

        self.record(update, epoch, settled, urgent=True)
        return await verdict

    @property
    def waiting(self) -> int:
        """Updates that were handed in and have no verdict yet."""
        return self._handed_in - self._settled

    async def settled(self) -> None:
        """Wait until everything that was handed in so far has its verdict."""
        last = self._handed_in
        while self._settled < last:
            self._hurry.set()
            self._progress.clear()
            await self._progress.wait()

    async def run(self) -> None:
        """Commit groups until cancelled."""
        while True:
            await self._arrived.wait()
            await self._gather()
            group, self._items = _one_of_each(self._items)
            if not self._items:
                self._arrived.clear()
                self._hurry.clear()
            recorded = await self._write([item.fenced for item in group])
            await self._settle(group, recorded)
            self._settled += len(group)
            self._progress.set()
            if len(self._items) < _MOST_WAITING:
                self.room.set()

    async def _gather(self) -> None:
        """Let outcomes gather, unless somebody waits for one; polls that say "not yet" have the most time."""
        for linger_s in (_LINGER_S, _LONGER_LINGER_S):
            with suppress(TimeoutError):
                async with asyncio.timeout(linger_s):
                    await self._hurry.wait()
            if self._hurry.is_set() or any(item.fenced.update.entry is not None for item in self._items):
                return

    async def _write(self, group: list[FencedUpdate]) -> Recorded:
        """Commit a group; tries again for as long as the database is unavailable."""
        begun_at = self._clock.monotonic()

        async def record() -> Recorded:
            nonlocal begun_at
            begun_at = self._clock.monotonic()
            return await self._recorded(group)

        recorded = await self._patiently(record, len(group))
        self._committed(len(group), self._clock.monotonic() - begun_at)
        return recorded

    async def _recorded(self, group: list[FencedUpdate]) -> Recorded:
        """Commit a group; what holds a value that cannot even be encoded, such as NaN, is found by halving it."""
        try:
            return await self._jobs.record(group, self._owner)
        except ValueError as error:
            if len(group) == 1:
                return Recorded(frozenset(), unwritable=((group[0].update.job.id, str(error)),))
        middle = len(group) // 2
        first, second = await self._recorded(group[:middle]), await self._recorded(group[middle:])
        return Recorded(
            first.accepted | second.accepted,
            first.conflicts + second.conflicts,
            first.unwritable + second.unwritable,
        )

    async def _patiently(self, work: Callable[[], Awaitable[T]], waiting: int) -> T:
        """Do what needs the database, as soon as it is available; ``waiting`` is how many updates wait for that."""
        tries = 0
        while True:
            try:
                done = await work()
            except StoreUnavailableError as error:
                self._log.emit("store.unavailable", reason=str(error), waiting=waiting + len(self._items))
                await self._clock.sleep(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
                tries += 1
                continue
            if tries:
                self._log.emit("store.resumed", waiting=waiting + len(self._items))
            return done

    async def _fail(self, item: _Item, reason: str) -> None:
        """Fail the job of an update that the database will never take, as the job stands there: that can be written."""
        update = item.fenced.update
        job = await self._patiently(lambda: self._jobs.get(update.job.id), 1)
        if job is None or job.version != update.expected or job.state not in LIVE:
            self._narrator.dropped(update)
            item.settled(update, Verdict.STALE)
            return
        told = o.Refused(f"what the step learned cannot be stored: {reason}")
        failed = advance(job, told, Policy(), self._clock.now(), self._rand)
        self._hand_in(item.as_failed(failed), urgent=True)

    async def _settle(self, group: list[_Item], recorded: Recorded) -> None:
        """Tell the log and whoever handed in the updates what became of them."""
        conflicts, unwritable = dict(recorded.conflicts), dict(recorded.unwritable)
        accepted = [item.fenced.update for item in group if item.fenced.update.job.id in recorded.accepted]
        for item in group:
            update = item.fenced.update
            if update.job.id in recorded.accepted:
                item.settled(update, item.verdict)
            elif update.job.id in unwritable and item.verdict is not Verdict.UNWRITABLE:
                await self._fail(item, unwritable[update.job.id])
            elif update.job.id in conflicts and item.shares and not update.job.shared:
                self._hand_in(item.as_shared(), urgent=True)
            elif update.job.id in conflicts:
                self._narrator.conflicted(update, conflicts[update.job.id])
                item.settled(update, Verdict.CONFLICT)
            else:
                self._narrator.dropped(update)
                item.settled(update, Verdict.STALE)
        await self._narrator.tell(accepted)


def _one_of_each(items: Sequence[_Item]) -> tuple[list[_Item], list[_Item]]:
    """The next group, with one update of each job at most, and what is left for later, both in order.

    Two updates of one job are rare, as when a person's wish is granted while a step begins. The second of them is
    judged by what the first has left.
    """
    group: list[_Item] = []
    later: list[_Item] = []
    jobs: set[int] = set()
    for item in items:
        number = item.fenced.update.job.id
        (group if len(group) < _LARGEST_GROUP and number not in jobs else later).append(item)
        jobs.add(number)
    return group, later

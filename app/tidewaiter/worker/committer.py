"""The committer: makes the updates of steps durable, many in one transaction, each fenced by its lane's epoch.

One transaction for each update would cost five times as much as the update itself, so updates are collected for a few
milliseconds and committed together. An update that a step waits for (an intent, before its POST) is committed at once,
or 20 ms after the group before it, if that had several: then several steps wait, and their updates come together.
Nothing is reported, not even to the log, before its commit.

While the database cannot be written, the updates are kept and the same group is tried again; new steps wait for
``room``, so that the number of kept updates stays bounded.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from random import Random
from typing import TypeVar

from tidewaiter.clock import Clock, WakeableTimer
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.database.job_store import FencedUpdate, GroupResult, JobStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.immutable import immutable
from tidewaiter.domain.job import LIVE
from tidewaiter.domain.state_machine import JobUpdate, advance
from tidewaiter.log import EventLog
from tidewaiter.worker.job_event_log import JobLog

T = TypeVar("T")

_LINGER_S = 0.02
_LONGER_LINGER_S = 0.13
_BETWEEN_GROUPS_S = 0.02
_LARGEST_GROUP = 512
_MOST_WAITING = 2048
_LONGEST_TRY_S = 120.0
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_FOR_A_WHILE_S = 10.0


def _uncounted(_updates: int, _seconds: float) -> None:
    pass


class CommitResult(Enum):
    """The result of committing one update."""

    ACCEPTED = "accepted"
    STALE = "stale"
    """The lane's lease has passed on, or the job has another version; nothing was written."""
    CONFLICT = "conflict"
    """Another job follows the same remote job already; nothing was written."""
    UNWRITABLE = "unwritable"
    """The database cannot store its values; the job has failed instead, if it had not changed meanwhile."""


@immutable(frozen=True, slots=True)
class _Item:
    fenced: FencedUpdate
    on_result: Callable[[JobUpdate, CommitResult], None]
    shares: bool
    if_accepted: CommitResult = CommitResult.ACCEPTED

    def as_failed(self, update: JobUpdate) -> "_Item":
        """The same item with an update that can be stored, in place of one that cannot."""
        return replace(
            self, fenced=FencedUpdate(update, self.fenced.epoch), shares=False, if_accepted=CommitResult.UNWRITABLE
        )

    def as_shared(self) -> "_Item":
        """The same item, for a job that follows its remote job together with another job."""
        update = self.fenced.update
        again = FencedUpdate(replace(update, job=update.job.but(shared=True)), self.fenced.epoch)
        return replace(self, fenced=again)


class Committer:
    """Commits the updates of all lanes in groups.

    Args:
        jobs: where they are committed.
        owner: the name of this daemon's boot; part of the fence.
        clock: the time; its sleep paces the retries.
        log: gets a line when the database is unavailable, and when it is back.
        job_log: gets every update after its commit.
        committed: called with each group's size, and with the seconds that its commit took.
    """

    def __init__(
        self,
        jobs: JobStore,
        owner: str,
        clock: Clock,
        log: EventLog,
        job_log: JobLog,
        *,
        committed: Callable[[int, float], None] = _uncounted,
    ) -> None:
        self._jobs = jobs
        self._owner = owner
        self._clock = clock
        self._log = log
        self._job_log = job_log
        self._committed = committed
        self._rand = Random(0)  # a job that ends has no delay to spread
        self._items: list[_Item] = []
        self._arrived = asyncio.Event()
        self._urgent = asyncio.Event()
        self._full = asyncio.Event()
        self._next_group_at = 0.0  # by the clock of the event loop
        self._handed_in = 0
        self._settled = 0
        self._progress = asyncio.Event()
        self._retry = WakeableTimer(clock)
        self._trying_since: float | None = None
        self._failure: str | None = None
        self._moved_at = clock.monotonic()
        self.room = asyncio.Event()
        self.room.set()

    def record(
        self,
        update: JobUpdate,
        epoch: int,
        on_result: Callable[[JobUpdate, CommitResult], None],
        *,
        urgent: bool = False,
        shares: bool = False,
    ) -> None:
        """Hand in an update; ``on_result`` is called after the commit, from the event loop.

        ``shares`` says that several jobs may follow one remote job: an update that brings the handle of another job is
        written as that of a shared job then, and is no conflict.
        """
        self._hand_in(_Item(FencedUpdate(update, epoch), on_result, shares), urgent=urgent)

    def _hand_in(self, item: _Item, *, urgent: bool) -> None:
        if not self.waiting:
            self._moved_at = self._clock.monotonic()
        self._items.append(item)
        self._handed_in += 1
        self._arrived.set()
        is_full = len(self._items) >= _LARGEST_GROUP
        if is_full:
            self._full.set()
        if urgent or is_full:
            self._urgent.set()
        if len(self._items) >= _MOST_WAITING:
            self.room.clear()

    async def commit(self, update: JobUpdate, epoch: int) -> CommitResult:
        """Hand in an update and wait until it is durable, or refused."""
        result: asyncio.Future[CommitResult] = asyncio.get_running_loop().create_future()

        def on_result(_: JobUpdate, got: CommitResult) -> None:
            if not result.done():
                result.set_result(got)

        self.record(update, epoch, on_result, urgent=True)
        return await result

    @property
    def waiting(self) -> int:
        """How many updates were handed in and have no result yet."""
        return self._handed_in - self._settled

    @property
    def trouble(self) -> str | None:
        """Why the updates of steps have not been recorded for a while, in one sentence; ``None`` if they are."""
        if self._trying_since is None:
            return None
        for_s = self._clock.monotonic() - self._trying_since
        if for_s < _FOR_A_WHILE_S:
            return None
        reason = self._failure or "The database does not answer."
        return f"What the jobs' steps have learned could not be recorded for {for_s:.0f} seconds. {reason}"

    @property
    def stalled(self) -> bool:
        """Whether updates wait and none was tried for too long; a database that answers with errors is no such case."""
        return self.waiting > 0 and self._clock.monotonic() - self._moved_at > _LONGEST_TRY_S

    async def settled(self) -> None:
        """Wait until every update that was handed in so far has its result; a group that waits is tried at once."""
        last = self._handed_in
        if self._settled < last:
            self._retry.wake()
        while self._settled < last:
            self._urgent.set()
            self._progress.clear()
            await self._progress.wait()

    async def run(self) -> None:
        """Commit groups until cancelled."""
        while True:
            await self._arrived.wait()
            await self._collect()
            group, self._items = _one_of_each(self._items)
            self._next_group_at = asyncio.get_running_loop().time() + (_BETWEEN_GROUPS_S if len(group) > 1 else 0.0)
            if not self._items:
                self._arrived.clear()
                self._urgent.clear()
                self._full.clear()
            result = await self._commit_group([item.fenced for item in group])
            await self._report(group, result)
            self._settled += len(group)
            self._progress.set()
            if len(self._items) < _MOST_WAITING:
                self.room.set()

    async def _collect(self) -> None:
        """Wait for more updates, unless a step waits for one; polls without a change may wait longest."""
        for linger_s in (_LINGER_S, _LONGER_LINGER_S):
            with suppress(TimeoutError):
                async with asyncio.timeout(linger_s):
                    await self._urgent.wait()
            if self._urgent.is_set() or any(item.fenced.update.entry is not None for item in self._items):
                break
        left_s = self._next_group_at - asyncio.get_running_loop().time()
        if left_s > 0.0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._full.wait()

    async def _commit_group(self, group: list[FencedUpdate]) -> GroupResult:
        """Commit a group; tries again for as long as the database is unavailable."""
        begun_at = self._clock.monotonic()

        async def write() -> GroupResult:
            nonlocal begun_at
            begun_at = self._clock.monotonic()
            return await self._write(group)

        result = await self._with_retries(write, len(group))
        self._committed(len(group), self._clock.monotonic() - begun_at)
        return result

    async def _write(self, group: list[FencedUpdate]) -> GroupResult:
        """Commit a group once; an update with a value that cannot be encoded, such as NaN, is found by halving."""
        try:
            return await self._jobs.record(group, self._owner)
        except ValueError as error:
            if len(group) == 1:
                return GroupResult(frozenset(), unwritable=((group[0].update.job.id, str(error)),))
        middle = len(group) // 2
        first, second = await self._write(group[:middle]), await self._write(group[middle:])
        return GroupResult(
            first.accepted | second.accepted,
            first.conflicts + second.conflicts,
            first.unwritable + second.unwritable,
            first.batches + second.batches,
        )

    async def _with_retries(self, work: Callable[[], Awaitable[T]], waiting: int) -> T:
        """Repeat ``work`` until the database is available; ``waiting`` updates wait for it."""
        tries = 0
        self._trying_since = self._clock.monotonic()
        while True:
            self._moved_at = self._clock.monotonic()
            try:
                done = await work()
            except StoreUnavailableError as error:
                self._failure = str(error)
                self._log.emit("store.unavailable", reason=str(error), waiting=waiting + len(self._items))
                await self._retry.sleep(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
                tries += 1
                continue
            self._trying_since = self._failure = None
            if tries:
                self._log.emit("store.resumed", waiting=waiting + len(self._items))
            return done

    async def _fail(self, item: _Item, reason: str) -> None:
        """Fail the job of an update that the database cannot store; the stored job can be written."""
        update = item.fenced.update
        job = await self._with_retries(lambda: self._jobs.get(update.job.id), 1)
        if job is None or job.version != update.expected or job.state not in LIVE:
            self._job_log.dropped(update)
            item.on_result(update, CommitResult.STALE)
            return
        refused = o.Refused(f"what the step learned cannot be stored: {reason}")
        failed = advance(job, refused, OperationPolicy(), self._clock.now(), self._rand)
        self._hand_in(item.as_failed(failed), urgent=True)

    async def _report(self, group: list[_Item], result: GroupResult) -> None:
        """Report the results to the job log, and to the callers that handed the updates in."""
        conflicts, unwritable = dict(result.conflicts), dict(result.unwritable)
        accepted = [item.fenced.update for item in group if item.fenced.update.job.id in result.accepted]
        for item in group:
            update = item.fenced.update
            if update.job.id in result.accepted:
                item.on_result(update, item.if_accepted)
            elif update.job.id in unwritable and item.if_accepted is not CommitResult.UNWRITABLE:
                await self._fail(item, unwritable[update.job.id])
            elif update.job.id in conflicts and item.shares and not update.job.shared:
                self._hand_in(item.as_shared(), urgent=True)
            elif update.job.id in conflicts:
                self._job_log.conflicted(update, conflicts[update.job.id])
                item.on_result(update, CommitResult.CONFLICT)
            else:
                self._job_log.dropped(update)
                item.on_result(update, CommitResult.STALE)
        await self._job_log.committed(accepted)
        for ended in result.batches:
            self._job_log.batch_ended(ended)


def _one_of_each(items: Sequence[_Item]) -> tuple[list[_Item], list[_Item]]:
    """The next group, with at most one update of each job, and the rest for later, both in order.

    Two updates of one job are rare, as when a cancel request is applied while a step begins. The second is checked
    against the job that the first has written.
    """
    group: list[_Item] = []
    later: list[_Item] = []
    jobs: set[int] = set()
    for item in items:
        number = item.fenced.update.job.id
        (group if len(group) < _LARGEST_GROUP and number not in jobs else later).append(item)
        jobs.add(number)
    return group, later

"""Follow what happens to jobs: wait for jobs to change, or read the feed of all changes.

Many callers wait at once without a query of each: a commit of this process wakes them, and for jobs that another
process serves one query a second looks for all of them. The feed holds a bounded number of changes, and of each only
what is sent, because parameters and links of thousands of jobs take too much memory.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.database.job_list import JobList
from tidewaiter.domain.account_scope import Scope
from tidewaiter.domain.change_feed import JobChange
from tidewaiter.domain.job import Job, State

MOST_WAITING: Final = 256
"""Callers who may wait at once: half of the connections, so that others are served."""
MOST_WATCHED: Final = 1_000
"""Jobs that callers may wait for at once, because each is read once a second."""
_LOOK_S: Final = 1.0
MOST_HELD: Final = 10_000
MOST_BEHIND: Final = 1_000
MOST_READERS: Final = 64


class _Waiter:
    def __init__(self, numbers: Collection[int]) -> None:
        self.numbers = frozenset(numbers)
        self._changed: set[int] = set()
        self._woken = asyncio.Event()

    def wake(self, number: int) -> None:
        self._changed.add(number)
        self._woken.set()

    async def changed(self, wait_s: float) -> set[int]:
        """The numbers of the jobs that have changed since the last call; empty if none has in this time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._woken.wait()
        changed, self._changed = self._changed, set()
        self._woken.clear()
        return changed


class JobWatch:
    """Lets callers wait for jobs.

    Args:
        jobs: reads the jobs.
        clock: the time.
    """

    def __init__(self, jobs: JobList, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock
        self._waiters: set[_Waiter] = set()
        self._by_number: dict[int, set[_Waiter]] = {}
        self._turn = asyncio.Lock()
        self._seen: dict[int, Job] = {}
        self._looked_at = float("-inf")
        self._closed = False

    def on_change(self, change: JobChange) -> None:
        """Wake the callers who wait for the job that has changed."""
        self._wake(change.job.id)

    def close(self) -> None:
        """End all waits: each caller gets the job as it is."""
        self._closed = True
        for number in self._by_number:
            self._wake(number)

    @property
    def is_full(self) -> bool:
        """Whether too many callers wait already, or for too many jobs."""
        return len(self._waiters) >= MOST_WAITING or len(self._by_number) >= MOST_WATCHED

    async def wait_for(
        self,
        number: int,
        is_enough: Callable[[Job], bool],
        wait_s: float,
        scope: Scope,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> Job | None:
        """The job as soon as it is as expected, or as it is when the time is over; ``None`` if there is none.

        Args:
            number: which job.
            is_enough: whether the job is as the caller expects.
            wait_s: how long to wait, in seconds.
            scope: the accounts that the caller may see; a job of another account counts as none.
            is_gone: whether the caller has disconnected; checked about once a second.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        found = await self.wait_for_many([number], lambda jobs: all(map(is_enough, jobs)), wait_s, scope, is_gone)
        return found.get(number)

    async def wait_for_many(
        self,
        numbers: Collection[int],
        is_enough: Callable[[Collection[Job]], bool],
        wait_s: float,
        scope: Scope,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> dict[int, Job]:
        """The jobs as soon as they are as expected, or as they are when the time is over.

        Jobs that do not exist, or that the caller may not see, are left out. If no job is left, nothing is waited for.
        The arguments are those of :meth:`wait_for`; ``is_enough`` decides about all jobs together.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        waiter = _Waiter(numbers)
        self._join(waiter)
        ends_at = self._clock.monotonic() + wait_s
        try:
            read = await self._jobs.numbered(waiter.numbers)
            found = {number: job for number, job in read.items() if job.account in scope}
            while found and not is_enough(found.values()) and not self._closed and not is_gone():
                left_s = ends_at - self._clock.monotonic()
                if left_s <= 0:
                    break
                if changed := found.keys() & await waiter.changed(min(left_s, _LOOK_S)):
                    kept = {number: job for number, job in found.items() if number not in changed}
                    read = kept | await self._jobs.numbered(changed)
                else:
                    read = await self._look(found)
                found = {number: read[number] for number in found if number in read}
            return found
        finally:
            self._leave(waiter)

    def _join(self, waiter: _Waiter) -> None:
        self._waiters.add(waiter)
        for number in waiter.numbers:
            self._by_number.setdefault(number, set()).add(waiter)

    def _leave(self, waiter: _Waiter) -> None:
        self._waiters.discard(waiter)
        for number in waiter.numbers:
            self._by_number[number].discard(waiter)
            if not self._by_number[number]:
                del self._by_number[number]

    def _wake(self, number: int) -> None:
        for waiter in self._by_number.get(number, ()):
            waiter.wake(number)

    async def _look(self, numbers: Collection[int]) -> dict[int, Job]:
        """The jobs from a query shared by all who wait, at most half a second old."""
        async with self._turn:
            is_old = self._clock.monotonic() - self._looked_at >= _LOOK_S / 2
            if is_old or any(number not in self._seen for number in numbers):
                self._seen = await self._jobs.numbered(list(self._by_number))
                self._looked_at = self._clock.monotonic()
            return self._seen


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """A change as it is sent, with its number in this process; ``job`` is the number of the job."""

    number: int
    event: str
    job: int
    account: str
    operation: str
    state: State
    state_from: State | None
    outcome: str
    at: float


class FeedReader:
    """The events that one reader has not received yet."""

    def __init__(self) -> None:
        self._waiting: deque[FeedEvent] = deque()
        self._came = asyncio.Event()
        self.is_behind = False
        self.has_ended = False

    def push(self, numbered: FeedEvent) -> None:
        """Queue an event, unless the reader is too far behind."""
        if len(self._waiting) >= MOST_BEHIND:
            self.is_behind = True
        else:
            self._waiting.append(numbered)
        self._came.set()

    def end(self) -> None:
        """Note that no more events will come."""
        self.has_ended = True
        self._came.set()

    async def next(self) -> list[FeedEvent]:
        """Wait for events and return all of them; empty if the reader is too far behind or the feed has ended."""
        await self._came.wait()
        self._came.clear()
        found = list(self._waiting)
        self._waiting.clear()
        return found


class EventFeed:
    """Numbers changes, holds the last ones, and passes them to the readers.

    Args:
        boot: identifies this process in the ids of events.
    """

    def __init__(self, boot: str) -> None:
        self._boot = boot
        self._last = 0
        self._held: deque[FeedEvent] = deque(maxlen=MOST_HELD)
        self._readers: set[FeedReader] = set()
        self._closed = False

    def on_change(self, change: JobChange) -> None:
        """Number a change and pass it to all readers."""
        self._last += 1
        job = change.job
        numbered = FeedEvent(
            number=self._last,
            event=change.event,
            job=job.id,
            account=job.account,
            operation=job.operation,
            state=job.state,
            state_from=change.state_from,
            outcome=change.outcome,
            at=change.at,
        )
        self._held.append(numbered)
        for reader in self._readers:
            reader.push(numbered)

    def close(self) -> None:
        """End all readers."""
        self._closed = True
        for reader in self._readers:
            reader.end()

    @property
    def is_full(self) -> bool:
        """Whether no more readers are accepted."""
        return len(self._readers) >= MOST_READERS

    def join(self) -> FeedReader:
        """A reader of all events from now on."""
        reader = FeedReader()
        self._readers.add(reader)
        if self._closed:
            reader.end()
        return reader

    def leave(self, reader: FeedReader) -> None:
        """Remove a reader."""
        self._readers.discard(reader)

    def id_of(self, number: int) -> str:
        """The id of the event with that number."""
        return f"{self._boot}-{number}"

    @property
    def last_id(self) -> str:
        """The id of the last event."""
        return self.id_of(self._last)

    def since(self, last_id: str) -> list[FeedEvent] | None:
        """The events after the one with that id; ``None`` if they are not all held any more."""
        boot, _, digits = last_id.rpartition("-")
        if boot != self._boot or not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(self._last)):
            return None
        number = int(digits)
        oldest = self._held[0].number if self._held else self._last + 1
        if number > self._last or number + 1 < oldest:
            return None
        return [one for one in self._held if one.number > number]

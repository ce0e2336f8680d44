"""The due jobs of a lane: read ahead for each track, and handed out one by one.

Only a due job costs memory; a waiting one is a row. A lane knows when the jobs become due that it wrote itself;
:meth:`DueJobs.due_by` reports the others.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from tidewaiter.clock import Clock
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain.job import Job, Track
from tidewaiter.worker.remote_job_limit import RemoteJobs

_READS_IN_A_ROW = 16
_PAUSE_BETWEEN_READS_S = 0.01
_READ_AHEAD = 8
_LONGEST_SLEEP_S = 3600.0
_STORE_RETRY_S = 1.0


class JobsUnderWay:
    """The jobs of a lane that a step works on, or whose outcome is not committed yet.

    A read that runs while such a job is committed may return the old job. So a job that ends during a read is skipped
    until no read runs any more.
    """

    def __init__(self) -> None:
        self._busy: set[int] = set()
        self._ended_during_reads: set[int] = set()
        self._reads = 0

    def __contains__(self, job_id: int) -> bool:
        """Whether a step works on the job, or its outcome is not committed yet."""
        return job_id in self._busy

    def __len__(self) -> int:
        """How many there are."""
        return len(self._busy)

    def begin(self, job_id: int) -> None:
        """A step begins to work on the job."""
        self._busy.add(job_id)

    def end(self, job_id: int) -> None:
        """The outcome of the job is committed or refused."""
        self._busy.discard(job_id)
        if self._reads:
            self._ended_during_reads.add(job_id)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Due jobs are read within the block."""
        self._reads += 1
        try:
            yield
        finally:
            self._reads -= 1
            if not self._reads:
                self._ended_during_reads.clear()

    def is_current(self, job: Job) -> bool:
        """Whether a job that was just read has not changed since."""
        return job.id not in self._busy and job.id not in self._ended_during_reads


class DueJobs:
    """The due jobs of one track of a lane.

    Args:
        lane: the lane's number.
        track: which of its tracks.
        slots: how many steps of the track may be under way at once.
        store: where due jobs are read.
        under_way: the jobs that are skipped.
        remote: says which jobs must wait because of the provider's limit on remote jobs.
        clock: the time.
    """

    def __init__(
        self,
        lane: int,
        track: Track,
        slots: int,
        *,
        store: JobStore,
        under_way: JobsUnderWay,
        remote: RemoteJobs,
        clock: Clock,
    ) -> None:
        self.track = track
        self.free_slots = asyncio.Semaphore(slots)
        self._lane = lane
        self._slots = slots
        self._store = store
        self._under_way = under_way
        self._remote = remote
        self._clock = clock
        self._ready: deque[Job] = deque()
        self._next_read_at = clock.now()
        self._wake = asyncio.Event()
        self._more = False  # whether the last read left jobs behind
        self._read_from = 0.0  # the due time at which the next read starts
        self._resets = 0
        self._reads = 0

    async def next(self) -> Job:
        """The next due job; waits until there is one."""
        while True:
            while self._ready:
                job = self._ready.popleft()
                if self._remote.holds_back(job):
                    # Read at once what else is due, from the oldest; that read leaves out jobs to be submitted.
                    self._more, self._read_from = True, 0.0
                elif job.id not in self._under_way:
                    return job
            await self._until_read_is_due()
            self._next_read_at = self._clock.now() + _LONGEST_SLEEP_S
            await self._read()

    def due_by(self, due_at: float) -> None:
        """A job of this track is, or will be, due at that epoch second: read no later."""
        if due_at < self._next_read_at:
            self._next_read_at = due_at
            self._wake.set()

    def reset(self) -> None:
        """Forget what was read, because it has changed in the database, and read again."""
        self._ready.clear()
        self._resets += 1
        self._plan_next_read((), more=False)
        self.due_by(self._clock.now())

    async def _until_read_is_due(self) -> None:
        """Sleep until it is time to read; at least 10 ms, so that jobs that become due one by one are read together.

        Does not sleep if the last read left jobs behind.
        """
        if self._more:
            return
        while (delay := self._next_read_at - self._clock.now()) > _PAUSE_BETWEEN_READS_S:
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._wake.wait()
        await self._clock.sleep(_PAUSE_BETWEEN_READS_S)

    async def _read(self) -> None:
        """Read due jobs, without those that a step works on or has just ended."""
        now = self._clock.now()
        limit = _READ_AHEAD * self._slots + len(self._under_way)
        resets = self._resets
        with self._under_way.reading():
            try:
                submits = not self._remote.full
                found = await self._store.due(self._lane, self.track, now, limit, self._read_from, submits=submits)
                if self._resets != resets:
                    return
                self._ready.extend(job for job in found if self._under_way.is_current(job))
                self._plan_next_read(found, more=len(found) == limit)
                if not self._more:
                    coming = await self._store.next_due_after(self._lane, self.track, now)
                    if coming is not None:
                        self.due_by(coming)
            except StoreUnavailableError:
                self._plan_next_read((), more=False)
                self.due_by(now + _STORE_RETRY_S)

    def _plan_next_read(self, found: Sequence[Job], *, more: bool) -> None:
        """Choose where the next read starts: where this one ended, if it left jobs behind, else at the oldest.

        Jobs under way stay the oldest due until their outcome is committed, and would be read again and again. Every
        16th read starts at the oldest anyway: a job may have become due earlier than those already read.
        """
        self._reads += 1
        self._more = more
        last = found[-1].due_at if found else None
        self._read_from = last if more and last is not None and self._reads % _READS_IN_A_ROW else 0.0

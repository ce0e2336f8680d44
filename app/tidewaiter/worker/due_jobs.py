"""The due jobs of a lane: read ahead for each track, and handed out one by one.

Only a due job costs memory; a waiting one is a row. A lane knows when the jobs become due that it wrote itself;
:meth:`DueJobs.due_by` reports the others.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Sequence

from tidewaiter.clock import Clock
from tidewaiter.database.due_store import DueAnswer, DueQuestion
from tidewaiter.domain.job import Job, Track
from tidewaiter.worker.due_reader import DueReader
from tidewaiter.worker.jobs_under_way import JobsUnderWay
from tidewaiter.worker.remote_job_limit import RemoteJobs

_READS_IN_A_ROW = 16
_READ_AHEAD = 8


class DueJobs:
    """The due jobs of one track of a lane.

    Args:
        lane: the lane's number.
        track: which of its tracks.
        slots: how many steps of the track may be under way at once.
        reader: reads due jobs, for all lanes together.
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
        reader: DueReader,
        under_way: JobsUnderWay,
        remote: RemoteJobs,
        clock: Clock,
    ) -> None:
        self.track = track
        self.free_slots = asyncio.Semaphore(slots)
        self.under_way = under_way
        self.next_read_at = clock.now()
        self.more = False
        """Whether the last read left jobs behind."""
        self._lane = lane
        self._slots = slots
        self._reader = reader
        self._remote = remote
        self._clock = clock
        self._ready: deque[Job] = deque()
        self._without_files: set[int] = set()
        self._read_from = 0.0  # the due time at which the next read starts
        self._resets = 0
        self._resets_at_read = 0
        self._reads = 0

    async def next(self) -> Job:
        """The next due job; waits until there is one."""
        while True:
            while self._ready:
                job = self._ready.popleft()
                if self._remote.holds_back(job):
                    # Read at once what else is due, from the oldest; that read leaves out jobs to be submitted.
                    self.more, self._read_from = True, 0.0
                elif job.id not in self.under_way:
                    return job
            await self._reader.read(self)

    def has_no_files(self, job: Job) -> bool:
        """Whether no file of the job that :meth:`next` has just given is recorded, at its version."""
        found = job.id in self._without_files
        self._without_files.discard(job.id)
        return found

    def due_by(self, due_at: float) -> None:
        """A job of this track is, or will be, due at that epoch second: read no later."""
        if due_at < self.next_read_at:
            self.next_read_at = due_at
            self._reader.moved(self)

    def forget(self, ended: Collection[int]) -> None:
        """Jobs that were read ahead end without a step: they are not handed out as they were before."""
        if any(job.id in ended for job in self._ready):
            self._ready = deque(job for job in self._ready if job.id not in ended)
            self._without_files.difference_update(ended)

    def reset(self) -> None:
        """Forget what was read, because it has changed in the database, and read again."""
        self._ready.clear()
        self._without_files.clear()
        self._resets += 1
        self._plan_next_read((), more=False)
        self.due_by(self._clock.now())

    # --- what the reader asks for, and gives --------------------------------------------------------------------------

    def question(self, most: int) -> DueQuestion:
        """What to read now: read ahead up to ``most`` jobs, beside those under way, which may still look due."""
        self._resets_at_read = self._resets
        limit = min(_READ_AHEAD * self._slots, most) + len(self.under_way)
        return DueQuestion(self._lane, self.track, limit, self._read_from, not self._remote.full)

    def answered(self, question: DueQuestion, answer: DueAnswer, now: float) -> None:
        """Take what was read, without jobs that a step works on or has just ended."""
        if self._resets != self._resets_at_read:
            self.due_by(now)
            return
        current = [job for job in answer.jobs if self.under_way.is_current(job)]
        self._ready.extend(current)
        for job in current:
            (self._without_files.add if job.id in answer.without_files else self._without_files.discard)(job.id)
        self._plan_next_read(answer.jobs, more=len(answer.jobs) == question.limit)
        if not self.more and answer.next_due_at is not None:
            self.due_by(answer.next_due_at)

    def failed(self, retry_at: float) -> None:
        """The database could not be read; it is read again at that epoch second."""
        self._plan_next_read((), more=False)
        self.due_by(retry_at)

    def _plan_next_read(self, found: Sequence[Job], *, more: bool) -> None:
        """Choose where the next read starts: where this one ended, if it left jobs behind, else at the oldest.

        Jobs under way stay the oldest due until their outcome is committed, and would be read again and again. Every
        16th read starts at the oldest anyway: a job may have become due earlier than those already read.
        """
        self._reads += 1
        self.more = more
        last = found[-1].due_at if found else None
        self._read_from = last if more and last is not None and self._reads % _READS_IN_A_ROW else 0.0

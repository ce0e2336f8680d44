"""The remote jobs of a lane: counted where a provider permits only some at a time."""

from tidewaiter.clock import Clock
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain.job import Job, State

_STORE_RETRY_S = 1.0


class RemoteJobs:
    """Knows which of a lane's jobs have, or may have, an unfinished remote job.

    Args:
        jobs: has them when the lane is taken.
        lane: its number.
        limit: the most remote jobs at a time; ``None`` for no limit, and then nothing is counted.
        clock: its sleep paces the tries while the database is unavailable.
    """

    def __init__(self, jobs: JobStore, lane: int, limit: int | None, clock: Clock) -> None:
        self._jobs = jobs
        self._lane = lane
        self._limit = limit
        self._clock = clock
        self._known: set[int] = set()
        self._gone: set[int] | None = None

    async def load(self) -> None:
        """Read them from the database."""
        while self._limit is not None:
            # A remote job that ends during this read must not be counted again.
            self._gone = set()
            try:
                found = await self._jobs.remote(self._lane)
                self._known |= found - self._gone
            except StoreUnavailableError:
                await self._clock.sleep(_STORE_RETRY_S)
            else:
                self._gone = None
                return

    @property
    def full(self) -> bool:
        """Whether no more remote jobs may be made."""
        return self._limit is not None and len(self._known) >= self._limit

    def holds_back(self, job: Job) -> bool:
        """Whether a job has to wait until another remote job is finished; a job that is about to end does not."""
        ends = job.cancel_requested or job.deadline_at <= self._clock.now()
        return self.full and job.state is State.QUEUED and not ends

    def begin(self, job: Job) -> None:
        """A step of the job begins, which may make a remote job."""
        if self._limit is not None and (job.state is State.QUEUED or job.has_remote_job):
            self._known.add(job.id)

    def settle(self, job: Job) -> bool:
        """The job has this state now; returns whether another job may submit because of it."""
        if self._limit is None or job.has_remote_job:
            return False
        return self.forget(job.id)

    def forget(self, job_id: int) -> bool:
        """Stop counting the job; returns whether another job may submit because of it."""
        was_full = self.full
        if self._gone is not None:
            self._gone.add(job_id)
        self._known.discard(job_id)
        return was_full and not self.full

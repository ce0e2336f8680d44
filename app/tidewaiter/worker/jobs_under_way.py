"""The jobs of a lane that must not be taken from a read: a step works on them, or has just ended."""

from collections.abc import Iterator
from contextlib import contextmanager

from tidewaiter.domain.job import Job


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

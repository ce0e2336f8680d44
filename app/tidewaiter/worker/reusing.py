"""Using a remote job that the provider has already, in place of a new one.

The search can only save a submit. Whatever goes wrong with it, the job is submitted as if there were no search.
"""

from itertools import islice

from tidewaiter.clock import Clock
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Job
from tidewaiter.log import EventLog
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.steps.remote_job_search import Matches, ReuseSearch
from tidewaiter.worker.page_walk import ListWalk

_MOST_CANDIDATES = 20


class Reuser:
    """Looks for a remote job of the same question, before the first submit of a job.

    Args:
        jobs: knows which remote jobs our own jobs have deleted or cancelled.
        clock: the time.
        log: says why a search was given up.
    """

    def __init__(self, jobs: JobStore, clock: Clock, log: EventLog) -> None:
        self._jobs = jobs
        self._clock = clock
        self._log = log

    async def find(self, job: Job, search: ReuseSearch, walk: ListWalk) -> o.Reused | o.Retry | None:
        """The remote job to use; ``None`` if the job must be submitted.

        Returns:
            ``Retry`` if the provider limits requests, or if the deadline has passed: the next step does not search.
        """
        try:
            found = await walk.newest(search)
        except UnsendableError as error:
            self._log_skipped(job, str(error))
            return None
        if isinstance(found, Matches):
            return await self._usable(job, found)
        if found is None:
            return None
        reason = getattr(found, "reason", type(found).__name__)
        self._log_skipped(job, reason)
        late = self._clock.now() >= job.deadline_at
        return o.Retry(reason) if late or isinstance(found, o.Throttled) else None

    async def _usable(self, job: Job, found: Matches) -> o.Reused | None:
        """The newest match that none of our jobs has deleted or cancelled: a list may lag behind that."""
        candidates = zip(found.handles, found.made_at, found.kept, strict=True)
        for handle, made_at, kept in islice(candidates, _MOST_CANDIDATES):
            if not any(one.ended_by for one in await self._jobs.followers_of(job, handle)):
                return o.Reused(handle, made_at, kept)
        return None

    def _log_skipped(self, job: Job, reason: str) -> None:
        self._log.emit("reuse.skipped", job=job.id, account=job.account, operation=job.operation, reason=reason)

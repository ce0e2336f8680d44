"""Shared results: one request to the provider for several jobs with the same question, and copied files for each.

All jobs that may share a result belong to one lane, so no other daemon requests it meanwhile. The lane remembers the
latest results, because a result reaches the database only some time after it has landed. Older results, and those of
an earlier daemon, are looked up in the database.
"""

import asyncio
from dataclasses import dataclass
from typing import TypeAlias

from tidewaiter.clock import Clock
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.manifest import Artifact, StoredResult
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.results.result_sharing import Sharing
from tidewaiter.storage.base import Storage, StorageError

_MOST_REMEMBERED = 1_000

ResultPromise: TypeAlias = asyncio.Future[StoredResult | None]
"""A result, known or requested by the step of another job; ``None`` if that step got none."""


@dataclass(frozen=True, slots=True)
class _Asking:
    job_id: int
    since: float
    promise: ResultPromise


class SharedResults:
    """The results that the jobs of one lane may share.

    Args:
        jobs: has the earlier results.
        storage: has their files.
        clock: the time.
    """

    def __init__(self, jobs: JobStore, storage: Storage, clock: Clock) -> None:
        self._jobs = jobs
        self._storage = storage
        self._clock = clock
        self._asking: dict[tuple[str, str], _Asking] = {}
        self._begun: dict[int, _Asking] = {}
        self._known: dict[tuple[str, str], StoredResult] = {}
        self._invalid: set[int] = set()

    async def find(self, job: Job, sharing: Sharing) -> ResultPromise | None:
        """The result that a job may share; ``None`` if it has to send its own request."""
        since, key = sharing.since(job), _key(job)
        asking = self._asking.get(key)
        if asking is not None and asking.since >= since:
            return asking.promise
        result = self._known.get(key)
        if result is None or result.asked_at < since:
            result = await self._stored(job, since)
        if result is None or result.job_id in self._invalid or not await self._is_stored(result):
            return None
        promise: ResultPromise = asyncio.get_running_loop().create_future()
        promise.set_result(result)
        return promise

    def begin(self, job: Job) -> None:
        """The job sends its own request; later jobs with the same question wait for it. See :meth:`end`."""
        promise: ResultPromise = asyncio.get_running_loop().create_future()
        asking = _Asking(job.id, self._clock.now(), promise)
        # A job that needs a newer result may begin while another one asks: then jobs may wait for either of them.
        self._begun[job.id] = self._asking[_key(job)] = asking

    def landed(self, job: Job, artifacts: tuple[Artifact, ...]) -> None:
        """The job's files have landed: other jobs may share them."""
        asked_at = job.intent_at or job.ready_at or self._clock.now()
        self._known.pop(_key(job), None)
        self._known[_key(job)] = StoredResult(job.id, asked_at, artifacts)
        if len(self._known) > _MOST_REMEMBERED:
            del self._known[next(iter(self._known))]

    def end(self, job: Job) -> None:
        """The job's step is over: the jobs that waited for it get its result, or ``None``."""
        asking = self._begun.pop(job.id, None)
        if asking is None:
            return
        if self._asking.get(_key(job)) is asking:
            del self._asking[_key(job)]
        result = self._known.get(_key(job))
        asking.promise.set_result(result if result is not None and result.job_id == job.id else None)

    def invalidate(self, promise: ResultPromise) -> None:
        """The files of the result cannot be read, or have changed: no job shares them any more."""
        if promise.done() and (result := promise.result()) is not None:
            self._invalid.add(result.job_id)

    async def _stored(self, job: Job, since: float) -> StoredResult | None:
        try:
            return await self._jobs.stored_result(job, since)
        except StoreUnavailableError:
            return None

    async def _is_stored(self, result: StoredResult) -> bool:
        try:
            return all([await self._storage.find(one.key) == one.size for one in result.artifacts])
        except StorageError:
            return False


def asks_for_result(job: Job, operation: BoundOperation) -> bool:
    """Whether the job's next step asks for its result: the submit, or the download if nothing is submitted."""
    return job.state is (State.QUEUED if operation.submits(job) else State.FETCHING)


def may_share(job: Job, sharing: Sharing | None, outcome: o.Outcome) -> bool:
    """Whether an outcome is a result that other jobs may share: one that the job has requested itself."""
    asked = isinstance(outcome, o.Stored) and outcome.shared_from is None
    return asked and sharing is not None and job.answer_key is not None


def _key(job: Job) -> tuple[str, str]:
    return job.operation, job.answer_key or ""

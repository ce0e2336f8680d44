"""Answers that jobs share: one request to the provider, and a file of its own for each job that asked for the same.

A lane serves every job that may share an answer, so that nobody else asks for it meanwhile. It remembers what was
answered lately, because the database knows an answer only some time after it was landed; what is not remembered, or
was answered before this daemon began, is looked up there.
"""

import asyncio
from dataclasses import dataclass
from typing import TypeAlias

from app.clock import Clock
from app.domain import outcome as o
from app.domain.job import Job, State
from app.domain.manifest import Artifact
from app.providers.interpreter import BoundOperation
from app.providers.sharing import Sharing
from app.storage.base import Storage, StorageError
from app.store.engine import StoreUnavailableError
from app.store.jobs import Answer, JobStore

_MOST_REMEMBERED = 1_000

Promise: TypeAlias = asyncio.Future[Answer | None]
"""An answer that is here, or that another job's step is asking for; ``None`` where that came to nothing."""


@dataclass(frozen=True, slots=True)
class _Asking:
    job_id: int
    since: float
    promise: Promise


class Answers:
    """What a lane knows of answers that its jobs may share.

    Args:
        jobs: where earlier answers are found.
        storage: where their files are.
        clock: the time.
    """

    def __init__(self, jobs: JobStore, storage: Storage, clock: Clock) -> None:
        self._jobs = jobs
        self._storage = storage
        self._clock = clock
        self._asking: dict[tuple[str, str], _Asking] = {}
        self._begun: dict[int, _Asking] = {}
        self._known: dict[tuple[str, str], Answer] = {}
        self._spoiled: set[int] = set()

    async def look(self, job: Job, sharing: Sharing) -> Promise | None:
        """The answer that a job may share; ``None`` where it has to ask for itself."""
        since, key = sharing.since(job), _key(job)
        asking = self._asking.get(key)
        if asking is not None and asking.since >= since:
            return asking.promise
        answer = self._known.get(key)
        if answer is None or answer.asked_at < since:
            answer = await self._stored(job, since)
        if answer is None or answer.job_id in self._spoiled or not await self._is_there(answer):
            return None
        promise: Promise = asyncio.get_running_loop().create_future()
        promise.set_result(answer)
        return promise

    def begin(self, job: Job) -> None:
        """The job asks for itself; who wants the same from now on waits for it. See :meth:`end`."""
        promise: Promise = asyncio.get_running_loop().create_future()
        asking = _Asking(job.id, self._clock.now(), promise)
        # One that wants a newer answer may begin while an older question is open: then both have somebody who waits.
        self._begun[job.id] = self._asking[_key(job)] = asking

    def answered(self, job: Job, artifacts: tuple[Artifact, ...]) -> None:
        """The job's files have landed: whoever may share them shall."""
        asked_at = job.intent_at or job.ready_at or self._clock.now()
        self._known.pop(_key(job), None)
        self._known[_key(job)] = Answer(job.id, asked_at, artifacts)
        if len(self._known) > _MOST_REMEMBERED:
            del self._known[next(iter(self._known))]

    def end(self, job: Job) -> None:
        """The job's step is over; who waited for it learns what came of it."""
        asking = self._begun.pop(job.id, None)
        if asking is None:
            return
        if self._asking.get(_key(job)) is asking:
            del self._asking[_key(job)]
        answer = self._known.get(_key(job))
        asking.promise.set_result(answer if answer is not None and answer.job_id == job.id else None)

    def spoil(self, promise: Promise) -> None:
        """The answer's files cannot be read, or are not what they were: nobody shares them any more."""
        if promise.done() and (answer := promise.result()) is not None:
            self._spoiled.add(answer.job_id)

    async def _stored(self, job: Job, since: float) -> Answer | None:
        try:
            return await self._jobs.answer(job, since)
        except StoreUnavailableError:
            return None

    async def _is_there(self, answer: Answer) -> bool:
        try:
            return all([await self._storage.find(one.key) == one.size for one in answer.artifacts])
        except StorageError:
            return False


def asks_for_answer(job: Job, operation: BoundOperation) -> bool:
    """Whether the job's next step asks for its answer: the submit, or the download where nothing is submitted."""
    return job.state is (State.QUEUED if operation.submits(job) else State.FETCHING)


def may_share(job: Job, sharing: Sharing | None, outcome: o.Outcome) -> bool:
    """Whether an outcome is an answer that others may share: one that the job has asked for itself."""
    asked = isinstance(outcome, o.Stored) and outcome.shared_from is None
    return asked and sharing is not None and job.answer_key is not None


def _key(job: Job) -> tuple[str, str]:
    return job.operation, job.answer_key or ""

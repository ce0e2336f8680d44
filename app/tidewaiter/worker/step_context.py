"""One step of a job: what it works with, what it has landed so far, and how a cancel request stops it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final, Self, TypeVar

from tidewaiter.clock import Clock
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import CANCELLED_AT_ONCE, Job
from tidewaiter.domain.manifest import Artifact, StoredResult
from tidewaiter.domain.state_machine import JobUpdate, advance
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.worker.authenticated_client import AuthenticatedClient
from tidewaiter.worker.committer import CommitResult, Committer
from tidewaiter.worker.file_slots import FileSlots
from tidewaiter.worker.lease import Lease
from tidewaiter.worker.provider_session import ProviderSession

T = TypeVar("T")
CANCEL_REQUESTED: Final = "a cancel request"
"""The message with which a step's task is cancelled for a cancel request; asyncio passes it on to what is awaited."""


class SupersededError(Exception):
    """A write in the middle of the step was refused: job or lane changed meanwhile, and the step has no outcome."""


@dataclass(slots=True)
class StepContext:
    """One step of a job: its operation, the session with its provider, and the lane's lease.

    ``job`` is the job as it was last made durable: a step that commits an update on its way puts the new job here.
    ``shared_result`` is set if the job shares the result of another job. ``artifacts`` are the files that have landed
    and are not recorded yet; ``record`` records such files in the middle of the step, if they may be. ``slots`` are
    those that the step may take for more files at once. ``has_no_files``: no file of earlier steps was recorded when
    the job was read. ``kept`` are values of the reply that named the file, which are stored when it has landed.
    ``suspect``: the last step of the job may have ended the daemon.
    """

    job: Job
    operation: BoundOperation
    session: ProviderSession
    lease: Lease
    shared_result: asyncio.Future[StoredResult | None] | None = None
    artifacts: list[Artifact] = field(default_factory=list)
    has_landed: bool = False
    record: Callable[[tuple[Artifact, ...]], Awaitable[object]] | None = None
    slots: FileSlots | None = None
    has_no_files: bool = False
    kept: Mapping[str, str] = field(default_factory=dict)
    suspect: bool = False

    @classmethod
    def of(cls, job: Job, operation: BoundOperation, client: AuthenticatedClient, lease: Lease) -> Self:
        """The step of a job that is due; ``client`` sends its requests."""
        return cls(job, operation, ProviderSession(client, operation.policy), lease)

    def update(self, outcome: o.Outcome, now: float, rand: Random) -> JobUpdate:
        """What an outcome makes of the job."""
        return advance(self.job, outcome, self.operation.policy_of(self.job), now, rand)

    async def recorded(self, jobs: JobStore) -> Sequence[Artifact]:
        """The files of earlier steps; not read if there were none with the job.

        A file is recorded with a new version of the job, and this step has committed an update of the version read.
        """
        return () if self.has_no_files else await jobs.artifacts(self.job.id)

    def landed(self, artifacts: Sequence[Artifact]) -> None:
        """Files are durable under their final names: the next record, or the outcome, records them."""
        self.artifacts.extend(artifacts)
        self.has_landed = True

    def record_through(self, committer: Committer, clock: Clock, rand: Random) -> None:
        """From now on, files that have landed may be recorded in the middle of the step."""

        async def record(artifacts: tuple[Artifact, ...]) -> None:
            update = self.update(o.FilesLanded(), clock.now(), rand)
            await self.commit(replace(update, artifacts=artifacts), committer)

        self.record = record

    async def record_landed(self) -> None:
        """Record the files that have landed since the last record, so that they need not land again.

        Raises:
            SupersededError: job or lane changed meanwhile.
        """
        if self.record is not None and self.artifacts:
            artifacts, self.artifacts = tuple(self.artifacts), []
            await self.record(artifacts)

    async def count(self, committer: Committer, now: float, rand: Random) -> None:
        """Count the step durably before it begins. Its outcome, whatever it is, takes that back.

        Raises:
            SupersededError: job or lane changed meanwhile.
        """
        crashes = self.job.crashes
        try:
            await self.commit(self.update(o.StepStarted(), now, rand), committer)
        finally:
            self.job = self.job.but(crashes=crashes)

    async def commit(self, update: JobUpdate, committer: Committer) -> Job:
        """Make an update durable in the middle of the step, which continues with the updated job.

        Raises:
            SupersededError: the update was refused.
        """
        try:
            result = await committer.commit(update, self.lease.epoch)
        except asyncio.CancelledError:
            # The update was handed in already: the outcome of the interrupted step follows it.
            self.job = update.job
            raise
        if result is not CommitResult.ACCEPTED:
            raise SupersededError
        self.job = update.job
        return update.job


async def despite_cancel_request(work: Coroutine[Any, Any, T]) -> T:
    """Finish ``work`` even if a cancel request comes meanwhile; a drain stops it as usual.

    Returns:
        The result of the work. The cancel request came too late then: the step goes on as if there were none.
    """
    task = asyncio.ensure_future(work)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError as error:
            current = asyncio.current_task()
            if CANCEL_REQUESTED not in error.args or current is None:
                task.cancel()
                raise
            current.uncancel()


class RunningSteps:
    """The running steps of a lane, and which of them a cancel request has stopped."""

    def __init__(self) -> None:
        self._under_way: dict[int, tuple[asyncio.Task[None], StepContext]] = {}
        self._stopped: set[int] = set()

    def begin(self, task: asyncio.Task[None], step: StepContext) -> None:
        """A step begins."""
        self._under_way[step.job.id] = task, step

    def stop(self, job_id: int) -> None:
        """Stop the step of a job, once, if that leaves nothing in doubt: for example a download.

        A step that may have submitted continues, and so does one that has ended and whose outcome is being committed.
        """
        if job_id not in self._under_way or job_id in self._stopped:
            return
        task, step = self._under_way[job_id]
        if step.job.state in CANCELLED_AT_ONCE:
            self._stopped.add(job_id)
            task.cancel(CANCEL_REQUESTED)

    def was_stopped(self, job_id: int) -> bool:
        """Whether the step of a job was stopped."""
        return job_id in self._stopped

    def end(self, job_id: int) -> None:
        """The step of a job has ended."""
        self._under_way.pop(job_id, None)
        self._stopped.discard(job_id)

"""The context of one step: what it works with, and what has come of it so far."""

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Self

from app.domain import outcome as o
from app.domain.job import Job
from app.domain.machine import Update, advance
from app.domain.manifest import Artifact
from app.providers.interpreter import BoundOperation
from app.store.jobs import Answer
from app.worker.hold import Hold
from app.worker.provider_session import ProviderSession
from app.worker.recorder import Recorder, Verdict
from app.worker.session import SignedClient


class SupersededError(Exception):
    """A write that had to come first was refused: the job or its lane has moved on, and the step has no outcome."""


@dataclass(slots=True)
class Visit:
    """One step of a job: its operation, the session with its provider, and the lane's hold.

    ``job`` is the job as it was last made durable: a step that commits an update on its way puts the new job here.
    ``shared_result`` is there where the job shares what another job asks for; ``artifacts`` are the files that have
    landed.
    """

    job: Job
    operation: BoundOperation
    session: ProviderSession
    hold: Hold
    shared_result: asyncio.Future[Answer | None] | None = None
    artifacts: list[Artifact] = field(default_factory=list)

    @classmethod
    def of(cls, job: Job, operation: BoundOperation, client: SignedClient, hold: Hold) -> Self:
        """The step of a job that is due; ``client`` sends its requests."""
        return cls(job, operation, ProviderSession(client, operation.policy), hold)

    def update(self, outcome: o.Outcome, now: float, rand: Random) -> Update:
        """What an outcome makes of the job."""
        return advance(self.job, outcome, self.operation.policy_of(self.job), now, rand)

    async def commit(self, update: Update, committer: Recorder) -> Job:
        """Make an update durable in the middle of the step, which goes on with the job that comes of it.

        Raises:
            SupersededError: the update was refused.
        """
        try:
            verdict = await committer.commit(update, self.hold.epoch)
        except asyncio.CancelledError:
            # It has been handed in: what the interrupted step reports next comes after it.
            self.job = update.job
            raise
        if verdict is not Verdict.ACCEPTED:
            raise SupersededError
        self.job = update.job
        return update.job

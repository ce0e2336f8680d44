"""One visit to a job: what a step works with, and what has come of it so far."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from app.domain.job import Job
from app.domain.machine import Update
from app.domain.manifest import Artifact
from app.providers.interpreter import BoundOperation
from app.store.jobs import Answer
from app.transport.budget import Budget, Permit
from app.worker.hold import Hold
from app.worker.recorder import Verdict
from app.worker.session import SignedClient


class SupersededError(Exception):
    """A write that had to come first was refused: the job or its lane has moved on, and the step ends unheard."""


class Commit(Protocol):
    """How a step makes an update durable before it goes on."""

    async def __call__(self, update: Update) -> Verdict:
        """Commit the update; the verdict says whether it was taken."""


@dataclass(slots=True)
class Visit:
    """One visit to a job: its operation, the way to the provider, the lane's hold, and what has come of it so far.

    ``job`` is the job as it was last made durable: a step that commits an update on its way puts the new job here.
    ``answer`` is there where the job shares what another asks for. ``sent`` says that a submit may have left the
    process; ``artifacts`` are the files that have landed.
    """

    job: Job
    operation: BoundOperation
    client: SignedClient
    budget: Budget
    hold: Hold
    commit: Commit
    permit: Permit | None = None
    answer: asyncio.Future[Answer | None] | None = None
    sent: bool = False
    artifacts: list[Artifact] = field(default_factory=list)

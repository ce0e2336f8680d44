"""Ending remote jobs: deleted after their files have landed, cancelled on request, left while other jobs need them."""

from functools import partial

from app.clock import Clock
from app.domain import outcome as o
from app.domain.job import Job
from app.domain.sharing import Duty, duty_of
from app.domain.wire import WireReply
from app.providers.faults import UnsendableError
from app.providers.interpreter import BoundOperation
from app.store.jobs import JobStore
from app.worker.session import SignInError
from app.worker.visit import Visit


class Endings:
    """Ends remote jobs, each once, by the last of our jobs that follow it.

    Args:
        jobs: knows which jobs follow a remote job.
        clock: the time.
    """

    def __init__(self, jobs: JobStore, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock

    async def clean(self, step: Visit) -> o.Outcome:
        """Delete the remote job, whose files have landed."""
        request = step.operation.clean(step.job)
        if request is None:
            return o.Cleaned()
        if (left := await self._left_to_others(step)) is not None:
            return left
        return await step.session.send(request, partial(step.operation.read_clean, step.job))

    async def cancel(self, step: Visit) -> o.Outcome:
        """Cancel the remote job, because somebody asked for it."""
        request = step.operation.cancel(step.job)
        if request is None:
            return o.Cancelled()
        if (left := await self._left_to_others(step)) is not None:
            return left
        return await step.session.send(request, partial(step.operation.read_cancel, step.job))

    async def expire(self, step: Visit, reason: str) -> o.DeadlinePassed:
        """End a job that has waited too long; its remote job is cancelled where that can be done, in one try."""
        job, operation = step.job, step.operation
        try:
            request = operation.cancel(job) if job.handle is not None and operation.policy.cancels else None
        except UnsendableError as error:
            return o.DeadlinePassed(f"{reason}; the remote could not be told: {error}")
        if request is not None and await self._duty(job, operation) is Duty.ACT:
            try:
                was_answered = isinstance(await step.session.ask(request), WireReply)
            except SignInError:
                was_answered = False
            if not was_answered:
                reason = f"{reason}; the remote could not be told"
        return o.DeadlinePassed(reason)

    async def _left_to_others(self, step: Visit) -> o.LeftAlone | o.Retry | None:
        """The outcome where other jobs follow the same remote job; ``None`` where this job ends it."""
        duty = await self._duty(step.job, step.operation)
        if duty is Duty.LEAVE:
            return o.LeftAlone()
        if duty is Duty.WAIT:
            return o.Retry("another job that follows the same remote job is about to end it")
        return None

    async def _duty(self, job: Job, operation: BoundOperation) -> Duty:
        """What the job does about its remote job, which it no longer needs."""
        if not (job.shared or operation.policy.shares):
            return Duty.ACT
        return duty_of(job, await self._jobs.followers(job), self._clock.now())

"""Ending remote jobs: deleted after their files have landed, cancelled when nobody waits, left while others follow."""

from collections.abc import Callable
from dataclasses import dataclass

from app.clock import Clock
from app.domain import outcome as o
from app.domain.job import Job
from app.domain.sharing import Duty, duty_of
from app.domain.wire import WireReply, WireRequest
from app.providers.faults import UnsendableError
from app.providers.interpreter import BoundOperation
from app.store.jobs import JobStore
from app.worker.pages import Way
from app.worker.session import SignInError


@dataclass(frozen=True, slots=True)
class Telling:
    """What ends a remote job: the request, how its reply is read, and what it is where there is no request."""

    request: WireRequest | None
    read: Callable[[Job, WireReply, float], o.Outcome]
    done: o.Outcome


class Endings:
    """Ends remote jobs, each once, by the last of our jobs that follow it.

    Args:
        jobs: tells who else follows a remote job.
        clock: the time.
    """

    def __init__(self, jobs: JobStore, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock

    async def clean(self, job: Job, operation: BoundOperation, way: Way) -> o.Outcome:
        """Delete the remote job, whose files have landed."""
        return await self._end(job, operation, way, Telling(operation.clean(job), operation.read_clean, o.Cleaned()))

    async def cancel(self, job: Job, operation: BoundOperation, way: Way) -> o.Outcome:
        """Cancel the remote job, as a person wants it."""
        told = Telling(operation.cancel(job), operation.read_cancel, o.Cancelled())
        return await self._end(job, operation, way, told)

    async def expire(self, job: Job, operation: BoundOperation, way: Way, reason: str) -> o.DeadlinePassed:
        """Let a job go that has waited too long; the remote is told once, where it can be."""
        tells = job.handle is not None and operation.policy.cancels
        try:
            request = operation.cancel(job) if tells else None
        except UnsendableError as error:
            return o.DeadlinePassed(f"{reason}; the remote could not be told: {error}")
        if request is not None and await self._duty(job, operation) is Duty.ACT:
            try:
                heard = isinstance(await way.ask(request), WireReply)
            except SignInError:
                heard = False
            if not heard:
                reason = f"{reason}; the remote could not be told"
        return o.DeadlinePassed(reason)

    async def _end(self, job: Job, operation: BoundOperation, way: Way, telling: Telling) -> o.Outcome:
        if telling.request is None:
            return telling.done
        duty = await self._duty(job, operation)
        if duty is Duty.LEAVE:
            return o.LeftAlone()
        if duty is Duty.WAIT:
            return o.Retry("another job that follows the same remote job is about to end it")
        reply = await way.ask(telling.request)
        if not isinstance(reply, WireReply):
            return reply
        return way.weigh(reply, telling.read(job, reply, self._clock.now()))

    async def _duty(self, job: Job, operation: BoundOperation) -> Duty:
        """What the job does about its remote job, which it no longer needs."""
        if not (job.shared or operation.policy.shares):
            return Duty.ACT
        return duty_of(job, await self._jobs.followers(job), self._clock.now())

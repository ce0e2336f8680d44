"""The desk: what people and programs may ask of Tidewaiter, checked before anything is stored."""

from collections.abc import Mapping
from random import Random

from app.clock import Clock
from app.domain import outcome as o
from app.domain.job import TERMINAL, Entry, Job, NewJob, State
from app.domain.jsonvalue import Json
from app.domain.machine import advance
from app.domain.manifest import Artifact
from app.log import EventLog
from app.providers.faults import ParameterError
from app.providers.interpreter import BoundOperation
from app.providers.provider import BoundAccount
from app.store.jobs import JobStore
from app.store.lanes import LaneStore


class RequestError(Exception):
    """What was asked cannot be done; the message is a sentence that says why and what can."""


class Desk:
    """Takes requests for jobs and about jobs.

    Args:
        accounts: the configured accounts, bound to their providers, by name.
        jobs: the jobs table.
        lanes: the lanes table.
        shards: how many lanes each account has.
        clock: the time.
        rand: spreads jobs over an account's lanes.
        log: told of new jobs.
    """

    def __init__(
        self,
        accounts: Mapping[str, BoundAccount],
        jobs: JobStore,
        lanes: LaneStore,
        *,
        shards: Mapping[str, int],
        clock: Clock,
        rand: Random,
        log: EventLog,
    ) -> None:
        self.accounts = accounts
        self.jobs = jobs
        self._shards = shards
        self._lanes = lanes
        self._clock = clock
        self._rand = rand
        self._log = log

    async def submit(
        self, account: str, operation: str, raw: Mapping[str, Json], unique_key: str | None = None
    ) -> tuple[Job, bool]:
        """Store a new job, once for each unique key of the account.

        Args:
            account: name of a configured account.
            operation: one that the account's provider has.
            raw: the parameters as they were given.
            unique_key: names this wish; asked again with the same key, the job of the first time is returned.

        Returns:
            The job, and whether it is new.

        Raises:
            RequestError: unknown account, operation or parameter, or a value that is not permitted.
            StoreUnavailableError: the database cannot be reached.
        """
        bound = self._operation(account, operation)
        try:
            params = bound.check_params(raw)
        except ParameterError as error:
            raise RequestError(str(error)) from error
        new = NewJob(account, operation, params, bound.policy.deadline_s, unique_key)
        return await self._add(new)

    async def cancel(self, job_id: int) -> Job:
        """Ask a job to stop; the daemon tells the remote where that can be done.

        Raises:
            RequestError: there is no such job, or it has ended.
        """
        job = await self._job(job_id)
        now = self._clock.now()
        if job.state is State.PARKED:
            return await self._decide(job, o.CancelAsked())
        if job.state in TERMINAL or not await self.jobs.ask_cancel(job_id, now):
            raise RequestError(f"job {job_id} has ended already: it is {job.state}")
        return await self._job(job_id)

    async def retry(self, job_id: int) -> Job:
        """Submit a job again: a parked one as itself, one that has ended as a new job that points to it.

        Raises:
            RequestError: there is no such job, or it is still under way.
        """
        job = await self._job(job_id)
        if job.state is State.PARKED:
            return await self._decide(job, o.RetryDecided())
        if job.state not in TERMINAL:
            raise RequestError(f"job {job_id} is still under way: it is {job.state}; cancel it first")
        bound = self._operation(job.account, job.operation)
        new = NewJob(job.account, job.operation, job.params, bound.policy.deadline_s, retry_of=job.id)
        again, _ = await self._add(new)
        return again

    async def show(self, job_id: int) -> tuple[Job, list[Entry], list[Artifact]]:
        """A job with its history and its files.

        Raises:
            RequestError: there is no such job.
        """
        job = await self._job(job_id)
        return job, await self.jobs.history(job_id), await self.jobs.artifacts(job_id)

    async def _add(self, new: NewJob) -> tuple[Job, bool]:
        lanes = await self._lanes.ids(new.account)
        if not lanes:
            await self._lanes.ensure({new.account: self._shards.get(new.account, 1)})
            lanes = await self._lanes.ids(new.account)
        job, created = await self.jobs.add(new, self._rand.choice(lanes), self._clock.now())
        if created:
            self._log.emit(
                "job.submitted",
                job=job.id,
                account=job.account,
                operation=job.operation,
                unique_key=job.unique_key,
                retry_of=job.retry_of,
            )
        return job, created

    async def _decide(self, job: Job, outcome: o.Outcome) -> Job:
        """Apply a person's decision to a parked job."""
        policy = self._operation(job.account, job.operation).policy
        update = advance(job, outcome, policy, self._clock.now(), self._rand)
        if not await self.jobs.decide(update):
            raise RequestError(f"job {job.id} has changed meanwhile; look at it again")
        return update.job

    async def _job(self, job_id: int) -> Job:
        job = await self.jobs.get(job_id)
        if job is None:
            raise RequestError(f"there is no job {job_id}")
        return job

    def _operation(self, account: str, operation: str) -> BoundOperation:
        bound = self.accounts.get(account)
        if bound is None:
            known = ", ".join(sorted(self.accounts)) or "none is configured"
            raise RequestError(f"unknown account {account!r}; configured: {known}")
        if operation not in bound.operations:
            known = ", ".join(sorted(bound.operations))
            raise RequestError(f"account {account!r} has no operation {operation!r}; it has: {known}")
        return bound.operations[operation]

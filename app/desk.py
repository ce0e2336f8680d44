"""The desk: what people and programs may ask of Tidewaiter, checked before anything is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from app.clock import Clock
from app.domain import outcome as o
from app.domain.job import TERMINAL, Entry, Job, NewJob, State
from app.domain.jsonvalue import Json, JsonObject
from app.domain.machine import advance
from app.domain.manifest import Artifact
from app.log import EventLog
from app.providers.extract import as_handle
from app.providers.faults import ParameterError, UnsendableError
from app.providers.interpreter import BoundOperation
from app.providers.provider import BoundAccount
from app.store.accounts import AccountStore, Pause
from app.store.errors import HandleTakenError
from app.store.jobs import JobStore
from app.store.lanes import LaneStatus, LaneStore


class RequestError(Exception):
    """What was asked cannot be done; the message is a sentence that says why and what can."""


class NotFoundError(RequestError):
    """It is asked of something that there is not."""


class ConflictError(RequestError):
    """It cannot be done as things stand; it could have been, or may be later."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands: its pause if it has one, the lanes that are closed for a while, its live jobs by state."""

    account: str
    provider: str
    pause: Pause | None
    closed: tuple[LaneStatus, ...]
    jobs: Mapping[State, int]


class Desk:
    """Takes requests for jobs, about jobs and about accounts.

    Args:
        accounts: the configured accounts, bound to their providers, by name.
        jobs: the jobs table.
        lanes: the lanes table.
        pauses: the accounts table.
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
        pauses: AccountStore,
        shards: Mapping[str, int],
        clock: Clock,
        rand: Random,
        log: EventLog,
    ) -> None:
        self.accounts = accounts
        self.jobs = jobs
        self._pauses = pauses
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
        return await self._add(_new_job(account, bound, params, unique_key=unique_key))

    async def cancel(self, job_id: int) -> Job:
        """Ask a job to stop; the daemon tells the remote where that can be done.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it has ended.
        """
        job = await self._job(job_id)
        now = self._clock.now()
        if job.state is State.PARKED:
            return await self._decide(job, o.CancelAsked())
        if job.state in TERMINAL or not await self.jobs.ask_cancel(job_id, now):
            raise ConflictError(f"job {job_id} has ended already: it is {job.state}")
        return await self._job(job_id)

    async def retry(self, job_id: int) -> Job:
        """Submit a job again: a parked one as itself, one that has ended as a new job that points to it.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it is still under way.
        """
        job = await self._job(job_id)
        if job.state is State.PARKED:
            return await self._decide(job, o.RetryDecided())
        if job.state not in TERMINAL:
            raise ConflictError(f"job {job_id} is still under way: it is {job.state}; cancel it first")
        bound = self._operation(job.account, job.operation)
        again, _ = await self._add(_new_job(job.account, bound, job.params, retry_of=job.id))
        return again

    async def adopt(self, job_id: int, handle: str) -> Job:
        """Let a parked job follow a remote job that a person has found.

        Args:
            job_id: the parked job.
            handle: the provider's name for the remote job.

        Raises:
            RequestError: the job is not parked, the handle cannot be asked after, or another job follows it.
        """
        job = await self._job(job_id)
        if job.state is not State.PARKED:
            raise ConflictError(f"job {job_id} is not parked: it is {job.state}")
        named = as_handle(handle)
        if named is None:
            raise RequestError(f"{handle!r} cannot be the name of a remote job")
        try:
            self._operation(job.account, job.operation).poll(job.but(handle=named))
        except UnsendableError as error:
            raise RequestError(f"job {job_id} cannot follow {named!r}: {error}") from error
        try:
            return await self._decide(job, o.AdoptDecided(named))
        except HandleTakenError as error:
            raise ConflictError(f"job {job_id} cannot adopt it: {error}") from error

    async def pause(self, account: str, reason: str) -> Standing:
        """Pause an account: within a look-out round no daemon asks its provider for anything. Jobs wait unharmed.

        Raises:
            NotFoundError: there is no such account.
        """
        self._account(account)
        await self._pauses.pause(account, reason)
        return await self._standing(account)

    async def resume(self, account: str) -> tuple[Standing, float | None]:
        """End the pause of an account, whosever it is; its live jobs get the time back that they have waited.

        Returns:
            How the account stands, and for how many seconds it was paused: ``None`` where it was not.

        Raises:
            NotFoundError: there is no such account.
        """
        self._account(account)
        paused_s = await self._pauses.resume(account)
        return await self._standing(account), paused_s

    async def standings(self) -> list[Standing]:
        """How every configured account stands, by name."""
        pauses, jobs, lanes = await self._pauses.paused(), await self._pauses.live_jobs(), await self._lanes.every()
        now = self._clock.now()
        return [
            Standing(
                name,
                bound.provider,
                pauses.get(name),
                tuple(lane for lane in lanes if lane.account == name and _is_closed(lane, now)),
                jobs.get(name, {}),
            )
            for name, bound in sorted(self.accounts.items())
        ]

    async def paused(self, account: str) -> Pause | None:
        """Why an account's jobs wait, where it is paused."""
        return (await self._pauses.paused()).get(account)

    async def _standing(self, account: str) -> Standing:
        return next(one for one in await self.standings() if one.account == account)

    async def show(self, job_id: int) -> tuple[Job, list[Entry], list[Artifact]]:
        """A job with its history and its files.

        Raises:
            NotFoundError: there is no such job.
        """
        job = await self._job(job_id)
        return job, await self.jobs.history(job_id), await self.jobs.artifacts(job_id)

    async def _add(self, new: NewJob) -> tuple[Job, bool]:
        lanes = await self._lanes.ids(new.account)
        if not lanes:
            await self._lanes.ensure({new.account: self._shards.get(new.account, 1)})
            lanes = await self._lanes.ids(new.account)
        # Jobs that may share an answer wait in one lane, or two lanes would ask for it.
        lane = self._rand.choice(lanes) if new.answer_key is None else lanes[int(new.answer_key[:8], 16) % len(lanes)]
        job, created = await self.jobs.add(new, lane, self._clock.now())
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
            raise ConflictError(f"job {job.id} has changed meanwhile; look at it again")
        return update.job

    async def _job(self, job_id: int) -> Job:
        job = await self.jobs.get(job_id)
        if job is None:
            raise NotFoundError(f"there is no job {job_id}")
        return job

    def _account(self, account: str) -> BoundAccount:
        bound = self.accounts.get(account)
        if bound is None:
            known = ", ".join(sorted(self.accounts)) or "none is configured"
            raise NotFoundError(f"unknown account {account!r}; configured: {known}")
        return bound

    def _operation(self, account: str, operation: str) -> BoundOperation:
        bound = self._account(account)
        if operation not in bound.operations:
            known = ", ".join(sorted(bound.operations))
            raise NotFoundError(f"account {account!r} has no operation {operation!r}; it has: {known}")
        return bound.operations[operation]


def _new_job(
    account: str,
    operation: BoundOperation,
    params: JsonObject,
    *,
    unique_key: str | None = None,
    retry_of: int | None = None,
) -> NewJob:
    sharing = operation.sharing
    return NewJob(
        account,
        operation.name,
        params,
        operation.policy.deadline_s,
        unique_key,
        retry_of,
        None if sharing is None else sharing.key(params),
        0.0 if sharing is None else sharing.wait_s(params),
    )


def _is_closed(lane: LaneStatus, now: float) -> bool:
    """Whether a lane asks nothing for a while: throttled until a moment, or by its breaker, which tells of none."""
    return lane.closed_reason is not None and (not lane.closed_until or lane.closed_until > now)

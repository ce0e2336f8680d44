"""Requests for jobs, about jobs and about accounts."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace
from random import Random
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.database.account_store import AccountStore, Pause
from tidewaiter.database.action_store import ActionStore, with_actions
from tidewaiter.database.errors import HandleTakenError
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.database.wake_ups import WakeUpStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.change_feed import ChangeListener, added, change_of, ignore_change
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import TERMINAL, HistoryEntry, Job, NewJob, State
from tidewaiter.domain.manifest import Artifact
from tidewaiter.domain.permissions import EVERY_ACCOUNT, Scope
from tidewaiter.domain.state_machine import advance
from tidewaiter.domain.url import HIDDEN, shown_handle
from tidewaiter.log import EventLog
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.extract import as_handle
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.services.account_status import AccountStatus, LaneHold, Resumed, hold_of, is_closed
from tidewaiter.services.actors import Actor, Channel, audit_fields
from tidewaiter.services.job_requests import ConflictError, JobRequest, NotFoundError, RequestError, new_job, new_job_of

_AT_ONCE: Final = 100


class JobService:
    """Handles requests for jobs, about jobs and about accounts.

    Args:
        accounts: the configured accounts, bound to their providers, by name.
        jobs: the jobs table.
        shards: how many lanes each account has.
        clock: the time.
        rand: spreads jobs over an account's lanes.
        log: logs new jobs.
        tell: receives new jobs and the decisions of people.
    """

    def __init__(
        self,
        accounts: Mapping[str, BoundAccount],
        jobs: JobStore,
        *,
        shards: Mapping[str, int],
        clock: Clock,
        rand: Random,
        log: EventLog,
        tell: ChangeListener = ignore_change,
    ) -> None:
        self.accounts = accounts
        self.jobs = jobs
        self._pauses = AccountStore(jobs.database)
        self._shards = shards
        self._lanes = LaneStore(jobs.database)
        self._clock = clock
        self._rand = rand
        self._log = log
        self._tell = tell
        self._hints = WakeUpStore(jobs.database)
        self._actions = ActionStore(jobs.database)
        self._scope = EVERY_ACCOUNT

    def limited_to(self, scope: Scope) -> "JobService":
        """The same for a caller who may see these accounts only: other accounts and their jobs do not exist for it."""
        limited = copy(self)
        limited.accounts = {name: account for name, account in self.accounts.items() if name in scope}
        limited._scope = scope
        return limited

    @property
    def offered(self) -> dict[str, list[str]]:
        """The operations of each configured account, by its name."""
        return {name: list(account.operations) for name, account in self.accounts.items()}

    async def submit(
        self, account: str, operation: str, raw: Mapping[str, Json], unique_key: str | None = None, *, actor: Actor
    ) -> tuple[Job, bool]:
        """Store a new job, once for each unique key of the account.

        Args:
            account: name of a configured account.
            operation: one that the account's provider has.
            raw: the parameters as they were given.
            unique_key: names this request; a second request with the same key returns the first job.
            actor: who sends the request.

        Returns:
            The job, and whether it is new.

        Raises:
            RefusedError: unknown account, operation or parameter, or a value that is not permitted.
            StoreUnavailableError: the database cannot be reached.
        """
        async with self._audited(actor, "submit", f"account {account}"):
            (added,) = await self._store([self.draft(JobRequest(account, operation, raw, unique_key))], actor)
        return added

    def draft(self, request: JobRequest, place: int = 0) -> NewJob:
        """The job for a request, to be passed to :meth:`store`; ``place`` is its index among several requests.

        Raises:
            RefusedError: unknown account, operation or parameter, or a value that is not permitted.
        """
        return new_job_of(self.accounts, request, place)

    async def store(self, news: Sequence[NewJob], *, actor: Actor) -> list[tuple[Job, bool]]:
        """Store jobs, all of them or none.

        Returns:
            Each job, and whether it is new, in the order of ``news``.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        accounts = ", ".join(sorted({new.account for new in news}))
        async with self._audited(actor, "submit", f"{len(news)} jobs of {accounts}"):
            return await self._store(news, actor)

    async def _store(self, news: Sequence[NewJob], actor: Actor) -> list[tuple[Job, bool]]:
        lanes = {account: await self._lanes_of(account) for account in {new.account for new in news}}
        stored = await self.jobs.add_many(
            [(new, self._lane(new, lanes[new.account])) for new in news], self._clock.now(), actor.words
        )
        for number, (job, created) in enumerate(stored):
            if created:
                self._log_added(job)
            if number % _AT_ONCE == _AT_ONCE - 1:
                await self._clock.sleep(0)
        return stored

    async def cancel(self, job_id: int, *, actor: Actor) -> Job:
        """Request a job's cancellation; the daemon cancels the remote job where the provider can.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it has ended.
        """
        async with self._audited(actor, "cancel", f"job {job_id}"):
            job = await self._job(job_id)
            if job.state is State.PARKED:
                return await self._decide(job, o.CancelAsked(), actor)
            if job.state not in TERMINAL:
                await self._note(job, "CancelRequested", actor)
            if job.state in TERMINAL or not await self.jobs.ask_cancel(job_id, self._clock.now()):
                raise ConflictError(f"job {job_id} has ended already: it is {job.state}")
            return await self._job(job_id)

    async def retry(self, job_id: int, *, actor: Actor) -> Job:
        """Submit a job again: a parked one as itself, one that has ended as a new job that points to it.

        While a job that repeats it is live, that job is returned: two requests repeat it once.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it is still under way.
        """
        async with self._audited(actor, "retry", f"job {job_id}"):
            return await self._retry(job_id, actor)

    async def _retry(self, job_id: int, actor: Actor) -> Job:
        job = await self._job(job_id)
        if job.state is State.PARKED:
            return await self._decide(job, o.RetryDecided(), actor)
        if job.state not in TERMINAL:
            raise ConflictError(f"job {job_id} is still under way: it is {job.state}; cancel it first")
        bound = self._operation(job.account, job.operation)
        new = new_job(job.account, bound, job.params, retry_of=job.id)
        lane = self._lane(new, await self._lanes_of(job.account))
        await self._note(job, "RetryRequested", actor)
        again, created = await self.jobs.add_again(new, lane, self._clock.now(), actor.words)
        if created:
            self._log_added(again)
        return again

    async def poll_now(self, job_id: int, *, actor: Actor) -> Job:
        """Make a job's next step due now: a poll, where its remote job is under way. A running step is not disturbed.

        While the account is paused, or its limit is used up, the step still waits.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it has ended, or waits for a person.
        """
        async with self._audited(actor, "poll", f"job {job_id}"):
            job = await self._job(job_id)
            if job.state is State.PARKED:
                raise ConflictError(f"job {job_id} is parked: retry it, let it adopt a remote job, or cancel it")
            if job.state not in TERMINAL:
                await self._note(job, "PollRequested", actor)
            if job.state in TERMINAL or not await self._hints.poll_now(job_id, self._clock.now()):
                raise ConflictError(f"job {job_id} has ended already: it is {job.state}")
            return await self._job(job_id)

    async def adopt(self, job_id: int, handle: str, *, actor: Actor) -> Job:
        """Let a parked job follow a remote job that a person has found.

        Args:
            job_id: the parked job.
            handle: the provider's name for the remote job.
            actor: who has found it.

        Raises:
            RequestError: the job is not parked, the handle cannot be polled, or another job follows it.
        """
        async with self._audited(actor, "adopt", f"job {job_id}"):
            return await self._adopt(job_id, handle, actor)

    async def _adopt(self, job_id: int, handle: str, actor: Actor) -> Job:
        job = await self._job(job_id)
        if job.state is not State.PARKED:
            raise ConflictError(f"job {job_id} is not parked: it is {job.state}")
        operation = self._operation(job.account, job.operation)
        named = as_handle(handle)
        if named is None:
            raise RequestError(f"{shown_handle(handle)!r} cannot be the name of a remote job")
        if HIDDEN in named:
            raise RequestError("the name of the remote job is not whole: what is shown as [redacted] has to be given")
        named = operation.own.without(named)
        try:
            operation.poll(job.but(handle=named))
        except UnsendableError as error:
            raise RequestError(f"job {job_id} cannot follow {shown_handle(named)!r}: {error}") from error
        try:
            return await self._decide(job, o.AdoptDecided(named), actor)
        except HandleTakenError as error:
            raise ConflictError(f"job {job_id} cannot adopt it: {error}") from error

    async def pause(self, account: str, reason: str | None = None, *, actor: Actor) -> AccountStatus:
        """Pause an account: within a lookout round no daemon sends its provider a request. Jobs wait unharmed.

        Without a reason, an account that is paused already keeps its reason.

        Raises:
            NotFoundError: there is no such account.
        """
        async with self._audited(replace(actor, reason=reason), "pause", f"account {account}"):
            self._account(account)
            await self._pauses.pause(account, reason)
        return await self._standing(account)

    async def resume(self, account: str, *, actor: Actor) -> Resumed:
        """End the pause of an account, whoever paused it. Its live jobs get the time back that they have waited.

        Lanes that the provider or the breaker has closed are opened, too, by their owners in the next lookout round.

        Raises:
            NotFoundError: there is no such account.
        """
        async with self._audited(actor, "resume", f"account {account}"):
            self._account(account)
            before = await self._standing(account)
            paused_s = await self._pauses.resume(account)
            await self._pauses.reopen(account)
        return Resumed(await self._standing(account), paused_s, before.closed)

    async def standings(self) -> list[AccountStatus]:
        """The status of every configured account, by name."""
        pauses, jobs, lanes = await self._pauses.paused(), await self._pauses.live_jobs(), await self._lanes.all_lanes()
        now = self._clock.now()
        return [
            AccountStatus(
                name,
                bound.provider,
                pauses.get(name),
                tuple(lane for lane in lanes if lane.account == name and is_closed(lane, now)),
                jobs.get(name, {}),
            )
            for name, bound in sorted(self.accounts.items())
        ]

    async def orphans(self) -> dict[str, Mapping[State, int]]:
        """The live jobs by state of accounts that are not configured any more: no daemon serves them."""
        found = await self._pauses.live_jobs()
        gone = (name for name in sorted(found) if name not in self.accounts and name in self._scope)
        return {name: found[name] for name in gone}

    async def paused(self, account: str) -> Pause | None:
        """The pause of an account; ``None`` if it is not paused."""
        return (await self._pauses.paused()).get(account) if account in self._scope else None

    async def hold(self, job: Job) -> LaneHold:
        """How the lane of a job stands."""
        pause = await self.paused(job.account)
        lane = None if pause else next((one for one in await self._lanes.all_lanes() if one.id == job.lane), None)
        return hold_of(lane, is_configured=job.account in self.accounts, pause=pause, now=self._clock.now())

    async def _standing(self, account: str) -> AccountStatus:
        return next(one for one in await self.standings() if one.account == account)

    async def show(self, job_id: int) -> tuple[Job, list[HistoryEntry], list[Artifact]]:
        """A job with its history and its files.

        Raises:
            NotFoundError: there is no such job.
        """
        job = await self._job(job_id)
        history = with_actions(await self.jobs.history(job_id), await self._actions.of_job(job_id))
        return job, history, await self.jobs.artifacts(job_id)

    async def _lanes_of(self, account: str) -> Sequence[int]:
        """The lanes for new jobs: lanes beyond the configured number only finish the jobs that they have."""
        number = self._shards.get(account, 1)
        lanes = await self._lanes.ids(account)
        if not lanes:
            await self._lanes.ensure({account: number})
            lanes = await self._lanes.ids(account)
        return lanes[:number]

    def _lane(self, new: NewJob, lanes: Sequence[int]) -> int:
        """Jobs that may share a result wait in one lane; otherwise two lanes would request it."""
        return self._rand.choice(lanes) if new.answer_key is None else lanes[int(new.answer_key[:8], 16) % len(lanes)]

    def _log_added(self, job: Job) -> None:
        self._log.emit(
            "job.submitted",
            job=job.id,
            account=job.account,
            operation=job.operation,
            unique_key=job.unique_key,
            retry_of=job.retry_of,
        )
        for key, reason in self._operation(job.account, job.operation).unlisted(job.params):
            self._log.emit(
                "job.warned", job=job.id, account=job.account, operation=job.operation, key=key, reason=reason
            )
        self._tell(added(job))

    async def _note(self, job: Job, what: str, actor: Actor) -> None:
        """Write a request about a job beside its history, before it is done, so that its row is never missing."""
        if (words := actor.words) is not None:
            await self._actions.add(job.id, what, words, self._clock.now())

    @asynccontextmanager
    async def _audited(self, actor: Actor, action: str, target: str) -> AsyncIterator[None]:
        """Audit requests of the command line, whose process keeps no log: a daemon logs them.

        Requests by HTTP are audited there.
        """
        outcome = "failed"
        try:
            yield
            outcome = "done"
        except RequestError:
            outcome = "refused"
            raise
        finally:
            if actor.way is Channel.CLI:
                await self._actions.add_line(
                    audit_fields(actor, action, target, outcome, self._clock.now()), self._clock.now()
                )

    async def _decide(self, job: Job, outcome: o.Outcome, actor: Actor) -> Job:
        """Apply a person's decision to a parked job."""
        gone = isinstance(outcome, o.CancelAsked) and job.operation not in self.offered.get(job.account, ())
        # A job without an account can still be cancelled: that needs nothing of its operation.
        policy = OperationPolicy() if gone else self._operation(job.account, job.operation).policy
        update = advance(job, outcome, policy, self._clock.now(), self._rand)
        if update.entry is not None:
            said = "; ".join(filter(None, (update.entry.detail, actor.words)))
            update = replace(update, entry=replace(update.entry, detail=said or None))
        if not await self.jobs.decide(update):
            raise ConflictError(f"job {job.id} has changed meanwhile; look at it again")
        if (change := change_of(update)) is not None:
            self._tell(change)
        return update.job

    async def _job(self, job_id: int) -> Job:
        job = await self.jobs.get(job_id)
        if job is None or job.account not in self._scope:
            raise NotFoundError(f"there is no job {job_id}")
        return job

    def _account(self, account: str) -> BoundAccount:
        bound = self.accounts.get(account)
        if bound is None:
            known = ", ".join(sorted(self.accounts)) or "none is configured"
            raise NotFoundError(f"unknown account {account!r}; configured: {known}")
        return bound

    def _operation(self, account: str, operation: str) -> BoundOperation:
        """The operation of an existing job, which may have left the configuration since."""
        bound = self.accounts.get(account)
        if bound is None or operation not in bound.operations:
            raise ConflictError(f"account {account!r} with operation {operation!r} is not configured any more")
        return bound.operations[operation]

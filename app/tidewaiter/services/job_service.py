"""Requests for jobs and about jobs."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from random import Random
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.database.account_store import AccountStore, Pause
from tidewaiter.database.admin_action_store import AdminActionStore, with_actions
from tidewaiter.database.batch_store import BatchStore
from tidewaiter.database.errors import HandleTakenError
from tidewaiter.database.failure_store import FailureStore
from tidewaiter.database.job_insert import Guard
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_rows import LaneStatus
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.database.wake_up_store import WakeUpStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.account_scope import EVERY_ACCOUNT, Scope
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.batch import EndedBatch
from tidewaiter.domain.change_feed import ChangeListener, added, change_of, ignore_change
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import FAILURES, LIVE, TERMINAL, HistoryEntry, Job, NewJob, State
from tidewaiter.domain.manifest import Artifact
from tidewaiter.domain.state_machine import advance
from tidewaiter.log import EventLog
from tidewaiter.providers.bound_accounts import accounts_within, faulty_among
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.services.actors import LONGEST_NAME, Actor, one_line, requested_by
from tidewaiter.services.adoption import adoption
from tidewaiter.services.audit import audited, target_of
from tidewaiter.services.batch_events import log_batch
from tidewaiter.services.failure_groups import FailureGroup, failure_groups
from tidewaiter.services.job_requests import (
    ConflictError,
    JobRequest,
    NotFoundError,
    check_batches,
    new_job,
    new_job_of,
    opened_params,
)
from tidewaiter.services.lane_choice import LaneChoice
from tidewaiter.services.schema_gate import SchemaGate
from tidewaiter.services.wait_reasons import LaneReport, held_by, lane_report

_AT_ONCE: Final = 100


class JobService:
    """Handles requests for jobs and about jobs.

    Args:
        accounts: the configured accounts, bound to their providers, by name.
        jobs: the jobs table.
        shards: how many lanes each account has.
        clock: the time.
        rand: spreads jobs over an account's lanes.
        log: logs new jobs.
        on_change: receives new jobs and the decisions of people.
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
        on_change: ChangeListener = ignore_change,
    ) -> None:
        self.accounts = accounts
        self.jobs = jobs
        self._pauses = AccountStore(jobs.database)
        self._lanes = LaneStore(jobs.database)
        self._choice = LaneChoice(self._lanes, shards, rand)
        self._clock = clock
        self._rand = rand
        self._log = log
        self._on_change = on_change
        self._wake_ups = WakeUpStore(jobs.database)
        self._actions = AdminActionStore(jobs.database)
        self._failures = FailureStore(jobs.database)
        self._schema = SchemaGate(jobs.database, clock)
        self._scope = EVERY_ACCOUNT

    def limited_to(self, scope: Scope) -> "JobService":
        """The same for a caller who may see these accounts only: other accounts and their jobs do not exist for it."""
        limited = copy(self)
        limited.accounts = accounts_within(self.accounts, scope)
        limited._scope = scope
        return limited

    @property
    def offered(self) -> dict[str, list[str]]:
        """The operations of each configured account, by its name."""
        return {name: list(account.operations) for name, account in self.accounts.items()}

    def operation_of(self, account: str, operation: str) -> BoundOperation | None:
        """The operation of an account; ``None`` if it is not configured."""
        return self.accounts[account].operations.get(operation) if account in self.accounts else None

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
        return await self.submit_request(JobRequest(account, operation, raw, unique_key), actor=actor)

    async def submit_request(self, request: JobRequest, *, actor: Actor) -> tuple[Job, bool]:
        """The same as :meth:`submit`, with the context of the request."""
        async with audited(self._actions, self._clock, actor, "submit", f"account {request.account}") as entry:
            (added,) = await self._store([self.draft(request)], actor)
            entry.target = target_of([added[0].id])
        return added

    def draft(self, request: JobRequest, place: int = 0) -> NewJob:
        """The job for a request, to be passed to :meth:`store`; ``place`` is its index among several requests.

        Raises:
            RefusedError: unknown account, operation or parameter, or a value that is not permitted.
        """
        return new_job_of(self.accounts, request, place)

    async def store(
        self, news: Sequence[NewJob], *, actor: Actor, guard: Guard | None = None
    ) -> list[tuple[Job, bool]]:
        """Store jobs, all of them or none; none if the ``guard`` does not permit it in their transaction.

        Returns:
            Each job, and whether it is new, in the order of ``news``.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        accounts = ", ".join(sorted({new.account for new in news}))
        async with audited(self._actions, self._clock, actor, "submit", f"{len(news)} jobs of {accounts}") as request:
            stored = await self._store(news, actor, guard)
            request.target = target_of([job.id for job, _ in stored])
        return stored

    async def _store(self, news: Sequence[NewJob], actor: Actor, guard: Guard | None = None) -> list[tuple[Job, bool]]:
        await self._schema.check()
        for new in news:
            for secret in new.secrets.values.values():
                self._log.redactor.add_recent(secret)
        lanes = {account: await self._choice.lanes_of(account) for account in {new.account for new in news}}
        stored = await self.jobs.add_many(
            [(requested_by(actor, new), self._choice.of(new, lanes[new.account])) for new in news],
            self._clock.now(),
            actor.history_text,
            guard,
            partial(check_batches, BatchStore(self.jobs.database, self._scope), news),
        )
        for number, (job, created) in enumerate(stored):
            if created:
                self._log_added(job, actor)
            if number % _AT_ONCE == _AT_ONCE - 1:
                await self._clock.sleep(0)
        return stored

    async def cancel(self, job_id: int, *, actor: Actor) -> Job:
        """Request a job's cancellation; the daemon cancels the remote job if the provider can.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it has ended.
        """
        async with audited(self._actions, self._clock, actor, "cancel", f"job {job_id}"):
            job = await self.job(job_id)
            if job.state is State.PARKED:
                return await self._decide(job, o.CancelAsked(), actor)
            if job.state not in TERMINAL:
                await self._note(job, "CancelRequested", actor)
            if job.state in TERMINAL or not await self.jobs.ask_cancel(job_id, self._clock.now()):
                raise ConflictError(f"job {job_id} has ended already: it is {job.state}")
            return await self.job(job_id)

    async def retry(self, job_id: int, *, actor: Actor) -> Job:
        """Submit a job again: a parked one as itself, one that has ended as a new job that points to it.

        A job is repeated once: a second request returns the job of the first. The new job takes over the unique key.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it is still under way.
        """
        async with audited(self._actions, self._clock, actor, "retry", f"job {job_id}"):
            return await self._retry(job_id, actor)

    async def _retry(self, job_id: int, actor: Actor) -> Job:
        job = await self.job(job_id)
        if job.state is State.PARKED:
            return await self._decide(job, o.RetryDecided(), actor)
        if job.state not in TERMINAL:
            raise ConflictError(f"job {job_id} is still under way: it is {job.state}; cancel it first")
        bound, params = self._operation(job.account, job.operation), opened_params(job, self.jobs.seal)
        new = requested_by(
            actor, new_job(job.account, bound, params, retry_of=job.id, unique_key=job.unique_key, context=job.context)
        )
        lane = self._choice.of(new, await self._choice.lanes_of(job.account))
        await self._note(job, "RetryRequested", actor)
        by = one_line(actor.name, LONGEST_NAME)
        await self._schema.check()
        again, created = await self.jobs.add_again(new, lane, self._clock.now(), actor.history_text, by)
        if created:
            self._log_added(again, actor)
        return again

    async def acknowledge(self, job_id: int, *, actor: Actor) -> Job:
        """Store that a person knows of a failure, so that it does not count as unhandled any more.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it has not failed or expired.
        """
        async with audited(self._actions, self._clock, actor, "acknowledge", f"job {job_id}"):
            job = await self.job(job_id)
            if job.state not in FAILURES:
                raise ConflictError(f"job {job_id} is {job.state}; only a failed or expired job can be acknowledged")
            if job.handled_at is None:
                await self._note(job, "Acknowledged", actor)
                await self._failures.acknowledge(job_id, one_line(actor.name, LONGEST_NAME), self._clock.now())
            return await self.job(job_id)

    async def poll_now(self, job_id: int, *, actor: Actor) -> Job:
        """Make a job's next step due now: a poll, if its remote job is under way. A running step is not disturbed.

        While the account is paused, or its limit is used up, the step still waits.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it has ended, or waits for a person.
        """
        async with audited(self._actions, self._clock, actor, "poll", f"job {job_id}"):
            job = await self.job(job_id)
            if job.state is State.PARKED:
                raise ConflictError(f"job {job_id} is parked: retry it, let it adopt a remote job, or cancel it")
            if job.state not in TERMINAL:
                await self._note(job, "PollRequested", actor)
            if job.state in TERMINAL or not await self._wake_ups.poll_now(job_id, self._clock.now()):
                raise ConflictError(f"job {job_id} has ended already: it is {job.state}")
            return await self.job(job_id)

    async def adopt(self, job_id: int, handle: str, *, actor: Actor, kept: Mapping[str, str] | None = None) -> Job:
        """Let a parked job follow a remote job that a person has found.

        Args:
            job_id: the parked job.
            handle: the provider's name for the remote job.
            actor: who has found it.
            kept: values that the lost reply would have had, and that later requests need.

        Raises:
            RequestError: the job is not parked, the handle cannot be polled, or another job follows it.
        """
        async with audited(self._actions, self._clock, actor, "adopt", f"job {job_id}"):
            return await self._adopt(await self.job(job_id), handle, kept or {}, actor)

    async def _adopt(self, job: Job, handle: str, kept: Mapping[str, str], actor: Actor) -> Job:
        if job.state is not State.PARKED:
            raise ConflictError(f"job {job.id} is not parked: it is {job.state}")
        decision = adoption(job, self._operation(job.account, job.operation), handle, kept)
        try:
            return await self._decide(job, decision, actor)
        except HandleTakenError as error:
            raise ConflictError(f"job {job.id} cannot adopt it: {error}") from error

    async def unhandled(self) -> list[FailureGroup]:
        """The unhandled failures by account, operation and cause, with what to do about each group."""
        accounts = None if self._scope.accounts is None else sorted(self._scope.accounts)
        found, pauses = await self._failures.groups(accounts), await self._pauses.paused()
        return failure_groups(found, pauses, await self._lanes.all_lanes(), configured=self.accounts)

    async def lane_report(self, job: Job) -> LaneReport:
        """Whether the lane of a job sends requests."""
        pause = (await self._pauses.paused()).get(job.account)
        lane = None if pause else await self._lanes.lane(job.lane)
        return self._report_of(lane, job.account, pause)

    def _report_of(self, lane: LaneStatus | None, account: str, pause: Pause | None) -> LaneReport:
        known, fault = account in self.accounts, faulty_among(self.accounts).get(account)
        return lane_report(lane, is_configured=known, pause=pause, now=self._clock.now(), fault=fault)

    async def lane_waits(self, jobs: Iterable[Job]) -> dict[int, LaneReport]:
        """The lanes of these jobs that send no request now, by number, with what holds them.

        Only lanes with a due job are looked at, all of them in one query.
        """
        now = self._clock.now()
        found: dict[int, LaneReport] = {}
        due = {job.lane for job in jobs if job.state in LIVE and job.due_at is not None and job.due_at <= now}
        pauses = await self._pauses.paused() if due else {}
        for lane in [one for one in await self._lanes.all_lanes() if one.id in due] if due else ():
            account = self.accounts.get(lane.account)
            limits = None if account is None else account.limits.share(self._choice.number_of(lane.account))
            report = self._report_of(lane, lane.account, pauses.get(lane.account))
            if (held := held_by(report, lane.request_window, limits, now)) is not None:
                found[lane.id] = held
        return found

    async def job(self, job_id: int) -> Job:
        """A job.

        Raises:
            NotFoundError: there is no such job.
        """
        job = await self.jobs.get(job_id)
        if job is None or job.account not in self._scope:
            raise NotFoundError(f"there is no job {job_id}")
        return job

    async def show(self, job_id: int) -> tuple[Job, list[HistoryEntry], list[Artifact]]:
        """A job with its history and its files.

        Raises:
            NotFoundError: there is no such job.
        """
        job = await self.job(job_id)
        history = with_actions(await self.jobs.history(job_id), await self._actions.of_job(job_id))
        return job, history, await self.jobs.artifacts(job_id)

    async def files(self, job_id: int, limit: int, after: int) -> list[Artifact]:
        """A page of a job's files by number, behind the number ``after``; raises as :meth:`job` does."""
        return await self.jobs.files.page((await self.job(job_id)).id, limit, after)

    def _log_added(self, job: Job, actor: Actor) -> None:
        self._log.emit(
            "job.submitted",
            job=job.id,
            account=job.account,
            operation=job.operation,
            unique_key=job.unique_key,
            retry_of=job.retry_of,
            params=job.params,
            caller=one_line(actor.name, LONGEST_NAME),
            way=actor.channel.value,
            labels=dict(job.context.labels) or None,
            traceparent=job.context.traceparent,
        )
        for key, reason in self._operation(job.account, job.operation).unlisted(job.params):
            self._log.emit(
                "job.warned", job=job.id, account=job.account, operation=job.operation, key=key, reason=reason
            )
        self._on_change(added(job))

    async def _note(self, job: Job, what: str, actor: Actor) -> None:
        """Write a request about a job beside its history, before it is done, so that its row is never missing."""
        if (text := actor.history_text) is not None:
            await self._actions.add(job.id, what, text, self._clock.now())

    async def _decide(self, job: Job, outcome: o.Outcome, actor: Actor) -> Job:
        """Apply a person's decision to a parked job."""
        gone = isinstance(outcome, o.CancelAsked) and job.operation not in self.offered.get(job.account, ())
        # A job without an account can still be cancelled: that needs nothing of its operation.
        policy = OperationPolicy() if gone else self._operation(job.account, job.operation).policy
        update = advance(job, outcome, policy, self._clock.now(), self._rand)
        if update.entry is not None:
            detail = "; ".join(filter(None, ((update.entry.detail or "").removesuffix("."), actor.history_text)))
            update = replace(update, entry=replace(update.entry, detail=detail or None))
        ended: list[EndedBatch] = []
        if not await self.jobs.decide(update, ended):
            raise ConflictError(f"job {job.id} has changed meanwhile; look at it again")
        if (change := change_of(update)) is not None:
            self._on_change(change)
        for one in ended:
            log_batch(self._log, one)
        return update.job

    def _operation(self, account: str, operation: str) -> BoundOperation:
        """The operation of an existing job, which may have left the configuration since."""
        bound = self.accounts.get(account)
        if (fault := faulty_among(self.accounts).get(account)) is not None:
            raise ConflictError(f"account {account!r} is not served: {fault}")
        if bound is None or operation not in bound.operations:
            raise ConflictError(f"account {account!r} with operation {operation!r} is not configured any more")
        return bound.operations[operation]

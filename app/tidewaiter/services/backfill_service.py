"""Requests about backfills: one is made, shown, paused, resumed and cancelled."""

from collections.abc import Collection, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tidewaiter.clock import Clock
from tidewaiter.database.admin_action_store import AdminActionStore
from tidewaiter.database.backfill_store import BackfillStore
from tidewaiter.database.job_list import JobFilter, JobList
from tidewaiter.domain.account_scope import Scope
from tidewaiter.domain.backfill import Backfill, BackfillPlan
from tidewaiter.domain.batch import Batch, EndedBatch, batch_name_fault
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import TERMINAL, NewJob, State
from tidewaiter.domain.job_context import JobContext
from tidewaiter.domain.search_terms import parameter_terms
from tidewaiter.domain.secret_params import SecretParams, without_secrets
from tidewaiter.domain.windows import WindowError
from tidewaiter.log import EventLog
from tidewaiter.providers.steps.parameters import secret_names
from tidewaiter.recurrence import RecurrenceError, params_of_window
from tidewaiter.services.actors import LONGEST_NAME, LONGEST_REASON, Actor, one_line
from tidewaiter.services.audit import audited
from tidewaiter.services.batch_events import log_batch
from tidewaiter.services.job_requests import (
    ConflictError,
    JobRequest,
    JobRequestFault,
    NotFoundError,
    RefusedError,
    RequestError,
)
from tidewaiter.services.job_service import JobService

_PAGE = 1000
_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """A request for a backfill; without a ``name`` it gets one. ``params`` may hold templates of the window."""

    account: str
    operation: str
    params: Mapping[str, Json]
    plan: BackfillPlan
    name: str | None = None


@dataclass(frozen=True, slots=True)
class BackfillPreview:
    """What a backfill would do: the parameters of its first and last job, and how many windows need no job."""

    windows: int
    first: NewJob
    last: NewJob
    reused: int


class BackfillService:
    """Handles requests about backfills.

    Args:
        jobs: submits their jobs.
        store: has the backfills.
        clock: the time.
        log: gets the end of a backfill that ends with a request.
    """

    def __init__(self, jobs: JobService, store: BackfillStore, clock: Clock, log: EventLog) -> None:
        self._jobs = jobs
        self._store = store
        self._clock = clock
        self._log = log
        self._actions = AdminActionStore(jobs.jobs.database)

    def limited_to(self, scope: Scope) -> "BackfillService":
        """The same for a caller who may see these accounts only."""
        limited = copy(self)
        limited._jobs = self._jobs.limited_to(scope)
        limited._store = self._store.limited_to(scope)
        return limited

    async def preview(self, request: BackfillRequest) -> BackfillPreview:
        """What the backfill would do; nothing is stored.

        Raises:
            RefusedError: see :meth:`create`.
        """
        new = self._new(request, "")
        jobs: list[NewJob] = []
        reused = 0
        for place in range(new.windows):
            jobs.append(window_job(self._jobs, new, place))
            if place % _AT_ONCE == _AT_ONCE - 1:  # ten thousand windows would block the event loop
                await self._clock.sleep(0)
            if new.plan.reuse and place:
                reused += await self._has_landed(jobs[place - 1], jobs[place])
        if new.plan.reuse:
            reused += await self._has_landed(jobs[-1], jobs[-2] if len(jobs) > 1 else None)
        return BackfillPreview(new.windows, jobs[0], jobs[-1], reused)

    async def _has_landed(self, job: NewJob, beside: NewJob | None) -> bool:
        return await self._store.landed(job, _different_terms(job, beside), "") is not None

    async def create(self, request: BackfillRequest, *, actor: Actor) -> tuple[Backfill, bool]:
        """Store a backfill; a daemon submits its jobs. The same request with the same name returns the first one.

        Raises:
            RefusedError: an unknown account or operation, wrong parameters, or a span that cannot be cut.
            ConflictError: another backfill or batch has the name.
        """
        name = self.name_for(request)
        async with audited(self._actions, self._clock, actor, "backfill", f"{name} of account {request.account}"):
            new = self._new(replace(request, name=name), one_line(actor.name, LONGEST_NAME))
            if await self._store.create(new):
                return new, True
            known = await self._store.get(name)
            if known is None or not _is_same(known, new) or not self._has_secrets_of(known, new):
                raise ConflictError(f"the name {name} is taken by another backfill or batch; choose another one")
            return known, False

    async def page(self, limit: int, before: str | None = None) -> list[Backfill]:
        """Backfills, the newest first; ``before`` is the last name of the previous page."""
        return await self._store.page(limit, before)

    async def named(self, name: str) -> Backfill:
        """The backfill of that name.

        Raises:
            NotFoundError: there is none.
        """
        found = await self._store.get(name)
        if found is None:
            raise NotFoundError(f"there is no backfill {name[:100]!r}")
        return found

    async def of_batches(self, names: Collection[str]) -> dict[str, Backfill]:
        """The backfills with these names; a batch without one was submitted otherwise."""
        return await self._store.named(names)

    def name_for(self, request: BackfillRequest) -> str:
        """The name that the backfill of a request gets, if it is made now."""
        return request.name or _name_of(request, self._clock.now())

    async def pause(self, name: str, reason: str, *, actor: Actor) -> Backfill:
        """Submit no more windows until it is resumed; its jobs continue.

        Raises:
            NotFoundError: there is no such backfill.
            ConflictError: every window is submitted, or it is cancelled.
        """
        async with audited(self._actions, self._clock, replace(actor, reason=reason), "pause", f"backfill {name}"):
            found = await self.named(name)
            by, why = one_line(actor.name, LONGEST_NAME), one_line(reason, LONGEST_REASON)
            if found.batch.complete:
                raise ConflictError(f"backfill {name} submits no more windows: it is {found.state}")
            await self._store.pause(name, by, why, self._clock.now())
            return await self.named(name)

    async def resume(self, name: str, *, actor: Actor) -> Backfill:
        """Submit windows again.

        Raises:
            NotFoundError: there is no such backfill.
            ConflictError: every window is submitted, or it is cancelled.
        """
        async with audited(self._actions, self._clock, actor, "resume", f"backfill {name}"):
            found = await self.named(name)
            if found.is_cancelled:
                raise ConflictError(f"backfill {name} is cancelled; make another one for the windows that are left")
            if found.batch.complete:
                raise ConflictError(f"backfill {name} submits no more windows: it is {found.state}")
            await self._store.resume(name)
            return await self.named(name)

    async def cancel(self, name: str, *, actor: Actor) -> Backfill:
        """Submit no more windows for ever, and cancel the jobs that have not ended. It can be repeated.

        Raises:
            NotFoundError: there is no such backfill.
        """
        async with audited(self._actions, self._clock, actor, "cancel", f"backfill {name}"):
            found = await self.named(name)
            self._log_ended(await self._store.cancel(found, self._clock.now()))
            await cancel_jobs(self._jobs, name, actor)
            await self._store.jobs_cancelled(name, self._clock.now())
            return await self.named(name)

    def _has_secrets_of(self, known: Backfill, new: Backfill) -> bool:
        return self._jobs.jobs.seal.secrets(known.secrets) == new.secrets.values

    def _log_ended(self, ended: tuple[EndedBatch, ...]) -> None:
        for one in ended:
            log_batch(self._log, one)

    def _new(self, request: BackfillRequest, by: str) -> Backfill:
        if faults := list(_faults_of(request)):
            raise RefusedError(faults)
        windows, params = len(request.plan.span.windows()), request.params
        secrets: Mapping[str, str] = {}
        if (operation := self._jobs.operation_of(request.account, request.operation)) is not None:
            params, secrets = without_secrets(params, secret_names(operation.parts.spec))
        batch = Batch(request.name or "new", self._clock.now(), by, 0, 0, complete=False, ended_at=None, counts={})
        new = Backfill(
            batch,
            request.account,
            request.operation,
            params,
            request.plan,
            windows,
            0,
            0,
            None,
            None,
            None,
            SecretParams(values=secrets),
        )
        first, last = window_job(self._jobs, new, 0), window_job(self._jobs, new, windows - 1)
        if windows > 1 and first.params == last.params:
            reason = "are the same in every window; write ${window.from} and ${window.to} into them"
            raise RefusedError([JobRequestFault(0, "params", "", reason)])
        return new


async def cancel_jobs(jobs: JobService, name: str, actor: Actor, *, retries: bool = True) -> None:
    """Cancel the jobs of a backfill that have not ended; without ``retries`` those only that it has made itself."""
    lists, before = JobList(jobs.jobs), None
    live = [state for state in State if state not in TERMINAL]
    while page := await lists.page(JobFilter(batch=name, states=live), _PAGE, before):
        for job in page:
            if job.cancel_requested or (job.retry_of is not None and not retries):
                continue
            try:
                await jobs.cancel(job.id, actor=actor)
            except RequestError:
                continue  # it has ended meanwhile
        before = page[-1].id


def window_job(jobs: JobService, backfill: Backfill, place: int) -> NewJob:
    """The job of the window at a place.

    Raises:
        RefusedError: the window's parameters are not permitted, or the span cannot be cut any more.
    """
    plan = backfill.plan
    try:
        params, key = params_of_window(backfill.params, plan.window_at(place)), backfill.key_at(place)
    except WindowError as error:  # the zone has other rules on this machine, or none
        raise RefusedError([JobRequestFault(0, error.member, "", str(error))]) from None
    except RecurrenceError as error:
        raise RefusedError([JobRequestFault(0, "params", "", str(error))]) from None
    if (secrets := jobs.jobs.seal.secrets(backfill.secrets)) is None:
        reason = "the secret ones cannot be decrypted: database.key_file lacks the key that encrypted them"
        raise RefusedError([JobRequestFault(0, "params", "", reason)])
    params |= secrets
    context = JobContext(batch=backfill.name, labels=plan.labels, traceparent=plan.traceparent)
    return jobs.draft(JobRequest(backfill.account, backfill.operation, params, key, context))


def window_terms(jobs: JobService, backfill: Backfill, place: int, job: NewJob) -> frozenset[int]:
    """The search terms by which a window's job differs from that of the window beside it: few jobs have them."""
    beside = place + 1 if place + 1 < backfill.windows else place - 1
    try:
        other = None if beside < 0 else window_job(jobs, backfill, beside)
    except RefusedError:
        other = None
    return _different_terms(job, other)


def _different_terms(job: NewJob, beside: NewJob | None) -> frozenset[int]:
    own = parameter_terms(job.params, {})
    return own if beside is None else (own - parameter_terms(beside.params, {})) or own


def _faults_of(request: BackfillRequest) -> Iterator[JobRequestFault]:
    if request.name is not None and (reason := batch_name_fault(request.name)):
        yield JobRequestFault(0, "name", "", reason)
    try:
        request.plan.span.windows()
    except WindowError as error:
        yield JobRequestFault(0, error.member, "", str(error))


def _name_of(request: BackfillRequest, now: float) -> str:
    return f"{request.account}-{request.operation}-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}"[:100]


def _is_same(known: Backfill, new: Backfill) -> bool:
    def asked(one: Backfill) -> tuple[object, ...]:
        return one.account, one.operation, dict(one.params), replace(one.plan, traceparent=None, labels={})

    return asked(known) == asked(new) and dict(known.plan.labels) == dict(new.plan.labels)

"""Requests about schedules: how far each is, pausing it, and submitting its job now."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice, takewhile
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.database.admin_action_store import AdminActionStore
from tidewaiter.database.job_list import JobFilter, JobList
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.schedule_store import SchedulePause, ScheduleProgress, ScheduleStore
from tidewaiter.domain.account_scope import Scope
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import Job
from tidewaiter.domain.job_context import JobContext
from tidewaiter.providers.bound_accounts import faulty_among
from tidewaiter.recurrence import RecurrenceError, Schedule
from tidewaiter.services.actors import LONGEST_NAME, LONGEST_REASON, Actor, one_line
from tidewaiter.services.audit import audited
from tidewaiter.services.job_requests import ConflictError, JobRequest, JobRequestFault, NotFoundError, RefusedError
from tidewaiter.services.job_service import JobService

MOST_RUNS: Final = 20
"""How many runs of a schedule are shown."""
MOST_PASSED: Final = 100


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """A schedule, its next tick, the last tick that was served (epoch seconds), that tick's job, and its pause.

    ``passed`` is how many ticks have passed in the pause; they are not counted beyond :data:`MOST_PASSED`.
    """

    schedule: Schedule
    next_at: float | None
    ticked_at: float | None
    job: int | None
    pause: SchedulePause | None = None
    passed: int = 0


class ScheduleService:
    """Handles requests about schedules.

    Args:
        schedules: the configured ones, by name.
        store: the last served ticks and the pauses.
        jobs: submits their jobs.
        clock: the time.
        faulty: the accounts of configured schedules that cannot be served, by the names of the schedules.
    """

    def __init__(
        self,
        schedules: Mapping[str, Schedule],
        store: ScheduleStore,
        jobs: JobService,
        clock: Clock,
        faulty: Mapping[str, str] | None = None,
    ) -> None:
        self._schedules = schedules
        self._faulty = faulty or {}
        self._store = store
        self._jobs = jobs
        self._clock = clock
        self._actions = AdminActionStore(store.database)
        self._lists = JobList(JobStore(store.database.for_readers))

    def limited_to(self, scope: Scope) -> "ScheduleService":
        """The same for a caller who may see these accounts only."""
        limited = copy(self)
        limited._schedules = {name: one for name, one in self._schedules.items() if one.account in scope}
        limited._jobs = self._jobs.limited_to(scope)
        limited._lists = self._lists.limited_to(scope)
        return limited

    @property
    def unserved(self) -> dict[str, str]:
        """The schedules whose account is not served, because its spec has a fault, each with the reason."""
        accounts = faulty_among(self._jobs.accounts)
        known = sorted((name, account) for name, account in self._faulty.items() if account in accounts)
        return {name: f"account {account} is not served: {accounts[account]}" for name, account in known}

    async def statuses(self) -> list[ScheduleStatus]:
        """The status of every configured schedule, by name.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        ticked, now = await self._store.progress(), self._now()
        return [_status(one, ticked.get(name), now) for name, one in sorted(self._schedules.items())]

    async def status(self, name: str) -> ScheduleStatus:
        """The status of a schedule.

        Raises:
            NotFoundError: there is no such schedule.
            StoreUnavailableError: the database cannot be reached.
        """
        return _status(self.named(name), (await self._store.progress()).get(name), self._now())

    async def runs(self, name: str) -> list[Job]:
        """The newest jobs of a schedule, newest first; a job without a tick was submitted by a person.

        Raises:
            NotFoundError: there is no such schedule.
            StoreUnavailableError: the database cannot be reached.
        """
        return await self._lists.page(JobFilter(schedule=self.named(name).name), MOST_RUNS)

    async def pause(self, name: str, reason: str | None = None, *, actor: Actor) -> ScheduleStatus:
        """Pause a schedule: no daemon serves its ticks until somebody resumes it. Its jobs continue.

        A paused one keeps its pause; without a reason also its reason.

        Raises:
            NotFoundError: there is no such schedule.
            StoreUnavailableError: the database cannot be reached.
        """
        async with audited(self._actions, self._clock, replace(actor, reason=reason), "pause", f"schedule {name}"):
            self.named(name)
            why = one_line(reason, LONGEST_REASON) if reason else None
            await self._store.pause(name, self._now(), one_line(actor.name, LONGEST_NAME), why)
        return await self.status(name)

    async def resume(self, name: str, *, actor: Actor) -> ScheduleStatus:
        """End the pause of a schedule. The ticks that have passed in it count as missed: its policy decides.

        Returns:
            Its status before, with the number of ticks that have passed.

        Raises:
            NotFoundError: there is no such schedule.
            StoreUnavailableError: the database cannot be reached.
        """
        async with audited(self._actions, self._clock, actor, "resume", f"schedule {name}"):
            before = await self.status(name)
            await self._store.resume(name, self._now())
        return before

    async def run(
        self, name: str, *, actor: Actor, params: Mapping[str, Json] | None = None, as_of: date | None = None
    ) -> Job:
        """Submit a schedule's job now, in addition to its ticks.

        Args:
            name: the schedule.
            actor: who sends the request.
            params: parameters in place of the schedule's own; they may have date templates, too. ``None`` in place of a
                value leaves a parameter out.
            as_of: fill in the dates as on this day, in the schedule's time zone.

        Raises:
            NotFoundError: there is no such schedule.
            RefusedError: its parameters, with these dates, are not permitted.
            StoreUnavailableError: the database cannot be reached.
        """
        schedule = self.named(name)
        request = JobRequest(
            schedule.account,
            schedule.operation,
            schedule.with_secrets(self.params_of(name, params, as_of)),
            context=JobContext(schedule=schedule.name),
        )
        job, _ = await self._jobs.submit_request(request, actor=actor)
        return job

    def params_of(
        self, name: str, params: Mapping[str, Json] | None = None, as_of: date | None = None
    ) -> dict[str, Json]:
        """The parameters of a run by hand, with ``***`` for the schedule's secrets; see :meth:`run`."""
        schedule = self.named(name)
        own = {key: value for key, value in {**schedule.params, **(params or {})}.items() if value is not None}
        try:
            return replace(schedule, params=own).params_at(self._now() if as_of is None else schedule.tick_of(as_of))
        except RecurrenceError as error:
            raise RefusedError([JobRequestFault(0, "params", "", f"a parameter {error}")]) from error

    def named(self, name: str) -> Schedule:
        """The schedule of that name.

        Raises:
            NotFoundError: there is none.
        """
        if (reason := self.unserved.get(name)) is not None:
            raise ConflictError(f"schedule {name!r}: {reason}")
        if name not in self._schedules:
            known = ", ".join(sorted(self._schedules)) or "none is configured"
            raise NotFoundError(f"unknown schedule {name!r}; configured: {known}")
        return self._schedules[name]

    def _now(self) -> float:
        """The wall clock of the machine, which decides about ticks."""
        return self._clock.now() + self._clock.skew()


def _status(schedule: Schedule, progress: ScheduleProgress | None, now: float) -> ScheduleStatus:
    next_at = schedule.next_tick(now)
    if progress is None:
        return ScheduleStatus(schedule, next_at, None, None)
    passed = 0
    if progress.pause is not None:
        ticks = islice(schedule.ticks_after(progress.at), MOST_PASSED)
        passed = sum(1 for _ in takewhile(lambda tick_at: tick_at <= now, ticks))
    return ScheduleStatus(schedule, next_at, progress.at, progress.job_id, progress.pause, passed)

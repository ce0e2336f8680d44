"""Requests about schedules: how far each is, and submitting its job now."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidewaiter.clock import Clock
from tidewaiter.database.schedule_store import ScheduleStore
from tidewaiter.domain.account_scope import Scope
from tidewaiter.domain.job import Job
from tidewaiter.domain.job_context import JobContext
from tidewaiter.recurrence import Schedule
from tidewaiter.services.actors import Actor
from tidewaiter.services.job_requests import JobRequest, NotFoundError
from tidewaiter.services.job_service import JobService


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """A schedule, its next tick, the last tick that was served (epoch seconds), and that tick's job."""

    schedule: Schedule
    next_at: float | None
    ticked_at: float | None
    job: int | None


class ScheduleService:
    """Handles requests about schedules.

    Args:
        schedules: the configured ones, by name.
        store: the last served ticks.
        jobs: submits their jobs.
        clock: the time.
    """

    def __init__(self, schedules: Mapping[str, Schedule], store: ScheduleStore, jobs: JobService, clock: Clock) -> None:
        self._schedules = schedules
        self._store = store
        self._jobs = jobs
        self._clock = clock

    def limited_to(self, scope: Scope) -> "ScheduleService":
        """The same for a caller who may see these accounts only."""
        schedules = {name: one for name, one in self._schedules.items() if one.account in scope}
        return ScheduleService(schedules, self._store, self._jobs.limited_to(scope), self._clock)

    async def statuses(self) -> list[ScheduleStatus]:
        """The status of every configured schedule, by name.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        ticked, now = await self._store.progress(), self._now()
        found: list[ScheduleStatus] = []
        for name, one in sorted(self._schedules.items()):
            last = ticked.get(name)
            at, job = (None, None) if last is None else (last.at, last.job_id)
            found.append(ScheduleStatus(one, one.next_tick(now), at, job))
        return found

    async def run(self, name: str, *, actor: Actor) -> Job:
        """Submit a schedule's job now, in addition to its ticks.

        Raises:
            NotFoundError: there is no such schedule.
            RefusedError: its parameters, with today's dates, are not permitted.
            StoreUnavailableError: the database cannot be reached.
        """
        schedule = self.named(name)
        request = JobRequest(
            schedule.account,
            schedule.operation,
            schedule.params_at(self._now()),
            context=JobContext(schedule=schedule.name),
        )
        job, _ = await self._jobs.submit_request(request, actor=actor)
        return job

    def named(self, name: str) -> Schedule:
        """The schedule of that name.

        Raises:
            NotFoundError: there is none.
        """
        if name not in self._schedules:
            known = ", ".join(sorted(self._schedules)) or "none is configured"
            raise NotFoundError(f"unknown schedule {name!r}; configured: {known}")
        return self._schedules[name]

    def _now(self) -> float:
        """The wall clock of the machine, which decides about ticks."""
        return self._clock.now() + self._clock.skew()

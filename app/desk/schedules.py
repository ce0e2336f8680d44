"""Schedules at the desk: how far each is, and its job right now."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.clock import Clock
from app.desk.actors import Actor
from app.desk.desk import Desk
from app.desk.errors import NotFoundError
from app.domain.job import Job
from app.domain.scope import Scope
from app.recurrence import Schedule
from app.store.schedules import ScheduleStore


@dataclass(frozen=True, slots=True)
class ScheduleStanding:
    """A schedule, its next tick and the last one that was served (epoch seconds), and the last job."""

    schedule: Schedule
    next_at: float | None
    ticked_at: float | None
    job: int | None


class ScheduleDesk:
    """Answers about schedules.

    Args:
        schedules: the configured ones, by name.
        store: how far each is.
        desk: takes their jobs.
        clock: the time.
    """

    def __init__(self, schedules: Mapping[str, Schedule], store: ScheduleStore, desk: Desk, clock: Clock) -> None:
        self._schedules = schedules
        self._store = store
        self._desk = desk
        self._clock = clock

    def limited_to(self, scope: Scope) -> "ScheduleDesk":
        """The same for somebody who may know of these accounts only."""
        schedules = {name: one for name, one in self._schedules.items() if one.account in scope}
        return ScheduleDesk(schedules, self._store, self._desk.limited_to(scope), self._clock)

    async def standings(self) -> list[ScheduleStanding]:
        """How every configured schedule stands, by name.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        ticked, now = await self._store.ticked(), self._now()
        found: list[ScheduleStanding] = []
        for name, one in sorted(self._schedules.items()):
            last = ticked.get(name)
            at, job = (None, None) if last is None else (last.at, last.job_id)
            found.append(ScheduleStanding(one, one.next_tick(now), at, job))
        return found

    async def run(self, name: str, *, actor: Actor) -> Job:
        """Ask for a schedule's job now, beside its ticks.

        Raises:
            NotFoundError: there is no such schedule.
            RefusedError: its parameters, with the dates of today, are not permitted.
            StoreUnavailableError: the database cannot be reached.
        """
        schedule = self.named(name)
        job, _ = await self._desk.submit(
            schedule.account, schedule.operation, schedule.params_at(self._now()), actor=actor
        )
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
        """The time of day as the machine has it now, by which ticks go."""
        return self._clock.now() + self._clock.skew()

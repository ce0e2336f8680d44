"""The scheduler: submits the jobs of recurring schedules, exactly one for each tick, however many daemons run.

Every daemon runs a scheduler. Two daemons that see the same tick use the same unique key, so there is one
job. A daemon that dies between storing the job and storing the tick submits it again after its restart, with the same
key.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tidewaiter.clock import Clock, WakeableTimer
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.database.schedule_store import SchedulePause, ScheduleProgress, ScheduleStore
from tidewaiter.domain.job import Job
from tidewaiter.domain.job_context import JobContext
from tidewaiter.log import EventLog
from tidewaiter.recurrence import Schedule
from tidewaiter.services import JobRequest, RequestError

Submit = Callable[[JobRequest], Awaitable[tuple[Job, bool]]]
"""Submits a job, once for its unique key; raises ``RequestError``."""

LATE_S = 60.0
"""A tick that is served later than this counts as missed, and the schedule's policy decides."""

_LONGEST_SLEEP_S = 30.0
_STORE_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """The configured schedules, and what submits a job for an account of the same configuration."""

    schedules: Sequence[Schedule]
    submit: Submit


class Scheduler:
    """Serves the ticks of schedules.

    Args:
        settings: the schedules, and what submits their jobs.
        store: remembers how far each is.
        clock: the time; ticks follow the wall clock, so a machine whose clock was corrected catches up.
        log: receives every tick.
    """

    def __init__(self, settings: SchedulerSettings, store: ScheduleStore, clock: Clock, log: EventLog) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._log = log
        self._timer = WakeableTimer(clock)
        self._pauses: dict[str, SchedulePause] = {}

    def reconfigure(self, settings: SchedulerSettings) -> None:
        """Serve these schedules from now on. A new one begins now; a known one goes on after its last tick."""
        self._settings = settings
        self._timer.wake()

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            try:
                delay_s = await self._serve()
            except StoreUnavailableError as error:
                self._log.emit("store.unavailable", reason=str(error), waiting=0)
                delay_s = _STORE_RETRY_S
            await self._timer.sleep(delay_s)

    async def _serve(self) -> float:
        """Submit the jobs that are due; returns the seconds until the next round."""
        ticked = await self._store.progress() if self._settings.schedules else {}
        for schedule in self._settings.schedules:
            progress = ticked.get(schedule.name)
            if not self._is_paused(schedule, None if progress is None else progress.pause):
                await self._serve_one(schedule, progress)
        now = self._wall()
        coming = [tick_at for one in self._settings.schedules if (tick_at := one.next_tick(now)) is not None]
        return max(0.0, min([_LONGEST_SLEEP_S, *(tick_at - now for tick_at in coming)]))

    def _is_paused(self, schedule: Schedule, pause: SchedulePause | None) -> bool:
        """Whether a person paused it. Its last tick stays as it is: what passes in the pause counts as missed."""
        before = self._pauses.pop(schedule.name, None)
        if pause is not None:
            self._pauses[schedule.name] = pause
        named = {"schedule": schedule.name, "account": schedule.account}
        if pause is not None and before is None:
            self._log.emit("schedule.paused", **named, by=pause.by, reason=pause.reason)
        elif pause is None and before is not None:
            paused_s = round(max(0.0, self._wall() - before.at), 1)
            self._log.emit("schedule.resumed", **named, paused_s=paused_s)
        return pause is not None

    async def _serve_one(self, schedule: Schedule, ticked: ScheduleProgress | None) -> None:
        now = self._wall()
        if ticked is None:
            # A new schedule begins now, and has missed nothing.
            await self._store.save_tick(schedule.name, now, None)
            return
        due = schedule.due(ticked.at, now, LATE_S)
        if due.missed:
            self._log.emit(
                "schedule.missed", schedule=schedule.name, account=schedule.account, ticks=due.missed,
                catch_up=schedule.catch_up.value,
            )  # fmt: skip
        for tick_at in due.ticks:
            await self._store.save_tick(schedule.name, tick_at, await self._job_of(schedule, tick_at))
        if due.last is not None and due.missed:
            await self._store.save_tick(schedule.name, due.last, None)

    async def _job_of(self, schedule: Schedule, tick_at: float) -> int | None:
        """Submit the job of a tick; ``None`` if it is refused, which a person must correct."""
        try:
            job, created = await self._settings.submit(
                JobRequest(
                    schedule.account,
                    schedule.operation,
                    schedule.with_secrets(schedule.params_at(tick_at)),
                    schedule.key_at(tick_at),
                    JobContext(schedule=schedule.name, scheduled_for=tick_at),
                )
            )
        except RequestError as error:
            self._log.emit("schedule.refused", schedule=schedule.name, account=schedule.account, reason=str(error))
            return None
        self._log.emit(
            "schedule.ticked", schedule=schedule.name, account=schedule.account, job=job.id, created=created,
            late_s=round(self._wall() - tick_at, 1),
        )  # fmt: skip
        return job.id

    def _wall(self) -> float:
        """The machine's time of day; unlike the clock's ``now``, it changes when the machine's clock is set."""
        return self._clock.now() + self._clock.skew()

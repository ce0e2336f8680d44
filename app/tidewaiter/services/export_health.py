"""The health of exports: what a person should know of without looking, as numbers for alerts.

These are failures that nobody has handled, schedules whose last run failed or did not come, and jobs that take much
longer than their operation usually does.
"""

from collections.abc import Callable, Mapping

from tidewaiter.clock import Clock
from tidewaiter.database.engine import Database
from tidewaiter.database.failure_store import FailureStore
from tidewaiter.database.run_store import LastRuns, RunStore
from tidewaiter.domain.job import FAILURES, Job
from tidewaiter.metrics.readings import ExportReading, ScheduleReading
from tidewaiter.recurrence import CatchUp, Schedule
from tidewaiter.services.job_pace import JobPace


class ExportHealth:
    """Reads the health of exports.

    Args:
        schedules: returns the configured schedules, by name.
        database: where the jobs are.
        clock: the time; schedules follow the wall clock.
    """

    def __init__(self, schedules: Callable[[], Mapping[str, Schedule]], database: Database, clock: Clock) -> None:
        self._schedules = schedules
        self._failures = FailureStore(database)
        self._runs = RunStore(database)
        self._pace = JobPace(database, clock)
        self._clock = clock

    async def reading(self) -> ExportReading:
        """The numbers of now.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        failures = {(one.account, one.operation): one.jobs for one in await self._failures.groups()}
        paces = await self._pace.operations()
        running_s = {(one.account, one.operation): one.running_s for one in paces}
        usual_s = {(one.account, one.operation): one.usual_s for one in paces}
        return ExportReading(failures, await self._schedule_readings(), running_s, usual_s)

    async def _schedule_readings(self) -> list[ScheduleReading]:
        schedules = self._schedules()
        if not schedules:
            return []
        runs, now = await self._runs.last_runs(), self._clock.now() + self._clock.skew()
        return [
            ScheduleReading(one.account, name, _last_state(runs[name]), late_s(one, runs[name], now))
            for name, one in sorted(schedules.items())
            if name in runs
        ]


def late_s(schedule: Schedule, runs: LastRuns, now: float) -> float:
    """For how many seconds a run of the schedule is missing; 0 if none is.

    The run of a tick is missing until a later run begins, by a tick or by hand: also if it was refused, or skipped
    because no daemon ran. What ``catch_up = "skip"`` leaves out of a pause is not missing: a person has paused it.
    """
    since = runs.ticked_at
    if runs.newest is not None:
        scheduled_for = runs.newest.context.scheduled_for
        since = runs.newest.created_at if scheduled_for is None else max(scheduled_for, _by_hand(runs.newest))
    if schedule.catch_up is CatchUp.SKIP and runs.resumed_at is not None:
        since = max(since, runs.resumed_at)
    expected_at = schedule.next_tick(since)
    return 0.0 if expected_at is None else max(0.0, now - expected_at)


def _by_hand(job: Job) -> float:
    """When a person retried a run, which has the tick of the first one; 0 if nobody did."""
    return 0.0 if job.retry_of is None else job.created_at


def _last_state(runs: LastRuns) -> str | None:
    """How the last run ended; ``None`` if none has, or if a person knows of its failure."""
    if runs.ended is None or (runs.ended.state in FAILURES and runs.ended.handled_at is not None):
        return None
    return runs.ended.state.value

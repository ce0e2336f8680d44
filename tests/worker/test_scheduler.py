"""The scheduler on a real database: one job for each tick, whichever daemon sees it."""

import asyncio
import io
from zoneinfo import ZoneInfo

import pytest

from tests.support.log_lines import log_lines
from tests.support.stored_jobs import NOW, StandingClock
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.database.schedule_store import ScheduleStore
from tidewaiter.domain.job import Job, NewJob
from tidewaiter.log import configure
from tidewaiter.recurrence import CatchUp, Schedule
from tidewaiter.services import JobRequest, RequestError
from tidewaiter.worker.scheduler import Scheduler, SchedulerSettings

HOUR = 3600.0
HOURLY = Schedule("hourly", "acme", "statistics", "0 * * * *", ZoneInfo("UTC"), {"day": "${yesterday}"}, CatchUp.ALL)


class StoppedError(Exception):
    """The clock has come to the end of what the test wants to see."""


class RunningClock(StandingClock):
    """A clock on which sleeping costs no time, until the test's end comes."""

    def __init__(self, until: float) -> None:
        super().__init__()
        self._until = until

    async def sleep(self, seconds: float) -> None:
        """Move on, or stop."""
        await asyncio.sleep(0)
        self.at += seconds
        if self.at > self._until:
            raise StoppedError


class Site:
    """A database with one account, and calendars that serve it."""

    def __init__(self, database: Database, lane: int) -> None:
        self.jobs = JobStore(database)
        self.store = ScheduleStore(database)
        self.output = io.StringIO()
        self._lane = lane
        self.refused = False

    async def submit(self, request: JobRequest) -> tuple[Job, bool]:
        """Submits as the service does, without a provider's spec."""
        if self.refused:
            raise RequestError("account 'acme' has no operation 'statistics'")
        new = NewJob(
            request.account, request.operation, dict(request.params), HOUR, request.unique_key, context=request.context
        )
        return await self.jobs.add(new, self._lane, NOW)

    async def serve(self, clock: RunningClock, *schedules: Schedule) -> None:
        """Keep the calendar until the clock stops."""
        log = configure("json", "info", [], clock=clock, stream=self.output, strict=True)
        with pytest.raises(StoppedError):
            await Scheduler(SchedulerSettings(schedules, self.submit), self.store, clock, log).run()
        log.close()

    def lines(self, event: str) -> list[dict[str, object]]:
        """The log's lines of one event."""
        return log_lines(self.output, event)


@pytest.fixture
async def site(database: Database) -> Site:
    """A database of either kind."""
    lanes = LaneStore(database)
    await lanes.ensure({"acme": 1})
    return Site(database, (await lanes.ids("acme"))[0])


@pytest.mark.slow
async def test_one_job_for_each_tick(site: Site) -> None:
    """Three hours are three jobs with the tick's parameters; a schedule that is new has missed nothing."""
    await site.serve(RunningClock(NOW + 3 * HOUR), HOURLY)
    jobs = await site.jobs.find()
    assert [job.unique_key for job in jobs] == [
        "schedule:hourly:2025-06-15T18:00:00Z",
        "schedule:hourly:2025-06-15T17:00:00Z",
        "schedule:hourly:2025-06-15T16:00:00Z",
    ]
    assert {job.params["day"] for job in jobs} == {"2025-06-14"}
    assert [line["late_s"] for line in site.lines("schedule.ticked")] == [0.0, 0.0, 0.0]
    assert (await site.store.progress())["hourly"].job_id == jobs[0].id


@pytest.mark.slow
async def test_two_daemons_ask_once(site: Site) -> None:
    """Two calendars that see the same ticks make one job of each (exactly one across workers)."""
    clocks = RunningClock(NOW + 3 * HOUR), RunningClock(NOW + 3 * HOUR)
    await asyncio.gather(*(site.serve(clock, HOURLY) for clock in clocks))
    assert len(await site.jobs.find()) == 3


async def test_a_death_between_the_job_and_the_note(site: Site) -> None:
    """A daemon that died after asking asks again, and gets the same job."""
    await site.store.save_tick("hourly", NOW, None)
    key = HOURLY.key_at(HOURLY.next_tick(NOW) or 0.0)
    before, _ = await site.submit(JobRequest("acme", "statistics", {}, key))
    await site.serve(RunningClock(NOW + HOUR), HOURLY)
    (job,) = await site.jobs.find()
    assert job.id == before.id
    assert [line["created"] for line in site.lines("schedule.ticked")] == [False]


async def test_a_downtime_is_caught_up(site: Site) -> None:
    """After a night without a daemon the policy decides, and what is let go is told."""
    last = Schedule("last", "acme", "statistics", "0 * * * *", ZoneInfo("UTC"), {}, CatchUp.LAST)
    await site.store.save_tick("last", NOW - 8 * HOUR, None)
    await site.serve(RunningClock(NOW + 60.0), last)
    assert len(await site.jobs.find()) == 1
    (missed,) = site.lines("schedule.missed")
    assert missed["ticks"] == 7


@pytest.mark.fault(53)
@pytest.mark.slow
async def test_a_clock_that_is_set_is_followed(site: Site) -> None:
    """Ticks go by the wall clock: set a day back it repeats nothing, set forward it is a downtime."""

    class Moved(RunningClock):
        def skew(self) -> float:
            return -24 * HOUR

    await site.serve(RunningClock(NOW + HOUR), HOURLY)
    await site.serve(Moved(NOW + 3 * HOUR), HOURLY)
    assert len(await site.jobs.find()) == 1


async def test_a_refused_job_is_logged_and_the_schedule_goes_on(site: Site) -> None:
    """A job that the service refuses is an error in the log, once for each tick."""
    site.refused = True
    await site.store.save_tick("hourly", NOW, None)
    await site.serve(RunningClock(NOW + 2 * HOUR), HOURLY)
    assert len(site.lines("schedule.refused")) == 2
    assert await site.jobs.find() == []


class StillClock(StandingClock):
    """A clock on which nobody wakes up by himself."""

    async def sleep(self, seconds: float) -> None:
        """For ever."""
        await asyncio.Event().wait()


async def test_other_schedules_are_followed_at_once(site: Site) -> None:
    """A calendar that is given another schedule does not sleep on: the schedule begins now, and misses no tick."""
    log = configure("json", "info", [], stream=site.output, strict=True)
    calendar = Scheduler(SchedulerSettings([], site.submit), site.store, StillClock(), log)
    keeping = asyncio.create_task(calendar.run())
    await asyncio.wait([keeping], timeout=0.05)
    calendar.reconfigure(SchedulerSettings([HOURLY], site.submit))
    async with asyncio.timeout(20):
        while "hourly" not in await site.store.progress():  # noqa: ASYNC110  # a row has no event to wait for
            await asyncio.sleep(0.01)
    keeping.cancel()
    await asyncio.wait([keeping])
    log.close()
    assert await site.jobs.find() == []


async def test_a_paused_schedule_rests(site: Site) -> None:
    """No tick of it is served, other schedules go on, and its policy decides about what has passed in the pause."""
    last = Schedule("last", "acme", "statistics", "0 * * * *", ZoneInfo("UTC"), {}, CatchUp.LAST)
    other = Schedule("other", "acme", "statistics", "0 * * * *", ZoneInfo("UTC"), {}, CatchUp.SKIP)
    for one in (last, other):
        await site.store.save_tick(one.name, NOW, None)
    await site.store.pause("last", NOW, "ada", "repairs")
    await site.serve(RunningClock(NOW + 2 * HOUR), last, other)
    assert {job.context.schedule for job in await site.jobs.find()} == {"other"}
    (paused,) = site.lines("schedule.paused")
    assert (paused["schedule"], paused["by"], paused["reason"]) == ("last", "ada", "repairs")
    await site.store.resume("last", NOW + 2 * HOUR)
    clock = RunningClock(NOW + 2 * HOUR)
    clock.at = NOW + 2 * HOUR - 60.0
    await site.serve(clock, last, other)
    assert [job.context.schedule for job in await site.jobs.find()].count("last") == 1
    assert site.lines("schedule.missed")[-1]["ticks"] == 1

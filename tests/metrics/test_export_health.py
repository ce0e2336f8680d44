"""The health of exports, read from a real database: unhandled failures, schedules, and jobs that take long."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from tests.database.query_plans import fill, plan_of, walks
from tests.support.metrics_page import UP, scrape
from tests.support.stored_jobs import StandingClock, Stores, artifact, new_job
from tidewaiter.database.engine import Database
from tidewaiter.database.failure_store import FailureStore
from tidewaiter.database.run_store import RunStore
from tidewaiter.database.schedule_store import ScheduleStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.job_context import JobContext
from tidewaiter.metrics.process_metrics import Metrics
from tidewaiter.metrics.readings import DatabaseReading
from tidewaiter.recurrence import CatchUp, Schedule
from tidewaiter.services.export_health import ExportHealth
from tidewaiter.services.job_pace import LEAST_RUNS

NIGHTLY = Schedule("nightly", "acme", "statistics", "15 4 * * *", ZoneInfo("UTC"), {}, CatchUp.SKIP)
MINUTE = 60.0
HOUR = 3600.0
DAY = 86_400.0


def _at(day: int, hour: int = 4, minute: int = 15) -> float:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC).timestamp()


@dataclass(slots=True)
class Nights:
    """A schedule whose ticks the test serves."""

    stores: Stores
    clock: StandingClock
    health: ExportHealth
    schedules: ScheduleStore

    async def tick(self, at: float) -> Job:
        """Submit the job of a tick."""
        context = JobContext(schedule="nightly", scheduled_for=at)
        job, _ = await self.stores.jobs.add(new_job(context=context), self.stores.lane.id, at)
        await self.schedules.save_tick("nightly", at, job.id)
        return await self.stores.accepted(job, o.Intended(f"intent-{job.id}"), at)

    async def fail(self, job: Job, at: float) -> Job:
        """End it without files."""
        return await self.stores.accepted(job, o.Refused("no"), at)

    async def land(self, job: Job, at: float) -> Job:
        """End it with a file."""
        return await self.stores.accepted(job, o.Stored((artifact(0, size=1),)), at)

    async def schedule(self, at: float) -> tuple[str | None, float]:
        """How the last run ended, and for how many seconds a run is missing."""
        self.clock.at = at
        (one,) = (await self.health.reading()).schedules
        assert (one.account, one.schedule) == ("acme", "nightly")
        return one.state, one.late_s


@pytest.fixture
async def nights(database_url: str) -> AsyncIterator[Nights]:
    """On either kind of database; the schedule begins on the first of March."""
    clock = StandingClock()
    clock.at = _at(1, 12)
    database = Database.open(database_url, clock)
    stores, schedules = await Stores.set_up(database), ScheduleStore(database)
    await schedules.save_tick("nightly", clock.at, None)
    yield Nights(stores, clock, ExportHealth(lambda: {"nightly": NIGHTLY}, database, clock), schedules)
    await database.close()


async def test_a_run_that_fails(nights: Nights) -> None:
    """The last run that has ended counts, also while the next one runs; it does not when a person knows of it."""
    assert await nights.schedule(_at(1, 13)) == (None, 0.0)
    failed = await nights.fail(await nights.tick(_at(2)), _at(2, 5))
    assert await nights.schedule(_at(2, 9)) == ("failed", 0.0)
    running = await nights.tick(_at(3))
    assert await nights.schedule(_at(3, 4, 20)) == ("failed", 0.0)
    await nights.land(running, _at(3, 5))
    assert await nights.schedule(_at(3, 9)) == ("succeeded", 0.0)

    failed = await nights.fail(await nights.tick(_at(4)), _at(4, 5))
    assert await nights.schedule(_at(4, 9)) == ("failed", 0.0)
    await FailureStore(nights.stores.database).acknowledge(failed.id, "ada", _at(4, 9))
    assert await nights.schedule(_at(4, 10)) == (None, 0.0)


async def test_a_retry_that_fails(nights: Nights) -> None:
    """A retried failure is handled, and the retry is the last run as soon as it has ended."""
    failed = await nights.fail(await nights.tick(_at(2)), _at(2, 5))
    again = new_job(retry_of=failed.id, context=failed.context)
    retry, _ = await nights.stores.jobs.add_again(again, nights.stores.lane.id, _at(2, 9), by="ada")
    assert await nights.schedule(_at(2, 9)) == (None, 0.0)
    await nights.fail(await nights.stores.accepted(retry, o.Intended("again"), _at(2, 9)), _at(2, 10))
    assert await nights.schedule(_at(2, 11)) == ("failed", 0.0)


async def test_a_run_that_does_not_come(nights: Nights) -> None:
    """Refused or skipped, it is missing until the next run; a run by hand, or a retry, ends that, too."""
    await nights.land(await nights.tick(_at(2)), _at(2, 5))
    assert await nights.schedule(_at(3, 4, 14)) == ("succeeded", 0.0)
    assert await nights.schedule(_at(3, 4, 25)) == ("succeeded", 10 * MINUTE)
    await nights.schedules.save_tick("nightly", _at(3), None)
    assert await nights.schedule(_at(3, 9)) == ("succeeded", 5 * HOUR)
    by_hand = new_job(context=JobContext(schedule="nightly"))
    await nights.stores.jobs.add(by_hand, nights.stores.lane.id, _at(3, 9))
    assert await nights.schedule(_at(3, 10)) == ("succeeded", 0.0)
    failed = await nights.fail(await nights.tick(_at(4)), _at(4, 5))
    again = new_job(retry_of=failed.id, context=failed.context)
    await nights.stores.jobs.add_again(again, nights.stores.lane.id, _at(5, 9), by="ada")
    assert await nights.schedule(_at(5, 10)) == (None, 0.0)
    assert await nights.schedule(_at(6, 4, 15)) == (None, 0.0)
    assert await nights.schedule(_at(6, 5, 15)) == (None, HOUR)


async def test_jobs_of_an_earlier_version(nights: Nights) -> None:
    """They do not know their schedule, but the schedule knows the last of them."""
    job, _ = await nights.stores.jobs.add(new_job(), nights.stores.lane.id, _at(2))
    await nights.schedules.save_tick("nightly", _at(2), job.id)
    assert await nights.schedule(_at(2, 5)) == (None, 0.0)
    await nights.fail(await nights.stores.accepted(job, o.Intended("i"), _at(2)), _at(2, 5))
    assert await nights.schedule(_at(3, 5, 15)) == ("failed", HOUR)


async def test_what_a_pause_left_out_is_not_missing(nights: Nights) -> None:
    """With ``skip`` a resumed schedule counts from then; a run that does not come after that is missing as ever."""
    await nights.land(await nights.tick(_at(2)), _at(2, 5))
    await nights.schedules.pause("nightly", _at(2, 12), "ada", None)
    await nights.schedules.resume("nightly", _at(4, 12))
    await nights.schedules.save_tick("nightly", _at(4), None)
    assert await nights.schedule(_at(4, 13)) == ("succeeded", 0.0)
    assert await nights.schedule(_at(5, 5, 15)) == ("succeeded", HOUR)
    served = replace(NIGHTLY, catch_up=CatchUp.LAST)
    health = ExportHealth(lambda: {"nightly": served}, nights.stores.database, nights.clock)
    nights.clock.at = _at(4, 13)
    assert [one.late_s for one in (await health.reading()).schedules] == [_at(4, 13) - _at(3)]


async def test_a_paused_schedule(nights: Nights) -> None:
    """A person knows of it."""
    async with nights.stores.database.writing() as connection:
        await connection.execute(text("UPDATE schedules SET paused_at = 1.0"))
    assert (await nights.health.reading()).schedules == []


async def test_failures(nights: Nights) -> None:
    """Those that nobody has handled, by account and operation."""
    first = await nights.fail(await nights.tick(_at(2)), _at(2, 5))
    await nights.fail(await nights.tick(_at(3)), _at(3, 5))
    assert (await nights.health.reading()).failures == {("acme", "statistics"): 2}
    await FailureStore(nights.stores.database).acknowledge(first.id, "ada", _at(3, 9))
    assert (await nights.health.reading()).failures == {("acme", "statistics"): 1}


async def test_jobs_that_take_long(nights: Nights) -> None:
    """The oldest submitted job beside what is usual, which is known after thirty jobs; a queued job waits its turn."""
    for number in range(LEAST_RUNS):
        if number == LEAST_RUNS - 1:
            assert (await nights.health.reading()).usual_s == {}
        begun = _at(2) + number * HOUR
        nights.clock.at = begun + 100.0
        await nights.land(await nights.tick(begun), begun + 100.0)
    nights.clock.at += 400.0
    now = nights.clock.at
    reading = await nights.health.reading()
    assert reading.usual_s == {("acme", "statistics"): 128.0}
    assert reading.running_s == {("acme", "statistics"): 0.0}
    await nights.stores.jobs.add(new_job(), nights.stores.lane.id, now - 2 * HOUR)
    await nights.tick(now - 200.0)
    await nights.tick(now - 50.0)
    assert (await nights.health.reading()).running_s == {("acme", "statistics"): 200.0}


async def test_the_page_shows_it(nights: Nights) -> None:
    """As series with the labels of the catalogue; without a reading there are none."""
    await nights.fail(await nights.tick(_at(2)), _at(2, 5))
    nights.clock.at = _at(3, 5, 15)
    reading = DatabaseReading({}, {}, {}, None, await nights.health.reading())
    samples = scrape(Metrics(), replace(UP, database=reading))
    of_schedule: Mapping[str, str] = {"account": "acme", "schedule": "nightly"}
    assert samples("tidewaiter_unhandled_failures", account="acme", operation="statistics") == 1
    assert samples("tidewaiter_schedule_last_run", **of_schedule, state="failed") == 1
    assert samples("tidewaiter_schedule_late_seconds", **of_schedule) == HOUR
    without = scrape(Metrics(), replace(UP, database=replace(reading, exports=None)))
    assert "tidewaiter_unhandled_failures" not in {name for name, _ in without.labels()}


@pytest.mark.slow
async def test_readings_use_indexes(nights: Nights) -> None:
    """Among many jobs no reading walks through the table."""
    stores = nights.stores
    await fill(stores)
    job = await nights.tick(_at(2))
    async with stores.database.writing() as connection:
        await connection.execute(text("ANALYZE"))
    assert job.state is State.SUBMITTING
    runs = RunStore(stores.database)
    plan = await plan_of(stores, runs.last_runs)
    assert "jobs_schedule" in plan
    assert not [line for line in walks(plan) if "schedules" not in line and "Sort Key" not in line], plan
    plan = await plan_of(stores, lambda: runs.longest_running(["acme"]))
    if stores.database.dialect == "sqlite":
        assert "USING COVERING INDEX jobs_listed" in plan

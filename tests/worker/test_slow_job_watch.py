"""The slow job watch in virtual time: a job that takes unusually long is logged once."""

import asyncio

import pytest
from sqlalchemy import text

from tests.worker.virtual_lanes import Site, live
from tidewaiter.database.tables import durations
from tidewaiter.domain import outcome as o
from tidewaiter.domain.duration_sketch import NO_DURATIONS
from tidewaiter.domain.job import State
from tidewaiter.domain.trends import TrendStep
from tidewaiter.services.job_pace import JobPace
from tidewaiter.worker.slow_job_watch import SlowJobWatch
from tidewaiter.worker.step_context import StepContext

FILL = "INSERT INTO trends VALUES (86400, :at, :lane, 'report', 'duration:14', :runs)"
USUAL_S = 128.0
MINUTE = 60.0


async def _never_ready(step: StepContext) -> o.Outcome:
    match step.job.state:
        case State.QUEUED:
            return o.Intended("intent")
        case State.SUBMITTING:
            return o.Accepted("r-1")
        case _:
            return o.Pending("running")


@pytest.mark.slow
def test_a_slow_job_is_logged_once(sqlite_url: str) -> None:
    """A quarter of an hour after what is usual, with both numbers; not for a paused account, nor with few jobs."""

    async def story(site: Site) -> None:
        job = await site.add()
        daemon = site.daemon()
        daemon.executor.step = _never_ready
        watch = SlowJobWatch(JobPace(site.database, site.clock), daemon.leases.lanes, site.clock, daemon.log)
        daemon.running.append(asyncio.create_task(watch.run()))
        fill = {"at": TrendStep.DAY.begin(site.clock.now()), "lane": job.lane, "runs": 29}
        async with site.database.writing() as connection:
            await connection.execute(text(FILL), fill)
        await site.clock.sleep(30 * MINUTE)
        assert daemon.events("job.slow") == []

        async with site.database.writing() as connection:
            await connection.execute(text("UPDATE trends SET value = 30"))
        daemon.lane.budget.pause("a person")
        await site.clock.sleep(10 * MINUTE)
        assert daemon.events("job.slow") == []
        daemon.lane.budget.resume()
        await site.clock.sleep(30 * MINUTE)
        (line,) = daemon.events("job.slow")
        assert (line["job"], line["account"], line["operation"]) == (job.id, "acme", "report")
        assert (line["state"], line["usual_s"], line["level"]) == ("polling", USUAL_S, "warning")
        assert 40 * MINUTE <= float(str(line["running_s"])) < 42 * MINUTE
        await daemon.die()

    live(sqlite_url, story)


@pytest.mark.slow
def test_a_job_is_not_slow_at_once(sqlite_url: str) -> None:
    """Until a quarter of an hour has passed after what is usual, nothing is said."""

    async def story(site: Site) -> None:
        job = await site.add()
        async with site.database.writing() as connection:
            fill = {"at": TrendStep.DAY.begin(site.clock.now()), "lane": job.lane, "runs": 30}
            await connection.execute(text(FILL), fill)
        daemon = site.daemon()
        daemon.executor.step = _never_ready
        watch = SlowJobWatch(JobPace(site.database, site.clock), daemon.leases.lanes, site.clock, daemon.log)
        daemon.running.append(asyncio.create_task(watch.run()))
        await site.clock.sleep(16 * MINUTE)
        assert daemon.events("job.slow") == []
        site.reachable = False
        await site.clock.sleep(2 * MINUTE)
        site.reachable = True
        await site.clock.sleep(5 * MINUTE)
        assert len(daemon.events("job.slow")) == 1
        await daemon.die()

    live(sqlite_url, story)


def test_slow_against_its_own_history(sqlite_url: str) -> None:
    """A job that is polled is slow at twice what 95 % of the jobs of its kind took, whatever others took in all."""

    async def story(site: Site) -> None:
        job, sketch = await site.add(), NO_DURATIONS
        for _ in range(30):
            sketch = sketch.with_one(100.0, 110.0)
        row = {"lane": job.lane, "operation": "report", "kind": "", "sketch": sketch.to_text(), "updated_at": 1.0}
        async with site.database.writing() as connection:
            fill = {"at": TrendStep.DAY.begin(site.clock.now()), "lane": job.lane, "runs": 30}
            await connection.execute(text(FILL.replace("duration:14", "duration:30")), fill)  # nine hours
            await connection.execute(durations.insert().values(row))
        daemon = site.daemon()
        daemon.executor.step = _never_ready
        watch = SlowJobWatch(JobPace(site.database, site.clock), daemon.leases.lanes, site.clock, daemon.log)
        daemon.running.append(asyncio.create_task(watch.run()))
        await site.clock.sleep(3 * MINUTE)
        assert daemon.events("job.slow") == []
        await site.clock.sleep(2 * MINUTE)
        (line,) = daemon.events("job.slow")
        assert 100.0 < float(str(line["usual_s"])) < 120.0
        assert 200.0 < float(str(line["running_s"])) < 300.0
        await daemon.die()

    live(sqlite_url, story)

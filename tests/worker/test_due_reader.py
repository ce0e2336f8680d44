"""The due jobs of all lanes of a daemon, read together."""

import asyncio
from pathlib import Path

from tests.support.database_counts import counting
from tests.support.inline_sqlite import InlineProcess
from tests.support.stored_jobs import new_job
from tests.support.virtual_time import VirtualClock, virtual_time
from tidewaiter.database.due_store import DueStore
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.job import Track
from tidewaiter.worker.due_jobs import DueJobs
from tidewaiter.worker.due_reader import DueReader
from tidewaiter.worker.jobs_under_way import JobsUnderWay
from tidewaiter.worker.remote_job_limit import RemoteJobs

_LANES = 50


def _stream(jobs: JobStore, reader: DueReader, lane: int, clock: VirtualClock) -> DueJobs:
    remote = RemoteJobs(jobs, lane, None, clock)
    return DueJobs(lane, Track.ASK, 4, reader=reader, under_way=JobsUnderWay(), remote=remote, clock=clock)


def test_lanes_that_wait_are_read_together(sqlite_url: str) -> None:
    """Fifty lanes with a job due at one moment need one statement; a lane without one does not hold them up."""
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with virtual_time() as (loop, clock):

        async def story() -> None:
            database = InlineProcess(path).database(clock)
            jobs, lanes = JobStore(database), LaneStore(database)
            await lanes.ensure({"acme": _LANES + 1})
            numbers = await lanes.ids("acme")
            reader = DueReader(DueStore(database), clock)
            running = asyncio.create_task(reader.run())
            waiting = [asyncio.create_task(_stream(jobs, reader, lane, clock).next()) for lane in numbers]
            stored = [(await jobs.add(new_job(), lane, clock.now() + 60.0))[0].id for lane in numbers[:_LANES]]
            await clock.sleep(1.0)
            assert not any(task.done() for task in waiting)
            with counting() as counts:
                found = await asyncio.gather(*waiting[:_LANES])
            assert [job.id for job in found] == stored
            assert counts.statements == 1
            for task in (running, waiting[-1]):
                task.cancel()
            await asyncio.wait([running, waiting[-1]])
            await database.close()

        loop.run_until_complete(story())

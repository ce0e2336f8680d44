"""Two updates of one job at the committer, and two overlapping requests for one shared result."""

import asyncio
import io
from random import Random

import pytest

from tests.support.stored_jobs import NOW, OWNER, POLICY, StandingClock, Stores, new_job
from tidewaiter.database.engine import Database
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.state_machine import JobUpdate, advance
from tidewaiter.log import configure
from tidewaiter.worker.committer import CommitResult, Committer
from tidewaiter.worker.job_event_log import JobLog
from tidewaiter.worker.remote_job_limit import RemoteJobs
from tidewaiter.worker.shared_results import SharedResults

ASK = new_job(answer_key="00000001page")


def _decided(job: Job, outcome: o.Outcome) -> JobUpdate:
    return advance(job, outcome, POLICY, NOW, Random(1))


async def test_a_cancel_request_and_an_intent_of_one_job(database: Database) -> None:
    """Both are judged in their order: the first is written, the second finds the job moved on, and nothing breaks."""
    stores = await Stores.set_up(database)
    job, _ = await stores.jobs.add(new_job(), stores.lane.id, NOW)
    clock = StandingClock()
    log = configure("json", "info", [], clock=clock, stream=io.StringIO(), strict=True)
    committer = Committer(stores.jobs, OWNER, clock, log, JobLog(log, clock, stores.jobs))
    verdicts: list[CommitResult] = []
    for outcome in (o.CancelAsked(), o.Intended("k")):
        committer.record(_decided(job, outcome), stores.lane.epoch, lambda _, verdict: verdicts.append(verdict))
    running = asyncio.ensure_future(committer.run())
    await committer.settled()
    running.cancel()
    log.close()
    assert verdicts == [CommitResult.ACCEPTED, CommitResult.STALE]
    stored = await stores.jobs.get(job.id)
    assert stored is not None
    assert stored.state is State.CANCELLED
    assert [entry.outcome for entry in await stores.jobs.history(job.id)] == ["Submitted", "CancelAsked"]


async def test_an_update_and_what_follows_it(database: Database) -> None:
    """A step that is stopped in its commit says what comes after it; both are written, one after the other."""
    stores = await Stores.set_up(database)
    job, _ = await stores.jobs.add(new_job(), stores.lane.id, NOW)
    clock = StandingClock()
    log = configure("json", "info", [], clock=clock, stream=io.StringIO(), strict=True)
    committer = Committer(stores.jobs, OWNER, clock, log, JobLog(log, clock, stores.jobs))
    verdicts: list[CommitResult] = []
    intended = _decided(job, o.Intended("k"))
    for update in (intended, _decided(intended.job, o.Interrupted())):
        committer.record(update, stores.lane.epoch, lambda _, verdict: verdicts.append(verdict))
    running = asyncio.ensure_future(committer.run())
    await committer.settled()
    running.cancel()
    log.close()
    assert verdicts == [CommitResult.ACCEPTED, CommitResult.ACCEPTED]
    stored = await stores.jobs.get(job.id)
    assert stored is not None
    assert stored.state is State.QUEUED


async def test_questions_that_overlap_both_come_to_an_end(stores: Stores) -> None:
    """A job that needs a newer result asks while an older request runs; jobs that wait for waiting jobs get get it."""
    first, _ = await stores.jobs.add(ASK, stores.lane.id, NOW)
    second, _ = await stores.jobs.add(ASK, stores.lane.id, NOW)
    answers = SharedResults(stores.jobs, None, StandingClock())  # type: ignore[arg-type]  # no file is looked at
    answers.begin(first)
    waiting = answers._begun[first.id].promise
    answers.begin(second)
    answers.end(first)
    answers.end(second)
    assert waiting.done()
    assert waiting.result() is None


async def test_what_ends_while_the_count_is_read_does_not_come_back(stores: Stores) -> None:
    """A remote job that is cancelled between the read and its answer is not counted for ever."""
    polling = await stores.polling("remote-1")
    remote = RemoteJobs(stores.jobs, stores.lane.id, 1, StandingClock())
    loading = asyncio.ensure_future(remote.load())
    await asyncio.sleep(0)
    remote.forget(polling.id)
    await loading
    assert not remote.full


@pytest.fixture
async def stores(database: Database) -> Stores:
    """A lane that is held."""
    return await Stores.set_up(database)

"""Two updates of one job that meet in the recorder, and two questions for one answer that overlap."""

import asyncio
import io
from random import Random

import pytest

from tests.support.stored_jobs import NOW, OWNER, POLICY, Scene, StandingClock, new_job
from tidewaiter.database.engine import Database
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.state_machine import Update, advance
from tidewaiter.log import configure
from tidewaiter.worker.admission import RemoteJobs
from tidewaiter.worker.committer import CommitResult, Committer
from tidewaiter.worker.job_log import JobLog
from tidewaiter.worker.shared_results import SharedResults

ASK = new_job(answer_key="00000001page")


def _decided(job: Job, outcome: o.Outcome) -> Update:
    return advance(job, outcome, POLICY, NOW, Random(1))


async def test_a_wish_and_an_intent_of_one_job(database: Database) -> None:
    """Both are judged in their order: the first is written, the second finds the job moved on, and nothing breaks."""
    scene = await Scene.set_up(database)
    job, _ = await scene.jobs.add(new_job(), scene.lane.id, NOW)
    clock = StandingClock()
    log = configure("json", "info", [], clock=clock, stream=io.StringIO(), strict=True)
    recorder = Committer(scene.jobs, OWNER, clock, log, JobLog(log, clock, scene.jobs))
    verdicts: list[CommitResult] = []
    for outcome in (o.CancelAsked(), o.Intended("k")):
        recorder.record(_decided(job, outcome), scene.lane.epoch, lambda _, told: verdicts.append(told))
    running = asyncio.ensure_future(recorder.run())
    await recorder.settled()
    running.cancel()
    log.close()
    assert verdicts == [CommitResult.ACCEPTED, CommitResult.STALE]
    stored = await scene.jobs.get(job.id)
    assert stored is not None
    assert stored.state is State.CANCELLED
    assert [entry.outcome for entry in await scene.jobs.history(job.id)] == ["Submitted", "CancelAsked"]


async def test_an_update_and_what_follows_it(database: Database) -> None:
    """A step that is stopped in its commit says what comes after it; both are written, one after the other."""
    scene = await Scene.set_up(database)
    job, _ = await scene.jobs.add(new_job(), scene.lane.id, NOW)
    clock = StandingClock()
    log = configure("json", "info", [], clock=clock, stream=io.StringIO(), strict=True)
    recorder = Committer(scene.jobs, OWNER, clock, log, JobLog(log, clock, scene.jobs))
    verdicts: list[CommitResult] = []
    intended = _decided(job, o.Intended("k"))
    for update in (intended, _decided(intended.job, o.Interrupted())):
        recorder.record(update, scene.lane.epoch, lambda _, told: verdicts.append(told))
    running = asyncio.ensure_future(recorder.run())
    await recorder.settled()
    running.cancel()
    log.close()
    assert verdicts == [CommitResult.ACCEPTED, CommitResult.ACCEPTED]
    stored = await scene.jobs.get(job.id)
    assert stored is not None
    assert stored.state is State.QUEUED


async def test_questions_that_overlap_both_come_to_an_end(scene: Scene) -> None:
    """A job that wants a newer answer asks while an older question is open; whoever waits for the older one is told."""
    first, _ = await scene.jobs.add(ASK, scene.lane.id, NOW)
    second, _ = await scene.jobs.add(ASK, scene.lane.id, NOW)
    answers = SharedResults(scene.jobs, None, StandingClock())  # type: ignore[arg-type]  # no file is looked at
    answers.begin(first)
    waiting = answers._begun[first.id].promise
    answers.begin(second)
    answers.end(first)
    answers.end(second)
    assert waiting.done()
    assert waiting.result() is None


async def test_what_ends_while_the_count_is_read_does_not_come_back(scene: Scene) -> None:
    """A remote job that is cancelled between the read and its answer is not counted for ever."""
    polling = await scene.polling("remote-1")
    remote = RemoteJobs(scene.jobs, scene.lane.id, 1, StandingClock())
    loading = asyncio.ensure_future(remote.load())
    await asyncio.sleep(0)
    remote.forget(polling.id)
    await loading
    assert not remote.full


@pytest.fixture
async def scene(database: Database) -> Scene:
    """A lane that is held."""
    return await Scene.set_up(database)

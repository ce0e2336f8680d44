"""The committer: what becomes of an update that another daemon, another job or the database stands against."""

import asyncio
import io
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from tests.support.stored_jobs import NOW, OWNER, POLICY, Scene, StandingClock, new_job
from tidewaiter.database.engine import Database
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.state_machine import Update, advance
from tidewaiter.log import configure
from tidewaiter.worker.committer import CommitResult, Committer
from tidewaiter.worker.job_log import JobLog


@dataclass(slots=True)
class CommitterSetup:
    """A committer that runs, its log, and the results that it has reported, in order."""

    scene: Scene
    committer: Committer
    output: io.StringIO
    results: list[tuple[int, CommitResult]] = field(default_factory=list)

    def hand_in(self, update: Update, *, epoch: int | None = None, shares: bool = False) -> None:
        """Hand in an update, as a lane does."""
        epoch = self.scene.lane.epoch if epoch is None else epoch
        self.committer.record(update, epoch, self._reported, shares=shares)

    def _reported(self, update: Update, result: CommitResult) -> None:
        self.results.append((update.job.id, result))

    async def settled(self) -> list[CommitResult]:
        """The results, when there is one for every update."""
        async with asyncio.timeout(30):
            while self.committer.waiting:
                await self.committer.settled()
        return [result for _, result in self.results]

    def events(self) -> list[str]:
        """The names of the log's lines."""
        return [json.loads(line)["event"] for line in self.output.getvalue().splitlines()]


@asynccontextmanager
async def committing(scene: Scene, owner: str = OWNER) -> AsyncIterator[CommitterSetup]:
    """A committer of the daemon that holds the scene's lane."""
    clock, output = StandingClock(), io.StringIO()
    log = configure("json", "info", [], clock=clock, stream=output, strict=True)
    committer = Committer(scene.jobs, owner, clock, log, JobLog(log, clock, scene.jobs))
    running = asyncio.ensure_future(committer.run())
    yield CommitterSetup(scene, committer, output)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    log.close()


def decided(job: Job, outcome: o.Outcome) -> Update:
    """What an outcome makes of a job."""
    return advance(job, outcome, POLICY, NOW, Random(1))


async def _logged(desk: CommitterSetup, event: str) -> None:
    while event not in desk.events():  # noqa: ASYNC110  # the log has no event to wait for
        await asyncio.sleep(0.05)


@pytest.fixture
async def scene(database: Database) -> Scene:
    """A lane that is held."""
    return await Scene.set_up(database)


async def test_many_updates_in_the_order_in_which_they_came(scene: Scene) -> None:
    """Every one has its result, and every transition its line."""
    jobs = [await scene.add() for _ in range(20)]
    async with committing(scene) as desk:
        for job in jobs:
            desk.hand_in(decided(job, o.Intended(f"key-{job.id}")))
        assert await desk.settled() == [CommitResult.ACCEPTED] * 20
        assert [number for number, _ in desk.results] == [job.id for job in jobs]
        assert desk.events() == ["job.advanced"] * 20
    assert {(await scene.stored(job)).state for job in jobs} == {State.SUBMITTING}


@pytest.mark.parametrize("fence", ["epoch", "owner", "version"])
async def test_what_has_moved_on_is_not_written(scene: Scene, fence: str) -> None:
    """The lane has a later epoch, or is another daemon's, or the job has a later version: nothing changes."""
    job = await scene.polling("remote-1")
    update = decided(job, o.Ready())
    if fence == "version":
        job = await scene.accepted(job, o.Pending())
    async with committing(scene, "another" if fence == "owner" else OWNER) as desk:
        desk.hand_in(update, epoch=scene.lane.epoch - (fence == "epoch"))
        assert await desk.settled() == [CommitResult.STALE]
        assert desk.events() == ["update.dropped"]
    assert await scene.stored(job) == job


async def test_one_stale_update_does_not_hold_back_the_rest(scene: Scene) -> None:
    """Of a group each is judged by itself."""
    jobs = [await scene.polling(f"remote-{number}") for number in range(3)]
    async with committing(scene) as desk:
        for job in jobs:
            desk.hand_in(decided(job, o.Ready()), epoch=scene.lane.epoch - (job is jobs[1]))
        assert await desk.settled() == [CommitResult.ACCEPTED, CommitResult.STALE, CommitResult.ACCEPTED]


@pytest.mark.parametrize("shares", [False, True])
async def test_two_jobs_of_one_remote_job(scene: Scene, shares: bool) -> None:
    """A conflict, where jobs may not follow one remote job together; else both do."""
    await scene.polling("remote-1")
    late = await scene.accepted(await scene.add(), o.Intended("key"))
    async with committing(scene) as desk:
        desk.hand_in(decided(late, o.Accepted("remote-1")), shares=shares)
        assert await desk.settled() == [CommitResult.ACCEPTED if shares else CommitResult.CONFLICT]
        assert ("job.conflicted" in desk.events()) is not shares
    stored = await scene.stored(late)
    assert (stored.shared, stored.handle) == (shares, "remote-1" if shares else None)


async def test_a_step_that_is_stopped_while_it_commits(scene: Scene) -> None:
    """What was handed in is written nevertheless."""
    job = await scene.add()
    async with committing(scene) as desk:
        step = asyncio.ensure_future(desk.committer.commit(decided(job, o.Intended("key")), scene.lane.epoch))
        await asyncio.sleep(0)
        step.cancel()
        with suppress(asyncio.CancelledError):
            await step
        await desk.settled()
    assert (await scene.stored(job)).state is State.SUBMITTING


async def test_a_number_that_cannot_be_encoded_fails_its_job_only(scene: Scene) -> None:
    """The rest of the group is written, and the job says why it has failed."""
    bad, good = await scene.polling("remote-1"), await scene.polling("remote-2")
    async with committing(scene) as desk:
        desk.hand_in(decided(bad.but(due_at=float("nan")), o.Ready()))
        desk.hand_in(decided(good, o.Ready()))
        await desk.settled()
        assert dict(desk.results)[good.id] is CommitResult.ACCEPTED
    assert (await scene.stored(good)).state is not State.POLLING


async def test_a_database_that_is_away_for_a_while(tmp_path: Path, sqlite_url: str) -> None:
    """Updates are kept, new steps are held back when they are many, and all is written when it is back."""
    database = Database.open(sqlite_url, StandingClock())
    scene = await Scene.set_up(database)
    jobs = [(await scene.jobs.add(new_job(), scene.lane.id, NOW))[0] for _ in range(2100)]
    with closing(sqlite3.connect(sqlite_url.partition("///")[2], isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        async with committing(scene) as desk:
            for job in jobs:
                desk.hand_in(decided(job, o.Intended(f"key-{job.id}")))
            assert not desk.committer.room.is_set()
            async with asyncio.timeout(60):
                await _logged(desk, "store.unavailable")
            assert desk.results == []
            other.execute("ROLLBACK")
            assert await desk.settled() == [CommitResult.ACCEPTED] * len(jobs)
            assert desk.committer.room.is_set()
            assert "store.resumed" in desk.events()
    await database.close()

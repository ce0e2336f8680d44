"""The committer: updates that conflict with another daemon, another job or the database."""

import asyncio
import io
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from tests.support.log_lines import log_lines
from tests.support.postgres import refusing
from tests.support.stored_jobs import NOW, OWNER, POLICY, StandingClock, Stores, new_job
from tidewaiter.database.engine import Database
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.state_machine import JobUpdate, advance
from tidewaiter.log import configure
from tidewaiter.worker.committer import CommitResult, Committer
from tidewaiter.worker.job_event_log import JobLog


@dataclass(slots=True)
class CommitterSetup:
    """A committer that runs, its log, and the results that it has reported, in order."""

    stores: Stores
    committer: Committer
    clock: StandingClock
    output: io.StringIO
    results: list[tuple[int, CommitResult]] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)

    def hand_in(self, update: JobUpdate, *, epoch: int | None = None, shares: bool = False) -> None:
        """Hand in an update, as a lane does."""
        epoch = self.stores.lane.epoch if epoch is None else epoch
        self.committer.record(update, epoch, self._reported, shares=shares)

    def _reported(self, update: JobUpdate, result: CommitResult) -> None:
        self.results.append((update.job.id, result))

    async def settled(self) -> list[CommitResult]:
        """The results, when there is one for every update."""
        async with asyncio.timeout(30):
            while self.committer.waiting:
                await self.committer.settled()
        return [result for _, result in self.results]

    def events(self) -> list[str]:
        """The names of the log's lines."""
        return [str(line["event"]) for line in log_lines(self.output)]


@asynccontextmanager
async def committing(stores: Stores, owner: str = OWNER) -> AsyncIterator[CommitterSetup]:
    """A committer of the daemon that holds the scene's lane."""
    clock, output = StandingClock(), io.StringIO()
    log = configure("json", "info", [], clock=clock, stream=output, strict=True)
    groups: list[int] = []
    job_log = JobLog(log, clock, stores.jobs)
    committer = Committer(stores.jobs, owner, clock, log, job_log, committed=lambda size, _seconds: groups.append(size))
    running = asyncio.ensure_future(committer.run())
    yield CommitterSetup(stores, committer, clock, output, groups=groups)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    log.close()


def decided(job: Job, outcome: o.Outcome) -> JobUpdate:
    """What an outcome makes of a job."""
    return advance(job, outcome, POLICY, NOW, Random(1))


async def _logged(setup: CommitterSetup, event: str) -> None:
    while event not in setup.events():  # noqa: ASYNC110  # the log has no event to wait for
        await asyncio.sleep(0.05)


@pytest.fixture
async def stores(database: Database) -> Stores:
    """A lane that is held."""
    return await Stores.set_up(database)


async def test_many_updates_in_the_order_in_which_they_came(stores: Stores) -> None:
    """Every one has its result, and every transition its line."""
    jobs = [await stores.add() for _ in range(20)]
    async with committing(stores) as setup:
        for job in jobs:
            setup.hand_in(decided(job, o.Intended(f"key-{job.id}")))
        assert await setup.settled() == [CommitResult.ACCEPTED] * 20
        assert [number for number, _ in setup.results] == [job.id for job in jobs]
        assert setup.events() == ["job.advanced"] * 20
    assert {(await stores.stored(job)).state for job in jobs} == {State.SUBMITTING}


async def test_steps_that_wait_at_the_same_time_share_a_commit(sqlite_url: str) -> None:
    """After a group of several, the updates that steps wait for come together; a single one goes at once."""
    database = Database.open(sqlite_url, StandingClock())
    stores = await Stores.set_up(database)
    jobs = [await stores.add() for _ in range(8)]
    async with committing(stores) as setup:

        def begin(job: Job) -> "asyncio.Task[CommitResult]":
            update = decided(job, o.Intended(f"key-{job.id}"))
            return asyncio.create_task(setup.committer.commit(update, stores.lane.epoch))

        assert await begin(jobs[0]) is CommitResult.ACCEPTED
        assert await asyncio.gather(*map(begin, jobs[1:3])) == [CommitResult.ACCEPTED] * 2
        later = []
        for job in jobs[3:]:
            later.append(begin(job))
            for _ in range(3):  # turns of the event loop, in which a group would begin
                await asyncio.sleep(0)
        assert await asyncio.gather(*later) == [CommitResult.ACCEPTED] * 5
        assert setup.groups == [1, 2, 5]
    await database.close()


async def test_a_job_that_fails_has_the_numbers_of_one_that_lands(stores: Stores) -> None:
    """Each phase counts to its end, or to the end of the job in the one where it ended."""
    job = (await stores.polling("remote-1")).but(submitted_at=NOW + 5.0, remote_status="RUNNING")
    late = (await stores.polling("remote-2")).but(submitted_at=NOW + 5.0, ready_at=NOW + 20.0)
    policy, rand = POLICY, Random(1)
    async with committing(stores) as setup:
        setup.hand_in(advance(job, o.Refused("no such period"), policy, NOW + 65.0, rand))
        setup.hand_in(advance(late, o.Refused("no such period"), policy, NOW + 65.0, rand))
        await setup.settled()
        first, second = log_lines(setup.output)
    assert (first["event"], first["state"], first["status"]) == ("job.failed", "failed", "RUNNING")
    assert (first["queued_s"], first["polling_s"], first["total_s"]) == (5.0, 60.0, 65.0)
    assert "fetching_s" not in first
    assert (first["files"], first["bytes"]) == (0, 0)
    assert (second["queued_s"], second["polling_s"], second["fetching_s"]) == (5.0, 15.0, 45.0)


@pytest.mark.parametrize("fence", ["epoch", "owner", "version"])
async def test_what_has_moved_on_is_not_written(stores: Stores, fence: str) -> None:
    """The lane has a later epoch, or is another daemon's, or the job has a later version: nothing changes."""
    job = await stores.polling("remote-1")
    update = decided(job, o.Ready())
    if fence == "version":
        job = await stores.accepted(job, o.Pending())
    async with committing(stores, "another" if fence == "owner" else OWNER) as setup:
        setup.hand_in(update, epoch=stores.lane.epoch - (fence == "epoch"))
        assert await setup.settled() == [CommitResult.STALE]
        assert setup.events() == ["update.dropped"]
    assert await stores.stored(job) == job


async def test_one_stale_update_does_not_hold_back_the_rest(stores: Stores) -> None:
    """Of a group each is judged by itself."""
    jobs = [await stores.polling(f"remote-{number}") for number in range(3)]
    async with committing(stores) as setup:
        for job in jobs:
            setup.hand_in(decided(job, o.Ready()), epoch=stores.lane.epoch - (job is jobs[1]))
        assert await setup.settled() == [CommitResult.ACCEPTED, CommitResult.STALE, CommitResult.ACCEPTED]


@pytest.mark.parametrize("shares", [False, True])
async def test_two_jobs_of_one_remote_job(stores: Stores, shares: bool) -> None:
    """A conflict, where jobs may not follow one remote job together; else both do."""
    await stores.polling("remote-1")
    late = await stores.accepted(await stores.add(), o.Intended("key"))
    async with committing(stores) as setup:
        setup.hand_in(decided(late, o.Accepted("remote-1")), shares=shares)
        assert await setup.settled() == [CommitResult.ACCEPTED if shares else CommitResult.CONFLICT]
        assert ("job.conflicted" in setup.events()) is not shares
    stored = await stores.stored(late)
    assert (stored.shared, stored.handle) == (shares, "remote-1" if shares else None)


async def test_a_step_that_is_stopped_while_it_commits(stores: Stores) -> None:
    """What was handed in is written nevertheless."""
    job = await stores.add()
    async with committing(stores) as setup:
        step = asyncio.ensure_future(setup.committer.commit(decided(job, o.Intended("key")), stores.lane.epoch))
        await asyncio.sleep(0)
        step.cancel()
        with suppress(asyncio.CancelledError):
            await step
        await setup.settled()
    assert (await stores.stored(job)).state is State.SUBMITTING


async def test_a_number_that_cannot_be_encoded_fails_its_job_only(stores: Stores) -> None:
    """The rest of the group is written, and the job says why it has failed."""
    bad, good = await stores.polling("remote-1"), await stores.polling("remote-2")
    async with committing(stores) as setup:
        setup.hand_in(decided(bad.but(deadline_at=float("nan")), o.Ready()))
        setup.hand_in(decided(good, o.Ready()))
        await setup.settled()
        assert dict(setup.results) == {good.id: CommitResult.ACCEPTED, bad.id: CommitResult.UNWRITABLE}
    assert (await stores.stored(bad)).state is State.FAILED
    assert (await stores.stored(good)).state is not State.POLLING


async def test_a_job_that_has_moved_on_is_not_failed_for_what_an_old_step_learned(stores: Stores) -> None:
    """What cannot be stored would not have been accepted either."""
    job = await stores.polling("remote-1")
    update = decided(job.but(deadline_at=float("nan")), o.Ready())
    job = await stores.accepted(job, o.Pending())
    async with committing(stores) as setup:
        setup.hand_in(update)
        assert await setup.settled() == [CommitResult.STALE]
    assert await stores.stored(job) == job


@pytest.mark.fault(14)
async def test_a_database_that_refuses_for_a_while_is_said_to(postgres_url: str) -> None:
    """After ten seconds of refusals the committer says so with the reason; when all is written, it does not."""
    database = Database.open(postgres_url, StandingClock())
    stores = await Stores.set_up(database)
    job = await stores.polling("remote-1")
    async with committing(stores) as setup:
        async with refusing(postgres_url, "BEFORE UPDATE ON jobs"):
            setup.hand_in(decided(job, o.Ready()))
            await asyncio.wait_for(_logged(setup, "store.unavailable"), 20)
            async with asyncio.timeout(20):
                while (trouble := setup.committer.trouble) is None:  # noqa: ASYNC110  # its clock moves with every try
                    await asyncio.sleep(0.02)
            assert "could not be recorded for " in trouble
            assert "The database has ended the request: shutting down." in trouble
        assert await setup.settled() == [CommitResult.ACCEPTED]
        assert setup.committer.trouble is None
    await database.close()


@pytest.mark.fault(14)
async def test_a_commit_that_does_not_end(tmp_path: Path, sqlite_url: str) -> None:
    """Updates that wait while nothing is tried any more, as on a disk that hangs, are told."""
    database = Database.open(sqlite_url, StandingClock())
    stores = await Stores.set_up(database)
    job = await stores.add()
    with closing(sqlite3.connect(sqlite_url.partition("///")[2], isolation_level=None)) as other:
        async with committing(stores) as setup:
            setup.clock.at += 1000
            stalled = [setup.committer.stalled]
            other.execute("BEGIN IMMEDIATE")
            setup.hand_in(decided(job, o.Intended("key")))
            setup.clock.at += 119
            stalled.append(setup.committer.stalled)
            async with asyncio.timeout(10):
                while not setup.committer.stalled:  # from the moment when a try waits for the lock
                    await asyncio.sleep(0.005)
                    setup.clock.at += 121
            other.execute("ROLLBACK")
            assert await setup.settled() == [CommitResult.ACCEPTED]
            stalled.append(setup.committer.stalled)
    assert stalled == [False] * 3
    await database.close()


@pytest.mark.fault(14, 15)
@pytest.mark.slow
async def test_a_database_that_is_away_for_a_while(tmp_path: Path, sqlite_url: str) -> None:
    """Updates are kept, new steps are held back when they are many, and all is written when it is back."""
    database = Database.open(sqlite_url, StandingClock())
    stores = await Stores.set_up(database)
    jobs = [(await stores.jobs.add(new_job(), stores.lane.id, NOW))[0] for _ in range(2100)]
    with closing(sqlite3.connect(sqlite_url.partition("///")[2], isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        async with committing(stores) as setup:
            for job in jobs:
                setup.hand_in(decided(job, o.Intended(f"key-{job.id}")))
            assert not setup.committer.room.is_set()
            async with asyncio.timeout(60):
                await _logged(setup, "store.unavailable")
            assert setup.results == []
            assert not setup.committer.stalled  # it answers, with an error
            other.execute("ROLLBACK")
            assert await setup.settled() == [CommitResult.ACCEPTED] * len(jobs)
            assert setup.committer.room.is_set()
            assert "store.resumed" in setup.events()
    await database.close()

"""The lane and interruptions of its work, in virtual time, with a real database."""

import asyncio

import pytest

from tests.support.stored_jobs import artifact
from tests.worker.virtual_lanes import LEASE_S, Site, live, never
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.wake_up_store import WakeUpStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State, Track
from tidewaiter.worker.lease import moment
from tidewaiter.worker.step_context import StepContext


def test_the_lease_is_lost_in_the_middle_of_a_step(sqlite_url: str) -> None:
    """The step is stopped, its outcome is refused by the fence, and nothing else is begun."""

    async def story(site: Site) -> None:
        job = await site.add()
        daemon = site.daemon()
        daemon.executor.step = never
        await site.clock.sleep(1.0)
        lane, before = daemon.lane, await site.stored(job)
        assert lane.in_flight == 1
        await site.take_over()
        other = await site.add()
        await site.clock.sleep(LEASE_S)
        assert daemon.executor.interrupts == 1
        assert (lane.in_flight, lane.is_closed, daemon.leases.lanes) == (0, True, {})
        assert [line["lane"] for line in daemon.events("lane.lost")] == [lane.row.id]
        assert await site.stored(job) == before
        assert other.id not in daemon.executor.taken
        await daemon.die()

    live(sqlite_url, story)


def test_a_first_download_does_not_ask_what_has_landed(sqlite_url: str) -> None:
    """The read that finds the due job knows that no file is recorded; the next step of the job knows of the file."""

    async def story(site: Site) -> None:
        await site.add()
        daemon = site.daemon()
        known: list[bool] = []

        async def step(context: StepContext) -> o.Outcome:
            if context.job.state is State.QUEUED:
                return o.Ready()
            known.append(context.has_no_files)
            context.landed([artifact(0)])
            return o.NotYet("more will come")

        daemon.executor.step = step
        await site.clock.sleep(60.0)
        assert known[0]
        assert len(known) > 1
        assert not any(known[1:])
        await daemon.die()

    live(sqlite_url, story)


@pytest.mark.fault(16)
@pytest.mark.invariant(5)
def test_another_owner_has_the_lane_before_we_know(sqlite_url: str) -> None:
    """What a step of the former owner learned is refused, whatever it was; the job stays for the new owner."""

    async def story(site: Site) -> None:
        job = await site.add()
        daemon = site.daemon()
        done = asyncio.Event()

        async def step(_: StepContext) -> o.Outcome:
            await done.wait()
            return o.Refused("no such period")

        daemon.executor.step = step
        await site.clock.sleep(1.0)
        await site.take_over()
        done.set()
        await site.clock.sleep(1.0)
        assert (await site.stored(job)).state is State.QUEUED
        assert [entry.outcome for entry in await JobStore(site.database).history(job.id)] == ["Submitted"]
        await daemon.die()

    live(sqlite_url, story)


@pytest.mark.fault(14)
def test_the_database_is_away_while_a_step_ends(sqlite_url: str) -> None:
    """The outcome waits and is committed once; no job is read meanwhile, and afterwards the next one is served."""

    async def story(site: Site) -> None:
        first = await site.add()
        daemon = site.daemon()
        done = asyncio.Event()

        async def step(step: StepContext) -> o.Outcome:
            await done.wait()
            return o.Refused("no such period")

        daemon.executor.step = step
        await site.clock.sleep(1.0)
        second = await site.add()
        site.reachable = False
        daemon.lane.due_by(Track.ASK, site.clock.now())
        done.set()
        await site.clock.sleep(5.0)
        assert daemon.executor.taken == [first.id]
        site.reachable = True
        await site.clock.sleep(10.0)
        assert daemon.executor.taken == [first.id, second.id]
        assert {(await site.stored(job)).state for job in (first, second)} == {State.FAILED}
        assert len(await JobStore(site.database).history(first.id)) == 2
        assert daemon.events("lane.lost") == []
        await daemon.die()

    live(sqlite_url, story)


@pytest.mark.fault(53)
@pytest.mark.parametrize("ahead_s", [3600.0, -3600.0], ids=["ahead", "back"])
def test_the_wall_clock_jumps(sqlite_url: str, ahead_s: float) -> None:
    """Set ahead, no step begins until the lease is renewed; set back, work goes on. Neither loses the lane."""

    async def story(site: Site) -> None:
        daemon = site.daemon()
        await site.clock.sleep(1.0)
        lane = daemon.lane
        site.clock.ahead_s = ahead_s
        assert lane.lease.held() is (ahead_s < 0)
        job = await site.add()
        lane.due_by(Track.ASK, site.clock.now())
        await site.clock.sleep(2.0)
        # A job that was waited for when the clock jumped is taken: its request is refused at the socket instead.
        daemon.executor.taken.clear()
        job = await site.add()
        lane.due_by(Track.ASK, site.clock.now())
        await site.clock.sleep(2.0)
        assert daemon.executor.taken == ([] if ahead_s > 0 else [job.id])
        lane.lease.renewed(*moment(site.clock))
        await site.clock.sleep(2.0)
        assert daemon.executor.taken == [job.id]
        assert daemon.lane is lane
        await daemon.die()

    live(sqlite_url, story)


def test_a_cancel_request_while_the_account_is_closed(sqlite_url: str) -> None:
    """It needs no permit: the job that waits for one is cancelled at once, and no step is taken for it later."""

    async def story(site: Site) -> None:
        daemon = site.daemon()
        await site.clock.sleep(1.0)
        daemon.lane.budget.close(site.clock.now() + 60.0, "HTTP 429")
        job = await site.add()
        daemon.lane.due_by(Track.ASK, site.clock.now())
        await site.clock.sleep(5.0)
        daemon.lane.cancel(await site.stored(job))
        await site.clock.sleep(1.0)
        assert (await site.stored(job)).state is State.CANCELLED
        await site.clock.sleep(120.0)
        assert daemon.executor.taken == []
        await daemon.die()

    live(sqlite_url, story)


def test_a_pause_and_its_end(sqlite_url: str) -> None:
    """During a pause no step begins; afterwards jobs are read again, with what changed in the database meanwhile."""

    async def story(site: Site) -> None:
        daemon = site.daemon()
        await site.clock.sleep(1.0)
        daemon.lane.apply_pause("HTTP 401")
        job = await site.add()
        daemon.lane.due_by(Track.ASK, site.clock.now())
        await site.clock.sleep(60.0)
        assert daemon.executor.taken == []
        daemon.lane.apply_pause(None)
        await site.clock.sleep(1.0)
        assert daemon.executor.taken == [job.id]
        await daemon.die()

    live(sqlite_url, story)


def test_a_wake_up_in_the_middle_of_a_step(sqlite_url: str) -> None:
    """Another step follows as soon as the outcome is committed, although that says to wait."""

    async def story(site: Site) -> None:
        job = await site.add()
        daemon = site.daemon()
        done = asyncio.Event()

        async def step(_: StepContext) -> o.Outcome:
            if len(daemon.executor.taken) == 1:
                await done.wait()
                return o.Retry("HTTP 500")
            return o.Refused("no such period")

        daemon.executor.step = step
        await site.clock.sleep(1.0)
        await WakeUpStore(site.database).poll_now(job.id, site.clock.now())
        daemon.lane.wake_up(job.id)
        done.set()
        await site.clock.sleep(2.0)
        assert daemon.executor.taken == [job.id, job.id]
        await daemon.die()

    live(sqlite_url, story)


def test_an_operation_that_is_gone(sqlite_url: str) -> None:
    """A job whose operation the spec has no more is ended, with the reason, and no step is taken."""

    async def story(site: Site) -> None:
        daemon = site.daemon()
        await site.clock.sleep(1.0)
        job = await site.add()
        async with site.database.writing() as connection:
            await connection.exec_driver_sql("UPDATE jobs SET operation = 'vanished'")
        daemon.lane.due_by(Track.ASK, site.clock.now())
        await site.clock.sleep(2.0)
        stored = await site.stored(job)
        assert (stored.state, daemon.executor.taken) == (State.FAILED, [])
        assert "has no operation vanished" in str(stored.reason)
        await daemon.die()

    live(sqlite_url, story)


@pytest.mark.fault(9)
@pytest.mark.slow
def test_a_poison_job_fails_alone(sqlite_url: str) -> None:
    """Its step crashes each time: it is tried five times, ever later, and fails; the lane serves the others."""

    async def story(site: Site) -> None:
        poison = await site.add()
        daemon = site.daemon()

        async def step(context: StepContext) -> o.Outcome:
            if context.job.id == poison.id:
                return o.Crashed("KeyError: 'status'")
            return o.Refused("no such period")

        daemon.executor.step = step
        await site.clock.sleep(1.0)
        other = await site.add()
        await site.clock.sleep(3600.0)
        ended = await site.stored(poison)
        assert (ended.state, ended.reason) == (State.FAILED, "5 steps crashed: KeyError: 'status'")
        assert daemon.executor.taken.count(poison.id) == 5
        assert daemon.events("job.crashed")
        assert (await site.stored(other)).reason == "no such period"
        await daemon.die()

    live(sqlite_url, story)

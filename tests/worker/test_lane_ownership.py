"""Leases: acquire, renew, share and release lanes, while daemons die, clocks jump and the database is down."""

import asyncio
from pathlib import Path

import pytest

from tests.alerts.record import Day
from tests.simulation.world import World, config_of, in_world, log_of
from tests.support.daemon_in_process import open_daemon_setup
from tests.support.inline_sqlite import InlineProcess
from tests.support.postgres import refusing
from tests.worker.virtual_lanes import ACCOUNTS, LEASE_S, Site, live, never
from tidewaiter import bootstrap
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.job import State
from tidewaiter.emulators.controls import FaultKind
from tidewaiter.worker.step_context import StepContext


@pytest.mark.slow
async def test_a_lane_that_could_not_be_given_back_is_served_again(tmp_path: Path, postgres_url: str) -> None:
    """Another daemon comes, the write that gives it a lane fails, it goes: the lane is given back late and taken."""
    async with open_daemon_setup(tmp_path, postgres_url) as setup:
        setup.write(setup.account("shop"), setup.account("other"))
        async with setup.serving():
            await setup.logged("lane.taken", more_than=1)
            database = Database.open(postgres_url, SystemClock())
            async with refusing(postgres_url, "BEFORE UPDATE ON lanes FOR EACH ROW WHEN (NEW.owner IS NULL)"):
                await LaneStore(database).heartbeat("another", "elsewhere", 2, "1", lease_s=60.0)
                (refused,) = await setup.logged("store.unavailable")
                assert "shutting down" in str(refused["reason"])
                await LaneStore(database).remove_worker("another")
            await database.close()
            (given_back,) = await setup.logged("lane.given_back")
            (*_, taken) = await setup.logged("lane.taken", more_than=2)
            assert (taken["lane"], taken["clean"]) == (given_back["lane"], True)
            jobs = await setup.until([*await setup.submit("shop"), *await setup.submit("other")])
            assert {job.state for job in jobs} == {State.SUCCEEDED}
        assert setup.lines("lane.lost") == []
        assert setup.code == 0


@pytest.mark.slow
@pytest.mark.parametrize(("away_s", "lost"), [(30.0, 0), (400.0, 2)], ids=["for a moment", "for long"])
def test_the_database_goes_away_while_a_lane_is_given_back(sqlite_template: Path, away_s: float, lost: int) -> None:
    """The rounds go on: what is lost is known as soon as its lease is over, nobody calls the daemon dead, all heals."""

    async def live(world: World) -> list[str]:
        day = Day(world)
        numbers = [await day.submit(account, "OPENS") for account in ("by-url", "by-redirect")]
        day.fault("create", FaultKind.LATENCY, 2, seconds=30.0)
        database = _shared(world, day)
        seams = bootstrap.Seams(world.clock, world.rand, world.wire, database, day.folder)
        config = config_of(world)
        daemon = await bootstrap.build_daemon(config, bootstrap.bind_accounts(config), seams, log_of(world))
        stop = asyncio.Event()
        life = asyncio.ensure_future(daemon.run(stop))
        await world.clock.sleep(10.0)
        await LaneStore(database).heartbeat("another", "elsewhere", 2, "1", lease_s=60.0)
        await world.clock.sleep(15.0)  # the second round waits for a step by now, whose outcome will find no database
        day.disk.broken = True
        for _ in range(10):
            await world.clock.sleep(away_s / 10)
            assert not seams.metrics.daemon().stalled
        assert len(_events(world, "lane.lost")) == lost
        day.disk.broken = False
        await day.pass_(30)
        assert seams.metrics.daemon().in_touch
        assert len(seams.metrics.daemon().lanes) == 2
        stop.set()
        await life
        await database.close()
        assert len(_events(world, "lane.lost")) == lost
        return [str(line["state"]) for line in _events(world, "job.finished") if line["job"] in numbers]

    assert in_world(1, sqlite_template, live) == [State.SUCCEEDED, State.SUCCEEDED]


@pytest.mark.slow
def test_the_lane_of_a_dead_daemon_begins_with_a_full_window(sqlite_template: Path) -> None:
    """Nobody knows what he has sent last: for one period of the limit nothing is sent (invariant 8)."""

    async def live(world: World) -> list[State]:
        day = Day(world)
        database = _shared(world, day)
        config, log = config_of(world), log_of(world)
        states, stop = [], asyncio.Event()

        async def begun() -> "asyncio.Task[bool]":
            seams = bootstrap.Seams(world.clock, world.rand, world.wire, database, day.folder)
            daemon = await bootstrap.build_daemon(config, bootstrap.bind_accounts(config), seams, log)
            return asyncio.ensure_future(daemon.run(stop))

        dead = await begun()
        await world.clock.sleep(1.0)
        dead.cancel()
        await asyncio.wait([dead])
        await world.clock.sleep(config.worker.lease_s)
        heir = await begun()
        await world.clock.sleep(1.0)
        number = await day.submit("by-url", "OPENS")
        for wait_s in (50.0, 20.0):
            await world.clock.sleep(wait_s)
            job = await JobStore(database).get(number)
            assert job is not None
            states.append(job.state)
        stop.set()
        await heir
        await database.close()
        return states

    waits, sent = in_world(1, sqlite_template, live)
    assert waits is State.QUEUED
    assert sent is not State.QUEUED


def test_a_lane_is_given_back_after_its_outcomes(sqlite_url: str) -> None:
    """What the last steps of a lane have learned is committed while it is still ours."""

    async def story(site: Site) -> None:
        first = site.daemon("first", ACCOUNTS)
        for account in ACCOUNTS:
            await site.add(account)

        async def until_closed(step: StepContext) -> o.Outcome:
            while not first.leases.lanes[step.lease.lane].is_closed:
                await site.clock.sleep(0.5)
            return o.Refused("no such period")

        first.executor.step = until_closed
        await site.clock.sleep(1.0)
        second = site.daemon("second", ACCOUNTS)
        await site.clock.sleep(2 * LEASE_S)
        assert len(first.events("lane.given_back")) == 1
        assert len(first.events("job.failed")) == 1
        assert first.events("update.dropped") == []
        await first.die()
        await second.die()

    live(sqlite_url, story)


def test_the_request_window_goes_to_the_next_owner(sqlite_url: str) -> None:
    """What a lane has sent counts after it was given back."""

    async def story(site: Site) -> None:
        site.limits = Limits(requests=3, period_s=3600.0)
        await site.add()
        daemon = site.daemon()
        await site.clock.sleep(1.0)
        assert await daemon.leases.end(grace_s=1.0)
        await daemon.leases.give_back()
        await daemon.die()
        (row,) = await LaneStore(site.database).take("next", 1, LEASE_S, force=False, accounts=["acme"])
        assert len(row.request_window) == 1
        assert row.clean

    live(sqlite_url, story)


def test_17_each_boot_has_an_owner_of_its_own(sqlite_template: Path) -> None:
    """A new pod may have the host name of an old one, which still runs: its lanes are not the new one's."""

    async def live(world: World) -> list[tuple[str, str]]:
        day = Day(world)
        database = _shared(world, day)
        config, log = config_of(world), log_of(world)
        stop, lives = asyncio.Event(), []
        for _ in range(2):
            seams = bootstrap.Seams(world.clock, world.rand, world.wire, database, day.folder)
            daemon = await bootstrap.build_daemon(config, bootstrap.bind_accounts(config), seams, log)
            lives.append(asyncio.ensure_future(daemon.run(stop)))
            await world.clock.sleep(1.0)
        workers = await LaneStore(database).workers()
        stop.set()
        await asyncio.gather(*lives)
        await database.close()
        return [(one.host, one.owner) for one in workers]

    (host, first), (same_host, second) = in_world(1, sqlite_template, live)
    assert host == same_host
    assert len({host, first, second}) == 3


def test_two_daemons_share_the_lanes(sqlite_url: str) -> None:
    """The second one gets its share; when the first is killed, its lanes are taken once their leases are over."""

    async def story(site: Site) -> None:
        first = site.daemon("first", ACCOUNTS)
        await site.clock.sleep(1.0)
        assert [row["owner"] for row in await site.rows()] == ["first", "first"]
        second = site.daemon("second", ACCOUNTS)
        await site.clock.sleep(2 * LEASE_S)
        assert {row["owner"] for row in await site.rows()} == {"first", "second"}
        assert len(first.events("lane.given_back")) == 1
        await first.die()
        await site.clock.sleep(LEASE_S / 2)
        assert len(second.leases.lanes) == 1
        await site.clock.sleep(4 * LEASE_S)
        assert [row["owner"] for row in await site.rows()] == ["second", "second"]
        (*_, taken) = second.events("lane.taken")
        assert taken["clean"] is False
        await second.die()

    live(sqlite_url, story)


@pytest.mark.parametrize("renewals", [0, 1], ids=["taken", "renewed"])
def test_a_lease_counts_from_before_it_was_asked_for(sqlite_url: str, renewals: int) -> None:
    """The answer takes six seconds, which the database counts too (fault 16)."""

    async def story(site: Site) -> None:
        site.answer_s = 6.0
        daemon = site.daemon()
        await site.clock.sleep(site.answer_s + 1.0)
        lane = daemon.lane
        round_s = site.answer_s + LEASE_S / 3
        await site.clock.sleep(renewals * round_s)
        site.reachable = False  # no more renewals: the last one was asked for at the beginning of its round
        await site.clock.sleep(LEASE_S - site.answer_s - 2.0)
        held = [lane.lease.held()]
        await site.clock.sleep(2.0)
        held.append(lane.lease.held())
        assert held == [True, False]
        await daemon.die()

    live(sqlite_url, story)


@pytest.mark.fault(14, 15)
@pytest.mark.parametrize("away_s", [LEASE_S / 2, 3 * LEASE_S], ids=["shorter than a lease", "longer than a lease"])
def test_the_database_is_away_in_the_middle_of_a_step(sqlite_url: str, away_s: float) -> None:
    """A lease that may be over stops the step; a shorter outage disturbs nobody. The end is logged, the lane served."""
    outlasts = away_s < LEASE_S

    async def story(site: Site) -> None:
        await site.add()
        daemon = site.daemon()
        done = asyncio.Event()

        async def step(_: StepContext) -> o.Outcome:
            await done.wait()
            return o.Refused("no such period")

        daemon.executor.step = step
        await site.clock.sleep(1.0)
        lane = daemon.lane
        site.reachable = False
        await site.clock.sleep(away_s)
        assert {daemon.leases.in_touch} == {False}
        assert lane.lease.held() is outlasts
        assert daemon.executor.interrupts == (0 if outlasts else 1)
        site.reachable = True
        await site.clock.sleep(LEASE_S)
        assert {daemon.leases.in_touch} == {True}
        kept = [line["waiting"] for line in daemon.events("store.resumed")]
        assert kept == ([0] if outlasts else [1, 0])
        assert (daemon.lane is lane) is outlasts
        done.set()
        await site.clock.sleep(60.0)
        job = await JobStore(site.database).get(1)
        assert job is not None
        assert job.state is State.FAILED
        await daemon.die()

    live(sqlite_url, story)


@pytest.mark.fault(53)
@pytest.mark.parametrize("ahead_s", [3600.0, -3600.0], ids=["ahead", "back"])
def test_a_wall_clock_that_jumps_costs_no_lane(sqlite_url: str, ahead_s: float) -> None:
    """The next renewal is believed again, and no step is stopped."""

    async def story(site: Site) -> None:
        await site.add()
        daemon = site.daemon()
        daemon.executor.step = never
        await site.clock.sleep(1.0)
        lane = daemon.lane
        site.clock.ahead_s = ahead_s
        await site.clock.sleep(LEASE_S)
        assert daemon.lane is lane
        assert (lane.lease.held(), daemon.executor.interrupts) == (True, 0)
        await daemon.die()

    live(sqlite_url, story)


def _shared(world: World, day: Day) -> Database:
    """The world's database, as one that several daemons may serve at once."""
    database = InlineProcess(world.database_path, day.disk.works).database(world.clock)
    database.exclusive = False
    return database


def _events(world: World, name: str) -> list[dict[str, object]]:
    return [line for line in world.lines() if line["event"] == name]

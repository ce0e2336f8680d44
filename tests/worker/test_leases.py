"""Leases: what becomes of a lane that is to be given back while the database is out of order."""

import asyncio
from pathlib import Path

import pytest

from app import bootstrap
from app.clock import SystemClock
from app.domain.job import State
from app.emulators.faults import FaultKind
from app.store.engine import Database
from app.store.lanes import LaneStore
from tests.alerts.record import Day
from tests.bootstrap.stage import staged
from tests.simulation.world import World, config_of, in_world, log_of
from tests.support.inline_sqlite import connect_inline
from tests.support.postgres import refusing


async def test_a_lane_that_could_not_be_given_back_is_served_again(tmp_path: Path, postgres_url: str) -> None:
    """Another daemon comes, the write that gives it a lane fails, it goes: the lane is given back late and taken."""
    async with staged(tmp_path, postgres_url) as stage:
        stage.write(stage.account("shop"), stage.account("other"))
        async with stage.serving():
            await stage.said("lane.taken", more_than=1)
            database = Database.open(postgres_url, SystemClock())
            async with refusing(postgres_url, "BEFORE UPDATE ON lanes FOR EACH ROW WHEN (NEW.owner IS NULL)"):
                await LaneStore(database).beat("another", "elsewhere", 2, "1", lease_s=60.0)
                (refused,) = await stage.said("store.unavailable")
                assert "shutting down" in str(refused["reason"])
                await LaneStore(database).forget("another")
            await database.close()
            (given_back,) = await stage.said("lane.given_back")
            (*_, taken) = await stage.said("lane.taken", more_than=2)
            assert (taken["lane"], taken["clean"]) == (given_back["lane"], True)
            jobs = await stage.until([*await stage.submit("shop"), *await stage.submit("other")])
            assert {job.state for job in jobs} == {State.SUCCEEDED}
        assert stage.lines("lane.lost") == []
        assert stage.code == 0


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
        await LaneStore(database).beat("another", "elsewhere", 2, "1", lease_s=60.0)
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


def _shared(world: World, day: Day) -> Database:
    """The world's database, as one that several daemons may serve at once."""

    async def connect() -> object:
        connection = await connect_inline(world.database_path, alive=day.disk.works)
        connection.isolation_level = None
        return connection

    url = f"sqlite:///{world.database_path}"
    database = Database.open(url, world.clock, sqlite_connect=connect)  # type: ignore[arg-type]  # is one
    database.exclusive = False
    return database


def _events(world: World, name: str) -> list[dict[str, object]]:
    return [line for line in world.lines() if line["event"] == name]

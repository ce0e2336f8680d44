"""Cached probes of a real database: kept for a while, and never waited for long."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.support.stored_jobs import NOW, StandingClock, Stores
from tidewaiter.database.dashboard_store import DashboardStore
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.metrics.process_metrics import Metrics
from tidewaiter.metrics.readings import DaemonReading
from tidewaiter.services.export_health import ExportHealth
from tidewaiter.web.health_routes import CachedProbes, HealthRoutes, Phase, ProcessStatus


@dataclass(slots=True)
class Place:
    """The soundings of a database in which a test puts jobs, and how often the schema was looked at."""

    clock: StandingClock
    stores: Stores
    soundings: CachedProbes
    checks: list[float] = field(default_factory=list)


async def _no_folder() -> None:
    return None


@pytest.fixture
async def place(database_url: str) -> AsyncIterator[Place]:
    """On either kind of database."""
    clock = StandingClock()
    database = Database.open(database_url, clock)
    stores = await Stores.set_up(database)
    jobs = JobStore(database)
    checks: list[float] = []

    async def check() -> None:
        checks.append(clock.monotonic())
        await database.check_schema()

    soundings = CachedProbes(
        check,
        check_writes=database.check_writable,
        jobs=jobs,
        overview=DashboardStore(jobs, lambda: 4),
        lanes=LaneStore(database),
        free_bytes=_no_folder,
        exports=ExportHealth(dict, database, clock).reading,
        clock=clock,
    )
    yield Place(clock, stores, soundings, checks)
    await database.close()


async def test_what_is_found(place: Place) -> None:
    """Jobs by state, and by account those that are due and by how much the first of them is late."""
    await place.stores.add()
    await place.stores.polling("r-1")
    place.clock.at = NOW + 90.0
    found = await place.soundings.database_counts()
    assert found is not None
    assert {state: jobs for state, jobs in found.jobs.items() if jobs} == {"queued": 1, "polling": 1}
    assert found.due == {"acme": 2}
    assert found.overdue_s["acme"] == pytest.approx(90.0, abs=1.0)
    assert found.free_bytes is None


async def test_a_look_is_kept(place: Place) -> None:
    """For ten seconds everybody gets the same numbers; then somebody looks again."""
    first = await place.soundings.database_counts()
    await place.stores.add()
    place.clock.at += 9.0
    assert await place.soundings.database_counts() is first
    place.clock.at += 2.0
    later = await place.soundings.database_counts()
    assert later is not None
    assert later.jobs["queued"] == 1


async def test_a_check_is_kept_for_less(place: Place) -> None:
    """Two seconds, however many probes come in."""
    assert await asyncio.gather(*(place.soundings.database_fault() for _ in range(20))) == [None] * 20
    assert len(place.checks) == 1
    place.clock.at += 3.0
    assert await place.soundings.database_fault() is None
    assert len(place.checks) == 2


@pytest.mark.fault(8)
async def test_a_database_that_hangs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller gets the error "does not answer" after a moment."""
    monkeypatch.setattr("tidewaiter.web.health_routes._TIMEOUT_S", 0.01)

    async def hang() -> None:
        await asyncio.Event().wait()

    stores = place.stores
    hanging = CachedProbes(
        hang,
        check_writes=hang,
        jobs=stores.jobs,
        overview=DashboardStore(stores.jobs, lambda: 4),
        lanes=stores.lanes,
        free_bytes=_no_folder,
        exports=ExportHealth(dict, stores.database, place.clock).reading,
        clock=place.clock,
    )
    assert await hanging.database_fault() == "The database has not answered for 0.01 seconds."
    assert await hanging.write_fault() == "The database has not answered for 0.01 seconds."


@pytest.mark.fault(8)
async def test_a_database_that_cannot_even_cancel(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a question is not waited for. Nothing else is asked before, and then the database is asked again."""
    monkeypatch.setattr("tidewaiter.web.health_routes._TIMEOUT_S", 0.01)
    asked, cancelled = 0, asyncio.Event()

    async def hang() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await cancelled.wait()
                raise

    place.soundings._check = place.soundings._check_writes = hang
    async with asyncio.timeout(5):
        assert await place.soundings.database_fault() == "The database has not answered for 0.01 seconds."
        assert await place.soundings.write_fault() == "The database has not answered for 0.01 seconds."
        assert await place.soundings.database_counts() is None
    assert asked == 1
    cancelled.set()
    await asyncio.wait(place.soundings._given_up)
    place.clock.at += 3.0
    assert await place.soundings.database_fault() is None


@pytest.mark.fault(8)
async def test_ready_when_the_page_would_not_wait(place: Place) -> None:
    """The daemon serves its lanes before, and is alive."""
    status, metrics = ProcessStatus(asyncio.Event()), Metrics()
    status.enter(Phase.SERVING)
    status.page_prepared.clear()
    metrics.serve({}, lambda: DaemonReading(in_touch=True))
    health = HealthRoutes(status, metrics, place.soundings, version="1", lines_lost=lambda: 0, clock=place.clock)
    application = web.Application()
    application.add_routes(health.routes())
    async with TestClient(TestServer(application)) as client:
        assert (await client.get("/healthz")).status == 200
        ready = await client.get("/readyz")
        assert (ready.status, [*(await ready.json())["failing"]]) == (503, ["page"])
        status.page_prepared.set()
        assert (await client.get("/readyz")).status == 200


@pytest.mark.parametrize(
    ("daemon", "healthz", "readyz", "reason"),
    [
        (DaemonReading(in_touch=True), 200, 200, ""),
        (DaemonReading(in_touch=False), 200, 503, "the leases of the lanes could not be taken or renewed"),
        (DaemonReading(in_touch=True, storage_open=False), 200, 503, "It accepts no files now; the log says why."),
        (
            DaemonReading(in_touch=True, unrecorded="It could not be recorded."),
            200,
            503,
            '{"recorder": "It could not be',
        ),
        (DaemonReading(in_touch=True, stalled=True), 503, 503, "a part of the daemon has not run"),
    ],
    ids=["well", "out of touch", "full storage", "no record", "stalled"],
)
async def test_a_daemon_whose_parts_do_not_go_round(
    place: Place, daemon: DaemonReading, healthz: int, readyz: int, reason: str
) -> None:
    """Leases that cannot be renewed make it unready; leases that nobody tries to renew make it dead."""
    vitals, metrics = ProcessStatus(asyncio.Event()), Metrics()
    vitals.enter(Phase.SERVING)
    metrics.serve({}, lambda: daemon)
    health = HealthRoutes(vitals, metrics, place.soundings, version="1", lines_lost=lambda: 0, clock=place.clock)
    application = web.Application()
    application.add_routes(health.routes())
    async with TestClient(TestServer(application)) as client:
        assert (await client.get("/healthz")).status == healthz
        ready = await client.get("/readyz")
        assert ready.status == readyz
        assert reason in await ready.text()

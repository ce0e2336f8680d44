"""What a lane passes on about time: right for an owner with another clock, and after a clock was set."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from tests.support.stored_jobs import StandingClock
from tests.support.virtual_time import SkewedClock
from tidewaiter.clock import Clock
from tidewaiter.database import migrate
from tidewaiter.database.engine import Database
from tidewaiter.database.lane_rows import LaneRow, LaneState
from tidewaiter.database.lane_store import LaneStore

LEASE_S = 30.0
DAY_S = 86_400.0
ABOUT_S = 20.0
"""The clocks of the test stand still, and PostgreSQL's does not."""


class Owner:
    """A daemon with a clock of its own; the database has another, but for SQLite where none is given."""

    def __init__(self, url: str, clock: Clock, of_database: Clock | None = None) -> None:
        self.database = Database.open(url, of_database or clock)
        self.clock = self.database.clock = clock
        self.store = LaneStore(self.database)

    async def take(self) -> LaneRow:
        """Take the lane."""
        (lane,) = await self.store.take("owner", 1, LEASE_S, force=False, accounts=["acme"])
        return lane

    async def give_back(self, lane: LaneRow) -> None:
        """Give it back after requests 50, 10 and 0 seconds ago, closed for 300 more seconds."""
        now = self.clock.now()
        state = LaneState(lane.epoch, (now - 50.0, now - 10.0, now), now + 300.0, "HTTP 429")
        await self.store.give_back("owner", {lane.id: state})

    def ages(self, lane: LaneRow) -> list[float]:
        """How long ago the requests were, in seconds."""
        return [self.clock.now() - at for at in lane.request_window]

    def closed_s(self, lane: LaneRow) -> float:
        """For how long it is closed."""
        assert lane.closed_until is not None
        return lane.closed_until - self.clock.now()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database with a lane."""
    opened = Database.open(database_url, StandingClock())
    await LaneStore(opened).ensure({"acme": 1})
    yield opened
    await opened.close()


async def _run(database: Database, statement: str) -> None:
    async with database.writing() as connection:
        await connection.execute(text(statement))


@pytest.mark.fault(54)
@pytest.mark.invariant(8)
@pytest.mark.parametrize("ahead_s", [(3.0, 0.0), (0.0, 3.0), (-2 * DAY_S, DAY_S), (DAY_S, -2 * DAY_S)])
async def test_owners_whose_clocks_differ(
    database_url: str, database: Database, clock: StandingClock, ahead_s: tuple[float, float]
) -> None:
    """The next owner, 20 seconds later, sees each request and the closing where they are, by its own clock."""
    first, second = (Owner(database_url, SkewedClock(clock, seconds), clock) for seconds in ahead_s)
    await first.give_back(await first.take())
    clock.at += 20.0
    if database.dialect == "postgresql":
        await _run(database, "UPDATE lanes SET stored_at = stored_at - 20, closed_until = closed_until - 20")
    about_s = ABOUT_S if database.dialect == "postgresql" else 1e-3
    (status,) = await second.store.all_lanes()
    lane = await second.take()
    assert second.ages(lane) == pytest.approx([70.0, 30.0, 20.0], abs=about_s)
    assert second.closed_s(lane) == pytest.approx(280.0, abs=about_s)
    assert status.request_window == pytest.approx(lane.request_window, abs=about_s)
    assert status.closed_until == pytest.approx(lane.closed_until, abs=about_s)
    for one in (first, second):
        await one.database.close()


@pytest.mark.fault(53)
async def test_the_databases_clock_was_set_back(database_url: str, database: Database, clock: StandingClock) -> None:
    """No request counts longer, and no closing lasts longer, than when they were stored."""
    owner = Owner(database_url, clock)
    await owner.give_back(await owner.take())
    await _run(database, "UPDATE lanes SET stored_at = stored_at + 86400, closed_until = closed_until + 86400")
    lane = await owner.take()
    assert owner.ages(lane) == pytest.approx([50.0, 10.0, 0.0], abs=1e-3)
    assert owner.closed_s(lane) == pytest.approx(300.0, abs=1.0)
    await owner.database.close()


@pytest.mark.fault(53)
@pytest.mark.invariant(8)
@pytest.mark.parametrize("moved_s", [DAY_S, -DAY_S])
async def test_the_wall_clock_was_set_while_the_daemon_ran(
    sqlite_url: str, clock: StandingClock, moved_s: float
) -> None:
    """The next process on this machine begins with the clock as it is set now, and sees the requests where they are."""
    running = SkewedClock(clock, 0.0)
    before = Owner(sqlite_url, running)
    await before.store.ensure({"acme": 1})
    lane = await before.take()
    running.moved_s = moved_s
    await before.give_back(lane)
    await before.database.close()
    clock.at += 20.0
    after = Owner(sqlite_url, SkewedClock(clock, moved_s))
    lane = await after.take()
    assert after.ages(lane) == pytest.approx([70.0, 30.0, 20.0], abs=1e-3)
    assert after.closed_s(lane) == pytest.approx(280.0, abs=1e-3)
    await after.database.close()


@pytest.mark.fault(10)
async def test_times_of_an_older_program(database_url: str, database: Database, clock: StandingClock) -> None:
    """It stored epoch seconds; after the downgrade, its next owner takes the window as used up."""
    since = f"{await database.now() - 10.0:.3f}"
    await _run(database, f"UPDATE lanes SET request_window = '[{since}]', closed_until = {since} + 310")  # noqa: S608
    owner = Owner(database_url, clock)
    lane = await owner.take()
    assert owner.ages(lane) == pytest.approx([10.0], abs=ABOUT_S)
    assert owner.closed_s(lane) == pytest.approx(300.0, abs=ABOUT_S)
    await owner.give_back(lane)
    await owner.database.close()
    await database.close()
    migrate.downgrade(database_url)
    assert migrate.current(database_url) == "0015"
    migrate.upgrade(database_url)
    owner = Owner(database_url, clock)
    lane = await owner.take()
    assert (lane.request_window, lane.clean) == ((), False)
    assert owner.closed_s(lane) == pytest.approx(300.0, abs=ABOUT_S)
    await owner.database.close()

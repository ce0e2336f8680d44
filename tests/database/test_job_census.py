"""The counts of all jobs are kept where there are many, and a look does not wait for new ones, on both databases."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.database.query_plans import statements_run
from tests.support.database_engines import reading_engine
from tests.support.stored_jobs import NOW, StandingClock, Stores
from tests.support.virtual_time import virtual_time
from tidewaiter.database import job_census
from tidewaiter.database.dashboard_store import DashboardStore, limited_snapshot
from tidewaiter.database.errors import StoreUnavailableError
from tidewaiter.database.job_census import Census, Censuses, JobCensus
from tidewaiter.database.trend_store import TrendStore
from tidewaiter.domain.account_scope import EVERY_ACCOUNT, Scope
from tidewaiter.domain.job import State
from tidewaiter.domain.trends import TrendStep
from tidewaiter.services.read_ahead import ReadAhead

MILLION = 1_000_000


class SlowCounts:
    """Counts of a large database, each of which takes until the test says so; ``begun`` of them were asked for."""

    def __init__(self) -> None:
        self.begun = 0
        self.done = asyncio.Event()
        self.done.set()
        self.fault: Exception | None = None

    async def read(self, now: float) -> Census:
        self.begun += 1
        number = self.begun
        await self.done.wait()
        if self.fault is not None:
            raise self.fault
        return Census(now, {State.QUEUED: MILLION + number}, {})


async def test_old_counts_are_shown_while_new_ones_are_read() -> None:
    """Within ten seconds for a million jobs nothing is counted; after that one count runs beside all looks."""
    counts = SlowCounts()
    census = JobCensus(counts.read)
    first = await census.at(NOW)
    assert await census.at(NOW + 9.0) is first
    assert counts.begun == 1
    counts.done.clear()
    assert await census.at(NOW + 11.0) is first
    assert await census.at(NOW + 12.0) is first
    await asyncio.sleep(0)
    assert counts.begun == 2
    counts.done.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (await census.at(NOW + 12.0)).states == {State.QUEUED: MILLION + 2}


async def test_counts_of_more_than_a_minute_are_waited_for() -> None:
    """Nobody sees counts that are older than a minute for a million jobs, or of a later time; one count serves all."""
    counts = SlowCounts()
    census = JobCensus(counts.read)
    await census.at(NOW)
    found = await asyncio.gather(census.at(NOW + 70.0), census.at(NOW + 70.0))
    assert [one.at for one in found] == [NOW + 70.0, NOW + 70.0]
    assert (await census.at(NOW)).at == NOW
    assert counts.begun == 3


async def test_a_look_that_is_broken_off_does_not_end_the_count_of_others() -> None:
    """A browser that goes away while all wait cancels its own wait only."""
    counts = SlowCounts()
    census = JobCensus(counts.read)
    counts.done.clear()
    one, other = asyncio.create_task(census.at(NOW)), asyncio.create_task(census.at(NOW))
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.wait([one])
    counts.done.set()
    assert (await other).at == NOW
    assert counts.begun == 1


async def test_a_count_that_fails_in_the_background_is_tried_again() -> None:
    """The old counts stay; a look that needs new ones gets the error."""
    counts = SlowCounts()
    census = JobCensus(counts.read)
    first = await census.at(NOW)
    counts.fault = RuntimeError("gone")
    assert await census.at(NOW + 11.0) is first
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="gone"):
        await census.at(NOW + 70.0)
    counts.fault = None
    assert (await census.at(NOW + 70.0)).at == NOW + 70.0


async def test_no_count_outlives_the_page() -> None:
    """The database is closed next."""
    counts = SlowCounts()
    counts.done.clear()
    censuses = Censuses(lambda now, _: counts.read(now))
    looking = asyncio.ensure_future(censuses.of(EVERY_ACCOUNT).at(NOW))
    for _ in range(3):
        await asyncio.sleep(0)
    assert counts.begun
    await censuses.close()
    with pytest.raises(asyncio.CancelledError):
        await looking


async def test_many_jobs_are_not_counted_for_every_dashboard(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one scope as of all; few jobs are counted at each look, and once in it."""
    store, scope = DashboardStore(stores.jobs), Scope(frozenset({"acme"}))
    assert (await store.snapshot(NOW)).counts[State.QUEUED] == 0
    await stores.add()
    assert (await store.snapshot(NOW)).counts[State.QUEUED] == 1
    assert (await limited_snapshot(store, NOW, scope)).counts[State.QUEUED] == 1
    monkeypatch.setattr(job_census, "_STALE_S_PER_JOB", 2.0)
    await stores.add()
    assert (await store.snapshot(NOW + 1.0)).counts[State.QUEUED] == 1
    assert (await limited_snapshot(store, NOW + 1.0, scope)).counts[State.QUEUED] == 1
    assert (await store.snapshot(NOW + 20.0)).counts[State.QUEUED] == 2
    assert (await limited_snapshot(store, NOW + 20.0, scope)).counts[State.QUEUED] == 2


async def test_the_first_look_finds_what_was_read_ahead(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the overview nor trends read all jobs or old days then; few jobs are not counted again and again."""
    monkeypatch.setattr(job_census, "_STALE_S_PER_JOB", 10.0)
    await stores.add()
    clock = StandingClock()
    dashboard, trends = DashboardStore(stores.jobs), TrendStore(stores.database)
    prepared = []

    told: list[str] = []

    async def prepare() -> None:
        prepared.append(clock.at)

    ahead = ReadAhead(
        dashboard, trends, clock, prepare=prepare, prepared=lambda: told.append(f"after {len(prepared)} preparation")
    )
    await ahead.read()
    assert prepared == [clock.at]
    assert told == ["after 1 preparation"]

    async def look() -> None:
        await dashboard.snapshot(clock.at)
        await trends.periods(TrendStep.WEEK, 12, clock.at)
        await trends.operations(TrendStep.WEEK, 12, clock.at)

    assert await _statements(stores, look) == (0, 2)
    clock.at += 31.0  # half of what is bearable: they are counted again, and the old days are not read again
    assert await _statements(stores, ahead.read) == (2, 0)
    assert await _statements(stores, ahead.read) == (0, 0)
    assert len(prepared) == 1


async def test_few_jobs_need_no_preparation(stores: Stores) -> None:
    """A daemon with few jobs that nobody looks at spends nothing on a page."""
    await stores.add()

    async def prepare() -> None:
        raise AssertionError

    dashboard, trends = DashboardStore(stores.jobs), TrendStore(stores.database)
    told: list[bool] = []
    await ReadAhead(dashboard, trends, StandingClock(), prepare=prepare, prepared=lambda: told.append(True)).read()
    assert told == [True]


@pytest.mark.parametrize(
    ("fault", "told_after_s"), [(None, 1.0), (StoreUnavailableError("gone"), 0.0), (RuntimeError("a mistake"), 0.0)]
)
def test_nobody_waits_long_for_the_first_reading(fault: Exception | None, told_after_s: float) -> None:
    """A count takes longer than a second, the database cannot be reached, or the reading ends by a mistake of ours."""
    with virtual_time() as (loop, clock):

        async def told_after() -> float:
            counts, told = SlowCounts(), asyncio.Event()
            counts.fault = fault
            if fault is None:
                counts.done.clear()
            dashboard: Any = SimpleNamespace(censuses=Censuses(lambda now, _: counts.read(now)))
            unused: Any = None
            ahead = ReadAhead(dashboard, unused, clock, prepare=told.wait, prepared=told.set)
            running = asyncio.create_task(ahead.run())
            async with asyncio.timeout(5.0):
                await told.wait()
            at = clock.monotonic()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return at

        assert loop.run_until_complete(told_after()) == told_after_s


async def _statements(stores: Stores, work: Callable[[], Awaitable[object]]) -> tuple[int, int]:
    """How many counts of all jobs, and how many readings of trends, this work runs."""
    with statements_run(reading_engine(stores.database)) as run:
        await work()
    texts = [text for text, _ in run]
    counts = [text for text in texts if "GROUP BY jobs.state" in text or "GROUP BY jobs.lane" in text]
    return len(counts), len([text for text in texts if "trends" in text])

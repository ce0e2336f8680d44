"""Lanes: acquire, renew and release them; which workers are alive, by the database's clock."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import psycopg
import pytest

from tests.support.stored_jobs import NOW, OWNER, StandingClock, Stores, new_job
from tidewaiter.database.engine import Database
from tidewaiter.database.lane_rows import LaneRow, LaneState
from tidewaiter.database.lane_store import LaneShare, LaneStore
from tidewaiter.database.sql_functions import DatabaseNow
from tidewaiter.database.tables import lanes, workers
from tidewaiter.domain import outcome as o

LEASE_S = 30.0
ABOUT_S = 20.0
"""The clock of the test stands still, and PostgreSQL's does not."""
ACCOUNTS = ("acme", "beta")


@pytest.fixture
async def store(database: Database) -> LaneStore:
    """Three lanes of two accounts."""
    made = LaneStore(database)
    await made.ensure({"acme": 2, "beta": 1})
    return made


@pytest.fixture
def let_pass(database: Database, clock: StandingClock) -> Callable[[float], Awaitable[None]]:
    """Let the database's time pass: on PostgreSQL, whose clock nobody moves, by moving every lease back instead."""

    async def passes(seconds: float) -> None:
        clock.at += seconds
        if database.dialect == "postgresql":
            async with database.writing() as connection:
                moved = {column.name: column - seconds for column in (lanes.c.lease_until, lanes.c.stored_at)}
                await connection.execute(lanes.update().values(closed_until=lanes.c.closed_until - seconds, **moved))
                await connection.execute(workers.update().values(lease_until=workers.c.lease_until - seconds))

    return passes


async def _take(
    store: LaneStore, owner: str, most: int = 10, *, force: bool = False, held: Sequence[LaneRow] = ()
) -> list[LaneRow]:
    numbers = [row.id for row in held]
    return await store.take(owner, most, LEASE_S, force=force, accounts=ACCOUNTS, held=numbers)


async def test_ensure_adds_what_is_missing(store: LaneStore) -> None:
    """Lanes are made once; more shards add lanes, fewer take none away, for there may be jobs in them."""
    first = await store.ids("acme")
    await store.ensure({"acme": 3, "beta": 1})
    await store.ensure({"acme": 1})
    await store.ensure({})
    assert (await store.ids("acme"))[:2] == first
    assert len(await store.ids("acme")) == 3
    assert await store.ids("unknown") == []


async def test_a_lane_beside_others_begins_with_its_share_spent(store: LaneStore) -> None:
    """The first lanes of an account are clean; those that come later are not, for the others had all of the limit."""
    await store.ensure({"gamma": 2})
    await store.ensure({"gamma": 3})
    taken = await store.take("a", 5, LEASE_S, force=False, accounts=["gamma"])
    assert [(lane.shard, lane.clean) for lane in taken] == [(0, True), (1, True), (2, False)]


async def test_lanes_with_jobs_share_the_limits_beyond_the_number_of_shards(stores: Stores) -> None:
    """A lane knows up to which of its account's lanes there are live jobs."""
    await stores.lanes.ensure({"acme": 4})
    numbers = await stores.lanes.ids("acme")
    taken = await stores.lanes.take("x", 4, LEASE_S, force=True, accounts=["acme"])
    assert {lane.lane_count for lane in taken} == {1}
    await stores.jobs.add(new_job(), numbers[2], NOW)
    taken = await stores.lanes.take("y", 4, LEASE_S, force=True, accounts=["acme"])
    assert {lane.lane_count for lane in taken} == {3}


async def test_take_what_is_free(store: LaneStore) -> None:
    """Fresh lanes are taken clean at epoch 1, no more than asked for, of the accounts asked for, each only once."""
    assert await store.take("a", 0, LEASE_S, force=False, accounts=ACCOUNTS) == []
    assert await store.take("a", 5, LEASE_S, force=False, accounts=[]) == []
    (beta,) = await store.take("a", 5, LEASE_S, force=False, accounts=["beta"])
    assert beta == LaneRow(beta.id, "beta", 0, 1, None, None, (), clean=True)

    taken = await _take(store, "b", 1)
    assert [(lane.account, lane.shard, lane.epoch) for lane in taken] == [("acme", 0, 1)]
    assert [lane.shard for lane in await _take(store, "b")] == [1]
    assert await _take(store, "a") == []


async def test_expired_lease_is_taken_unclean(store: LaneStore, let_pass: Callable[[float], Awaitable[None]]) -> None:
    """After the lease has run out, by the database's clock, the lane can be had, with the next epoch, not clean."""
    before = await _take(store, "a")
    await let_pass(LEASE_S - 1.0)
    assert await _take(store, "b") == []
    await let_pass(1.5)

    after = await _take(store, "b")
    assert [lane.id for lane in after] == [lane.id for lane in before]
    assert {(lane.epoch, lane.clean) for lane in after} == {(2, False)}


async def test_force_takes_the_lanes_of_the_dead(store: LaneStore) -> None:
    """By force a lane is taken while its lease lasts, not clean; one's own lanes are left at their epoch."""
    await _take(store, "a", 2)
    mine = await _take(store, "b")
    forced = await _take(store, "b", force=True, held=mine)
    assert len(forced) == 2
    assert {(lane.epoch, lane.clean) for lane in forced} == {(2, False)}
    assert mine[0].id not in {lane.id for lane in forced}


async def test_renew_extends_and_stores(store: LaneStore, let_pass: Callable[[float], Awaitable[None]]) -> None:
    """A renewal keeps the lane from others and stores what the next owner has to know."""
    lane, *others = await _take(store, "a")
    await let_pass(LEASE_S - 5.0)
    state = LaneState(lane.epoch, (NOW - 90.0, NOW - 60.0), NOW + 600.0, "throttled: \0")
    assert await store.renew("a", LEASE_S, {lane.id: state}) == {lane.id}
    await let_pass(LEASE_S - 5.0)

    gained = await _take(store, "b")
    assert {row.id for row in gained} == {row.id for row in others}
    (taken,) = await _take(store, "b", force=True, held=gained)
    assert taken.closed_reason == "throttled: \ufffd"
    assert taken.request_window == pytest.approx((NOW - 90.0, NOW - 60.0), abs=ABOUT_S)
    assert taken.closed_until == pytest.approx(NOW + 600.0, abs=ABOUT_S)


async def test_what_was_lost_is_taken_again(store: LaneStore, let_pass: Callable[[float], Awaitable[None]]) -> None:
    """An owner whose leases ran out while the database was away takes its own lanes back, at another epoch."""
    lost = await _take(store, "a")
    assert await _take(store, "a", held=lost) == []
    await let_pass(LEASE_S + 1.0)
    again = await _take(store, "a")
    assert [(row.id, row.epoch, row.clean) for row in again] == [(row.id, row.epoch + 1, False) for row in lost]


async def test_renew_returns_lost_lanes(store: LaneStore) -> None:
    """A lane that somebody else has taken, or that one has at another epoch, is not renewed and not written to."""
    first, second, third = await _take(store, "a")
    await store.take("b", 1, LEASE_S, force=True, accounts=["acme"])
    states = {first.id: LaneState(1, (NOW,)), second.id: LaneState(7, (NOW,)), third.id: LaneState(1, (NOW,))}
    assert await store.renew("a", LEASE_S, states) == {third.id}
    windows = {lane.id: len(lane.request_window) for lane in await _take(store, "c", force=True)}
    assert windows == {first.id: 0, second.id: 0, third.id: 1}


async def test_late_renewal_of_a_lane_that_nobody_took(
    store: LaneStore, let_pass: Callable[[float], Awaitable[None]]
) -> None:
    """A lease that has run out can be renewed for as long as nobody else has taken the lane: nobody wrote between."""
    (lane,) = await _take(store, "a", 1)
    await let_pass(2 * LEASE_S)
    assert await store.renew("a", LEASE_S, {lane.id: LaneState(lane.epoch)}) == {lane.id}
    assert lane.id not in {row.id for row in await _take(store, "b")}


async def test_give_back_is_clean(store: LaneStore) -> None:
    """A lane that was given back can be had at once, clean, with the window; one that is no longer ours is not."""
    first, second, third = await _take(store, "a")
    await store.take("b", 1, LEASE_S, force=True, accounts=["beta"])
    await store.give_back("a", {})
    state = LaneState(1, (NOW - 5.0,), NOW + 70.0, "why")
    states = {first.id: state, second.id: LaneState(9), third.id: LaneState(1)}
    await store.give_back("a", states)

    (taken,) = await _take(store, "c")
    assert (taken.id, taken.epoch, taken.closed_reason, taken.clean) == (first.id, 2, "why", True)
    assert taken.request_window == pytest.approx((NOW - 5.0,), abs=ABOUT_S)
    assert taken.closed_until == pytest.approx(NOW + 70.0, abs=ABOUT_S)


async def test_share_counts_live_workers(store: LaneStore, let_pass: Callable[[float], Awaitable[None]]) -> None:
    """Workers count while their heartbeat is fresh; those that say goodbye or fall silent do not."""
    for owner in ("a", "b", "c"):
        await store.heartbeat(owner, "host", 1, "1.0", LEASE_S)
    assert await store.share(ACCOUNTS) == LaneShare(lanes=3, workers=3)
    assert await store.share(["acme"]) == LaneShare(lanes=2, workers=3)
    assert await store.share([]) == LaneShare(lanes=0, workers=3)

    await store.remove_worker("c")
    await let_pass(LEASE_S - 1.0)
    await store.heartbeat("a", "host", 1, "1.0", LEASE_S)
    await let_pass(2.0)
    assert await store.share(ACCOUNTS) == LaneShare(lanes=3, workers=1)


async def test_workers_that_died_long_ago_leave_the_list(
    database: Database, store: LaneStore, let_pass: Callable[[float], Awaitable[None]]
) -> None:
    """Every boot has a name of its own, so the list would grow for ever."""
    await store.heartbeat("a", "host", 1, "1.0", LEASE_S)
    await let_pass(100_000.0)
    await store.heartbeat("b", "host", 1, "1.0", LEASE_S)
    async with database.reading() as connection:
        assert list((await connection.execute(workers.select())).scalars()) == ["b"]


async def test_every_lane_as_it_stands(store: LaneStore, let_pass: Callable[[float], Awaitable[None]]) -> None:
    """The status shows owner and host, whether the lease holds, and why an account is closed."""
    await store.heartbeat("a", "host-1", 1, "1.0", LEASE_S)
    lane, _ = await store.take("a", 2, LEASE_S, force=False, accounts=["acme"])
    await store.renew("a", LEASE_S, {lane.id: LaneState(1, (), NOW + 90.0, "bad credentials")})
    first, second, free = await store.all_lanes()
    assert (first.account, first.shard, first.owner, first.host, first.epoch) == ("acme", 0, "a", "host-1", 1)
    assert first.closed_until == pytest.approx(NOW + 90.0, abs=ABOUT_S)
    assert first.closed_reason == "bad credentials"
    assert [lane.leased for lane in (first, second, free)] == [True, True, False]
    assert (free.owner, free.host, free.lease_until) == (None, None, None)

    await let_pass(LEASE_S + 1.0)
    assert [lane.leased for lane in await store.all_lanes()] == [False, False, False]


@pytest.mark.fault(54)
async def test_leases_count_by_the_databases_clock(database: Database, store: LaneStore) -> None:
    """The lease ends ``lease_s`` after the database's now, whatever the worker's clock says."""
    await _take(store, "a", 1)
    async with database.reading() as connection:
        now = (await connection.execute(DatabaseNow().select())).scalar_one()
    lease_until = max(lane.lease_until or 0.0 for lane in await store.all_lanes())
    assert lease_until == pytest.approx(now + LEASE_S, abs=5.0)


async def test_two_takers_at_once(database_url: str, store: LaneStore, clock: StandingClock) -> None:
    """Owners that take at the same moment, from several programs, never get the same lane."""
    await store.ensure({"acme": 40})
    databases = [Database.open(database_url, clock) for _ in range(3)]
    takers = [LaneStore(one) for one in databases]
    owners = [f"owner-{number}" for number in range(9)]
    for _ in range(3):
        taken = await asyncio.gather(*(_take(takers[number % 3], owner, 3) for number, owner in enumerate(owners)))
        for owner, rows in zip(owners, taken, strict=True):
            held = {lane.id for lane in await store.all_lanes() if lane.owner == owner}
            assert {row.id for row in rows} <= held
    ids = [lane.id for lane in await store.all_lanes() if lane.owner is not None]
    for one in databases:
        await one.close()
    assert len(ids) == 41
    assert {lane.epoch for lane in await store.all_lanes()} == {1}


@pytest.fixture
async def on_postgresql(postgres_url: str, clock: StandingClock) -> AsyncIterator[Stores]:
    """A scene where several writers can be in the middle of something; SQLite has only one."""
    database = Database.open(postgres_url, clock)
    yield await Stores.set_up(database)
    await database.close()


async def test_takeover_between_fence_and_commit(on_postgresql: Stores, postgres_url: str) -> None:
    """A group commit that meets a takeover in the middle waits for it, and then writes nothing."""
    stores = on_postgresql
    update = stores.update(await stores.polling("h"), o.Pending())
    async with await psycopg.AsyncConnection.connect(postgres_url) as thief:
        await thief.execute("UPDATE lanes SET owner = 'thief', epoch = epoch + 1")
        recording = asyncio.ensure_future(stores.jobs.record([update], OWNER))
        await _until_somebody_waits(postgres_url)
        await thief.commit()
        assert (await recording).accepted == frozenset()


async def test_takeover_during_a_commit(on_postgresql: Stores) -> None:
    """While a group commit is under way its lane cannot be taken, even by force: others take what else is free."""
    stores = on_postgresql
    await stores.lanes.ensure({"acme": 2})
    async with stores.database.writing() as connection:
        await connection.execute(lanes.select().where(lanes.c.owner == OWNER).with_for_update(read=True))
        taken = await stores.lanes.take("thief", 5, LEASE_S, force=True, accounts=["acme"])
    assert [lane.shard for lane in taken] == [1]


async def test_adding_jobs_does_not_hide_a_lane(on_postgresql: Stores) -> None:
    """A transaction that adds jobs refers to the lane, which keeps nobody from taking it."""
    stores = on_postgresql
    async with stores.database.writing() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO jobs (lane, account, operation, params, state, version, created_at, deadline_at, track)"
            " SELECT id, 'acme', 'x', '{}', 'queued', 1, 0, 0, 0 FROM lanes"
        )
        assert len(await stores.lanes.take("thief", 5, LEASE_S, force=True, accounts=["acme"])) == 1


async def _until_somebody_waits(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as watcher:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        async with asyncio.timeout(20):
            while not (await (await watcher.execute(waiting)).fetchone() or (0,))[0]:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)


async def test_one_lane_is_looked_up(stores: Stores) -> None:
    """A lane by its number is the same as among all lanes; a number that no lane has is none."""
    (lane, *_) = await stores.lanes.all_lanes()
    assert await stores.lanes.lane(lane.id) == lane
    assert await stores.lanes.lane(lane.id + 1_000) is None


async def test_a_long_window_is_stored_short(store: LaneStore) -> None:
    """A daily quota of many requests does not make every renewal of a lease a long text."""
    lane = (await _take(store, "a"))[0]
    window = tuple(NOW - number for number in range(5000))
    assert await store.renew("a", LEASE_S, {lane.id: LaneState(lane.epoch, window)}) == {lane.id}
    stored = await store.lane(lane.id)
    assert stored is not None
    assert len(stored.request_window) == 5000
    assert len(set(stored.request_window)) <= 1001

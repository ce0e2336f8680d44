"""Pauses of accounts: who may write them, what ends them, and how they change deadlines."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.support.stored_jobs import NOW, OWNER, StandingClock, Stores
from tidewaiter.database.account_store import AccountStore, Pause, PauseCause
from tidewaiter.database.engine import Database
from tidewaiter.database.tables import accounts as table
from tidewaiter.database.tables import jobs
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State

Refuse = Callable[..., Awaitable[bool]]


@pytest.fixture
def accounts(database: Database) -> AccountStore:
    """The store under test."""
    return AccountStore(database)


@pytest.fixture
def refuse(stores: Stores, accounts: AccountStore) -> Refuse:
    """A lane that has met a refusal, at an epoch that may be another than its own."""

    async def refuse(by: PauseCause = PauseCause.CREDENTIALS, reason: str = "HTTP 401", epochs: int = 0) -> bool:
        lane = stores.lane
        return await accounts.refuse("acme", by, reason, "print", lane=lane.id, epoch=lane.epoch + epochs)

    return refuse


async def _let_pass(database: Database, clock: StandingClock, seconds: float) -> None:
    """Let time pass on the database's clock, which on PostgreSQL means to have paused earlier."""
    clock.at += seconds
    if database.dialect == "postgresql":
        async with database.writing() as connection:
            await connection.execute(table.update().values(paused_at=table.c.paused_at - seconds))


async def _pause(accounts: AccountStore) -> Pause:
    (pause,) = (await accounts.paused()).values()
    return pause


async def test_a_lane_pauses_its_account(accounts: AccountStore, refuse: Refuse) -> None:
    """Everybody who reads sees who, why, since when, and the fingerprint."""
    assert await accounts.paused() == {}
    assert await refuse()
    pause = await _pause(accounts)
    assert (pause.account, pause.by, pause.reason) == ("acme", PauseCause.CREDENTIALS, "HTTP 401")
    assert pause.fingerprint == "print"
    assert 0 <= pause.lasts_s < 10


@pytest.mark.invariant(5)
async def test_a_stale_owner_pauses_nothing(stores: Stores, accounts: AccountStore, refuse: Refuse) -> None:
    """A lane that has passed on, or was given back, has no say any more."""
    assert not await refuse(epochs=-1)
    assert not await refuse(epochs=1)
    await stores.lanes.take("thief", 5, 30.0, force=True, accounts=["acme"])
    assert not await refuse()
    assert await accounts.paused() == {}


async def test_the_first_pause_stays(accounts: AccountStore, refuse: Refuse) -> None:
    """Several lanes meet the same refusal; the account was paused by the first of them."""
    await refuse(reason="first")
    assert not await refuse(PauseCause.TLS, "second")
    assert (await _pause(accounts)).reason == "first"


async def test_a_persons_pause_takes_the_place_of_another(
    database: Database, clock: StandingClock, accounts: AccountStore, refuse: Refuse
) -> None:
    """It is theirs from now on, so that nothing else ends it; it counts from the beginning of the first."""
    await refuse()
    before = await _pause(accounts)
    await accounts.pause("acme", "maintenance")
    now = await _pause(accounts)
    assert (now.by, now.reason, now.at, now.fingerprint) == (PauseCause.PERSON, "maintenance", before.at, None)
    assert not await refuse()


async def test_resuming(database: Database, clock: StandingClock, accounts: AccountStore, refuse: Refuse) -> None:
    """The pause is over and its length is told; there is none to end twice, and another one can begin."""
    assert await accounts.resume("acme") is None
    await refuse()
    await _let_pass(database, clock, 100.0)
    assert await accounts.resume("acme") == pytest.approx(100.0, abs=5.0)
    assert await accounts.paused() == {}
    assert await accounts.resume("acme") is None
    await accounts.pause("acme", "again")
    assert (await _pause(accounts)).lasts_s < 50


async def test_only_the_pause_that_was_meant_is_ended(
    database: Database, clock: StandingClock, accounts: AccountStore, refuse: Refuse
) -> None:
    """A daemon that wants to try again does not end what a person, or another refusal, has put in its place."""
    await refuse(PauseCause.TLS)
    seen = await _pause(accounts)
    await accounts.pause("acme", "maintenance")
    assert await accounts.resume("acme", seen) is None
    await accounts.resume("acme")
    await _let_pass(database, clock, 7.0)
    await refuse(PauseCause.TLS)
    assert await accounts.resume("acme", seen) is None
    assert await accounts.resume("acme", await _pause(accounts)) is not None


async def test_deadlines_move_by_the_pause(
    database: Database, clock: StandingClock, stores: Stores, accounts: AccountStore, refuse: Refuse
) -> None:
    """A live job gets the time back that it has waited in the pause, and no more; one that has ended gets nothing."""
    waiting = await stores.polling("h")
    ended = await stores.accepted(await stores.polling("e"), o.Refused("no"))
    async with database.writing() as connection:
        await connection.execute(jobs.update().where(jobs.c.id == waiting.id).values(moved_at=NOW))
    await refuse()
    paused_at = (await _pause(accounts)).at
    async with database.writing() as connection:
        # As if everything had begun with the database's clock, which on PostgreSQL is another one.
        await connection.execute(jobs.update().values(created_at=paused_at - 50))
    late = await stores.add()
    async with database.writing() as connection:
        await connection.execute(jobs.update().where(jobs.c.id == late.id).values(created_at=paused_at + 40))
    clock.at += 100.0
    moved_s = await accounts.resume("acme")
    assert moved_s is not None
    after = await stores.stored(waiting)
    assert after.deadline_at == pytest.approx(waiting.deadline_at + moved_s)
    assert after.version == waiting.version
    assert (await stores.stored(late)).deadline_at == pytest.approx(late.deadline_at + moved_s - 40.0)
    assert (await stores.stored(ended)).deadline_at == ended.deadline_at


async def test_a_step_under_way_does_not_move_a_deadline_back(
    database: Database, clock: StandingClock, stores: Stores, accounts: AccountStore, refuse: Refuse
) -> None:
    """An outcome that was learned with the old deadline in mind is written without it."""
    job = await stores.polling("h")
    update = stores.update(job, o.Pending())
    await refuse()
    await _let_pass(database, clock, 100.0)
    await accounts.resume("acme")
    moved = await stores.stored(job)
    assert moved.deadline_at > job.deadline_at
    assert (await stores.jobs.record([update], OWNER)).accepted == {job.id}
    assert (await stores.stored(job)).deadline_at == moved.deadline_at


async def test_resumed_once_by_many(
    database: Database, clock: StandingClock, stores: Stores, accounts: AccountStore, refuse: Refuse
) -> None:
    """Daemons that end the same pause at the same moment move the deadlines once."""
    job = await stores.polling("h")
    await refuse(PauseCause.TLS)
    await _let_pass(database, clock, 300.0)
    pause = await _pause(accounts)
    lasted = [one for one in await asyncio.gather(*(accounts.resume("acme", pause) for _ in range(5))) if one]
    assert len(lasted) == 1
    assert (await stores.stored(job)).deadline_at < job.deadline_at + 2 * lasted[0]


async def test_live_jobs_by_account(stores: Stores, accounts: AccountStore) -> None:
    """What has ended does not count; what is parked does."""
    assert await accounts.live_jobs() == {}
    await stores.polling("a")
    await stores.accepted(await stores.polling("b"), o.Refused("no"))
    await stores.add()
    unknown = await stores.accepted(await stores.accepted(await stores.add(), o.Intended("i")), o.Unknown("?"))
    await stores.accepted(unknown, o.Undecidable("?"))
    assert await accounts.live_jobs() == {"acme": {State.QUEUED: 1, State.POLLING: 1, State.PARKED: 1}}

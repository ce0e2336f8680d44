"""Links of long lists: in pages of their own, with the fence of their job, and gone when the job needs them no more."""

import pytest
from sqlalchemy import func, select, text

from tests.support.stored_jobs import OWNER, Stores
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import FencedUpdate, JobStore
from tidewaiter.database.rekey import rekey
from tidewaiter.database.sealing import Seal, new_key
from tidewaiter.database.tables import links
from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import Link, SealedLinks
from tidewaiter.domain.job import Job, Track

MANY = tuple(Link(f"https://files.example/{number}?sig=canary", f"{number}\0.csv") for number in range(1_201))
OLD, NEW = new_key(), new_key()


async def ready(stores: Stores, *keys: str, given: tuple[Link, ...] = MANY) -> Job:
    """A job whose links a store with these keys has written."""
    stores.jobs = JobStore(stores.database, seal=Seal(keys))
    return await stores.accepted(await stores.polling("r-1"), o.Ready(given))


async def read(stores: Stores, job: Job) -> tuple[Link, ...] | None:
    """The links of a stored job."""
    assert isinstance(job.links, SealedLinks)
    return await stores.jobs.links.read(job.id, job.links)


async def pages(database: Database) -> int:
    """How many pages there are."""
    async with database.reading() as connection:
        return int((await connection.execute(select(func.count()).select_from(links))).scalar_one())


@pytest.mark.parametrize("keys", [(), (NEW,)], ids=["plain", "sealed"])
async def test_a_long_list_is_in_pages(stores: Stores, keys: tuple[str, ...]) -> None:
    """The row of the job stays small, through other updates, and the links are read back in order."""
    job = await ready(stores, *keys)
    assert isinstance(job.links, SealedLinks)
    assert len(job.links.text) < 30
    assert await pages(stores.database) == 3
    job = await stores.accepted(job, o.FetchStarted())
    (due,) = await stores.due(Track.FETCH, job.due_at or 0, 10)
    assert await read(stores, due) == MANY
    async with stores.database.reading() as connection:
        found = (await connection.execute(select(links.c.text))).scalars().all()
    assert ("canary" in "".join(found)) is not bool(keys)
    assert max(map(len, found)) < max(map(len, (Seal(keys).stored(MANY),))) / 2


async def test_a_short_list_stays_in_its_row(stores: Stores) -> None:
    """As ever."""
    job = await ready(stores, given=MANY[:500])
    assert job.links == MANY[:500]
    assert await pages(stores.database) == 0


@pytest.mark.parametrize("outcome", [o.Refused("no"), o.LinksExpired("old"), o.Stored(())])
async def test_links_that_have_served_are_gone(stores: Stores, outcome: o.Outcome) -> None:
    """With the update that leaves them out; a new list replaces the one before."""
    job = await stores.accepted(await ready(stores), outcome)
    assert (job.links, await pages(stores.database)) == ((), 0)
    if not job.finished_at:
        job = await stores.accepted(job, o.Ready(MANY[:501]))
        assert await read(stores, job) == MANY[:501]
        assert await pages(stores.database) == 2


async def test_a_stale_update_writes_no_pages(stores: Stores) -> None:
    """Neither with an old version nor with an old epoch: the pages are in the transaction of the fence."""
    job = await stores.polling("r-1")
    update = stores.update(job, o.Ready(MANY))
    await stores.accepted(job, o.Ready(MANY[:501]))
    stale = FencedUpdate(update.update, stores.lane.epoch - 1)
    for one in (update, stale):
        assert not (await stores.jobs.record([one], OWNER)).accepted
    assert await read(stores, await stores.stored(job)) == MANY[:501]
    assert await pages(stores.database) == 2


async def test_a_lost_acknowledgement_writes_no_second_pages(stores: Stores) -> None:
    """The same update again is recognized."""
    job = await stores.polling("r-1")
    update = stores.update(job, o.Ready(MANY))
    for _ in range(2):
        assert (await stores.jobs.record([update], OWNER)).accepted == {job.id}
    assert await pages(stores.database) == 3


async def test_pages_that_are_missing_are_no_shorter_list(stores: Stores) -> None:
    """A page is gone: the links are asked for again. With the job all are deleted."""
    job = await ready(stores)
    async with stores.database.writing() as connection:
        await connection.execute(links.delete().where(links.c.page == 1))
    assert await read(stores, job) is None
    async with stores.database.writing() as connection:
        await connection.execute(text("DELETE FROM history"))
        await connection.execute(text("DELETE FROM jobs"))
    assert await pages(stores.database) == 0


async def test_pages_get_another_key(stores: Stores) -> None:
    """Encrypted again, decrypted, and counted where no key fits; a job counts once."""
    job = await ready(stores, OLD)
    assert await rekey(stores.database, Seal((NEW,)), decrypt=False) == (0, 1)
    assert await rekey(stores.database, Seal((NEW, OLD)), decrypt=False) == (1, 0)
    stores.jobs = JobStore(stores.database, seal=Seal((OLD,)))
    assert await read(stores, job) is None
    stores.jobs = JobStore(stores.database, seal=Seal((NEW,)))
    assert await read(stores, job) == MANY
    assert await rekey(stores.database, Seal((NEW,)), decrypt=True) == (1, 0)
    stores.jobs = JobStore(stores.database)
    assert await read(stores, job) == MANY

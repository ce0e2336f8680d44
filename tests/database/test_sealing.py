"""Stored links: encrypted if there is a key, plain ones still readable, rewritten when the key changes."""

import time

import pytest
from sqlalchemy import select, update

from tests.support.stored_jobs import Stores
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.rekey import rekey
from tidewaiter.database.sealing import Seal, new_key
from tidewaiter.database.tables import jobs
from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import Link, SealedLinks
from tidewaiter.domain.job import Job, State, Track

LINKS = (
    Link("https://files.example/1?sig=canary-sig%2F1", "1.csv"),
    Link("https://files.example/2?sig=canary-sig", ""),
)
OLD, NEW = new_key(), new_key()


async def ready(stores: Stores, *keys: str, handle: str = "r-1") -> Job:
    """A job whose links a store with these keys has written."""
    stores.jobs = JobStore(stores.database, seal=Seal(keys))
    return await stores.accepted(await stores.polling(handle), o.Ready(LINKS))


async def column(database: Database, job: Job) -> str:
    """The links of a job as they stand in the database."""
    async with database.reading() as connection:
        return str((await connection.execute(select(jobs.c.links).where(jobs.c.id == job.id))).scalar_one())


def opened(job: Job, *keys: str) -> tuple[Link, ...] | None:
    """What these keys make of a job's links."""
    assert isinstance(job.links, SealedLinks)
    return Seal(keys).links(job.links)


async def test_without_a_key_links_are_stored_as_ever(stores: Stores) -> None:
    """Without a key nothing changes."""
    job = await ready(stores)
    assert job.links == LINKS
    assert "canary-sig" in await column(stores.database, job)


async def test_with_a_key_links_are_encrypted(stores: Stores) -> None:
    """The first key writes, each reads, and what is read and written back by a step stays."""
    job = await ready(stores, NEW, OLD)
    sealed = await column(stores.database, job)
    assert sealed.startswith("sealed:1:")
    assert "canary" not in sealed
    assert "files.example" not in sealed
    assert "canary" not in repr(job)
    assert opened(job, NEW) == opened(job, OLD, NEW) == LINKS
    assert opened(job, OLD) is None
    assert opened(job) is None
    after = await stores.accepted(job, o.FetchStarted())
    assert (after.links, after.fetches) == (job.links, 1)
    (due,) = await stores.due(Track.FETCH, job.due_at or 0, 10)
    assert due.links == job.links


async def test_a_store_without_the_key_loses_nothing(stores: Stores) -> None:
    """The key was left out: what others have encrypted is written back as it is."""
    job = await ready(stores, OLD)
    stores.jobs = JobStore(stores.database)
    after = await stores.accepted(job, o.FetchStarted())
    assert opened(after, OLD) == LINKS


async def test_plain_rows_are_read_where_there_is_a_key(stores: Stores) -> None:
    """Encryption can be turned on beside jobs that wait; their next write encrypts."""
    plain = await ready(stores)
    stores.jobs = JobStore(stores.database, seal=Seal((NEW,)))
    assert (await stores.stored(plain)).links == LINKS
    assert opened(await stores.accepted(plain, o.FetchStarted()), NEW) == LINKS


async def test_links_that_have_served_are_gone(stores: Stores) -> None:
    """Nothing is kept of them at the end."""
    job = await stores.accepted(await ready(stores, NEW), o.Refused("no"))
    assert (job.state, job.links, await column(stores.database, job)) == (State.FAILED, (), "[]")


@pytest.mark.parametrize("damage", ["sealed:1:", "sealed:1:gAAAAA", "sealed:2:x", "", "no JSON"])
async def test_what_is_damaged_is_not_read(stores: Stores, damage: str) -> None:
    """It never raises where a job is read."""
    job = await ready(stores, NEW)
    async with stores.database.writing() as connection:
        await connection.execute(update(jobs).where(jobs.c.id == job.id).values(links=damage))
    assert opened(await stores.stored(job), NEW) is None


async def test_rekey(stores: Stores) -> None:
    """Plain and old become new; what no key decrypts stays, is counted, and costs nobody anything."""
    plain, old = await ready(stores), await ready(stores, OLD, handle="r-2")
    lost, none = await ready(stores, new_key(), handle="r-3"), await stores.polling("r-4")
    before = await column(stores.database, lost)
    assert await rekey(stores.database, Seal((NEW, OLD)), decrypt=False) == (2, 1)
    assert opened(await stores.stored(plain), NEW) == opened(await stores.stored(old), NEW) == LINKS
    assert (await column(stores.database, lost), await column(stores.database, none)) == (before, "[]")
    assert (await stores.stored(old)).version == old.version
    assert await rekey(stores.database, Seal((NEW,)), decrypt=True) == (2, 1)
    assert (await stores.stored(plain)).links == (await stores.stored(old)).links == LINKS


def test_many_links_are_encrypted_in_no_time() -> None:
    """As many as a job may have, in a fraction of a second."""
    links = tuple(Link(f"https://files.example/{number}?sig={'x' * 400}", f"{number}.csv") for number in range(10_000))
    seal, began = Seal((NEW,)), time.process_time()
    assert seal.links(SealedLinks(seal.stored(links))) == links
    assert time.process_time() - began < 5

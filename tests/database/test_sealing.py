"""Links at rest: encrypted where there is a key, readable beside plain ones, rewritten when the key changes."""

import time

import pytest
from sqlalchemy import select, update

from tests.support.stored_jobs import Scene
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


async def ready(scene: Scene, *keys: str, handle: str = "r-1") -> Job:
    """A job whose links a store with these keys has written."""
    scene.jobs = JobStore(scene.database, seal=Seal(keys))
    return await scene.accepted(await scene.polling(handle), o.Ready(LINKS))


async def column(database: Database, job: Job) -> str:
    """The links of a job as they stand in the database."""
    async with database.reading() as connection:
        return str((await connection.execute(select(jobs.c.links).where(jobs.c.id == job.id))).scalar_one())


def opened(job: Job, *keys: str) -> tuple[Link, ...] | None:
    """What these keys make of a job's links."""
    assert isinstance(job.links, SealedLinks)
    return Seal(keys).links(job.links)


async def test_without_a_key_links_are_stored_as_ever(scene: Scene) -> None:
    """Nothing changes for whoever configures none."""
    job = await ready(scene)
    assert job.links == LINKS
    assert "canary-sig" in await column(scene.database, job)


async def test_with_a_key_links_are_encrypted(scene: Scene) -> None:
    """The first key writes, each reads, and what is read and written back by a step stays."""
    job = await ready(scene, NEW, OLD)
    sealed = await column(scene.database, job)
    assert sealed.startswith("sealed:1:")
    assert "canary" not in sealed
    assert "files.example" not in sealed
    assert "canary" not in repr(job)
    assert opened(job, NEW) == opened(job, OLD, NEW) == LINKS
    assert opened(job, OLD) is None
    assert opened(job) is None
    after = await scene.accepted(job, o.FetchStarted())
    assert (after.links, after.fetches) == (job.links, 1)
    (due,) = await scene.jobs.due(scene.lane.id, Track.FETCH, job.due_at or 0, 10)
    assert due.links == job.links


async def test_a_store_without_the_key_loses_nothing(scene: Scene) -> None:
    """The key was left out: what others have encrypted is written back as it is."""
    job = await ready(scene, OLD)
    scene.jobs = JobStore(scene.database)
    after = await scene.accepted(job, o.FetchStarted())
    assert opened(after, OLD) == LINKS


async def test_plain_rows_are_read_where_there_is_a_key(scene: Scene) -> None:
    """Encryption can be turned on beside jobs that wait; their next write encrypts."""
    plain = await ready(scene)
    scene.jobs = JobStore(scene.database, seal=Seal((NEW,)))
    assert (await scene.stored(plain)).links == LINKS
    assert opened(await scene.accepted(plain, o.FetchStarted()), NEW) == LINKS


async def test_links_that_have_served_are_gone(scene: Scene) -> None:
    """Nothing is kept of them at the end."""
    job = await scene.accepted(await ready(scene, NEW), o.Refused("no"))
    assert (job.state, job.links, await column(scene.database, job)) == (State.FAILED, (), "[]")


@pytest.mark.parametrize("damage", ["sealed:1:", "sealed:1:gAAAAA", "sealed:2:x", "", "no JSON"])
async def test_what_is_damaged_is_not_read(scene: Scene, damage: str) -> None:
    """It never raises where a job is read."""
    job = await ready(scene, NEW)
    async with scene.database.writing() as connection:
        await connection.execute(update(jobs).where(jobs.c.id == job.id).values(links=damage))
    assert opened(await scene.stored(job), NEW) is None


async def test_rekey(scene: Scene) -> None:
    """Plain and old become new; what no key decrypts stays, is counted, and costs nobody anything."""
    plain, old = await ready(scene), await ready(scene, OLD, handle="r-2")
    lost, none = await ready(scene, new_key(), handle="r-3"), await scene.polling("r-4")
    before = await column(scene.database, lost)
    assert await rekey(scene.database, Seal((NEW, OLD)), decrypt=False) == (2, 1)
    assert opened(await scene.stored(plain), NEW) == opened(await scene.stored(old), NEW) == LINKS
    assert (await column(scene.database, lost), await column(scene.database, none)) == (before, "[]")
    assert (await scene.stored(old)).version == old.version
    assert await rekey(scene.database, Seal((NEW,)), decrypt=True) == (2, 1)
    assert (await scene.stored(plain)).links == (await scene.stored(old)).links == LINKS


def test_many_links_are_encrypted_in_no_time() -> None:
    """As many as a job may have, in a fraction of a second."""
    links = tuple(Link(f"https://files.example/{number}?sig={'x' * 400}", f"{number}.csv") for number in range(10_000))
    seal, began = Seal((NEW,)), time.process_time()
    assert seal.links(SealedLinks(seal.stored(links))) == links
    assert time.process_time() - began < 5

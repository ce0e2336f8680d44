"""The counts of batches: exact with every way in which jobs join them and end, and one event when they have ended."""

import asyncio
import json
from dataclasses import replace
from random import Random

import pytest
from sqlalchemy import text

from tests.support.machine_times import other_times
from tests.support.stored_jobs import NOW, OWNER, POLICY, Stores, new_job
from tidewaiter.database.batch_store import BatchStore
from tidewaiter.database.engine import Database
from tidewaiter.database.notification_store import NotificationStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.account_scope import Scope
from tidewaiter.domain.batch import Batch
from tidewaiter.domain.job import TERMINAL, Job, State
from tidewaiter.domain.job_context import JobContext
from tidewaiter.domain.notification import Subscription
from tidewaiter.domain.state_machine import advance
from tidewaiter.services.resource_json import batch_json

MARCH = JobContext(batch="march", requested_by="ann")


async def _batch(stores: Stores, name: str = "march") -> Batch:
    found = await BatchStore(stores.database).get(name)
    assert found is not None
    return found


async def _counts(stores: Stores, name: str = "march") -> tuple[int, int, float | None]:
    found = await _batch(stores, name)
    return found.jobs, found.open, found.ended_at


async def test_jobs_join_a_batch_once(stores: Stores) -> None:
    """A batch is made with its first job; a known unique key joins nothing; other jobs have no batch."""
    news = [(new_job(context=MARCH, unique_key=key), stores.lane.id) for key in ("a", "b", "a")]
    other = (new_job(context=JobContext(batch="april")), stores.lane.id)
    await stores.jobs.add_many([*news, other, (new_job(), stores.lane.id)], NOW)
    assert await _counts(stores) == (2, 2, None)
    await stores.jobs.add_many(news, NOW + 1.0)
    assert await _counts(stores) == (2, 2, None)
    found = await _batch(stores)
    assert (found.created_at, found.created_by, found.complete) == (NOW, "ann", True)
    assert found.states == {State.QUEUED: 2}
    assert await _counts(stores, "april") == (1, 1, None)


async def test_a_batch_ends_with_its_last_job(stores: Stores) -> None:
    """Each end counts once; the last one returns the batch, with its counts by state."""
    jobs = [await stores.add(context=MARCH) for _ in range(3)]
    failing = stores.update(jobs[0], o.Refused("no"), NOW + 1.0)
    recorded = await stores.jobs.record([failing], OWNER)
    assert recorded.batches == ()
    assert await _counts(stores) == (3, 2, None)
    # A poll of another job, and an update that the fence refuses, count nothing.
    stale = replace(stores.update(jobs[1], o.Refused("no")), epoch=99)
    recorded = await stores.jobs.record([stale, stores.update(jobs[2], o.Intended("i"))], OWNER)
    assert await _counts(stores) == (3, 2, None)
    ends = [stores.update(jobs[1], o.Refused("no"), NOW + 3.0)]
    ends.append(stores.update(await stores.stored(jobs[2]), o.Refused("no"), NOW + 2.0))
    recorded = await stores.jobs.record(ends, OWNER)
    (ended,) = recorded.batches
    assert (ended.batch.name, ended.batch.jobs, ended.ended_at, ended.job_id) == ("march", 3, NOW + 3.0, jobs[1].id)
    assert ended.batch.states == {State.FAILED: 3}
    assert await _counts(stores) == (3, 0, NOW + 3.0)
    # The acknowledgement was lost: the same group again counts nothing, and tells the event once more to the caller.
    again = await stores.jobs.record(ends, OWNER)
    assert again == recorded
    assert await _counts(stores) == (3, 0, NOW + 3.0)


async def test_many_batches_in_one_group(stores: Stores) -> None:
    """The batches of a group are counted in one statement, in the order of their names."""
    jobs = [await stores.add(context=JobContext(batch=name)) for name in ("b", "a", "c", "a")]
    recorded = await stores.jobs.record([stores.update(job, o.Refused("no")) for job in jobs[:3]], OWNER)
    assert [one.batch.name for one in recorded.batches] == ["b", "c"]
    assert await _counts(stores, "a") == (2, 1, None)


async def test_a_retry_joins_the_batch_again(stores: Stores) -> None:
    """The batch is open again, and ends once more."""
    job = await stores.add(context=MARCH)
    await stores.jobs.record([stores.update(job, o.Refused("no"))], OWNER)
    assert await _counts(stores) == (1, 0, NOW)
    again = new_job(retry_of=job.id, context=job.context)
    retry, created = await stores.jobs.add_again(again, stores.lane.id, NOW + 5.0)
    assert created
    assert await _counts(stores) == (2, 1, None)
    assert not (await stores.jobs.add_again(again, stores.lane.id, NOW + 5.0))[1]
    assert await _counts(stores) == (2, 1, None)
    recorded = await stores.jobs.record([stores.update(retry, o.Refused("no"), NOW + 6.0)], OWNER)
    assert len(recorded.batches) == 1
    assert await _counts(stores) == (2, 0, NOW + 6.0)


async def _parked(stores: Stores) -> Job:
    job = await stores.add(context=MARCH)
    job = await stores.accepted(job, o.Intended("i"))
    job = await stores.accepted(job, o.Unknown("a lost connection"))
    return await stores.accepted(job, o.Undecidable("nobody can tell"))


async def test_a_decision_of_a_person_ends_a_batch(stores: Stores) -> None:
    """A parked job holds its batch open until somebody cancels it; the same decision counts once."""
    parked = await _parked(stores)
    assert parked.state is State.PARKED
    assert await _counts(stores) == (1, 1, None)
    assert (await _batch(stores)).waits_for_a_person
    decision = advance(parked, o.CancelAsked(), POLICY, NOW + 9.0, stores.rand)
    ended: list[object] = []
    assert await stores.jobs.decide(decision, ended)  # type: ignore[arg-type]
    assert len(ended) == 1
    assert await _counts(stores) == (1, 0, NOW + 9.0)
    assert not await stores.jobs.decide(decision, ended)  # type: ignore[arg-type]
    assert await _counts(stores) == (1, 0, NOW + 9.0)


async def test_an_incomplete_batch_does_not_end(stores: Stores) -> None:
    """While more jobs are expected, as in a backfill, the end of the last one so far is no end of the batch."""
    job = await stores.add(context=MARCH)
    async with stores.database.writing() as connection:
        await connection.execute(text("UPDATE batches SET complete = false"))
    recorded = await stores.jobs.record([stores.update(job, o.Refused("no"))], OWNER)
    assert recorded.batches == ()
    assert await _counts(stores) == (1, 0, None)


async def test_retention_deletes_a_batch_with_its_last_job(stores: Stores) -> None:
    """A batch stays as long as one of its jobs."""
    first, second = [await stores.add(context=MARCH) for _ in range(2)]
    await stores.jobs.record([stores.update(first, o.Refused("no"))], OWNER)
    await stores.jobs.delete_finished(NOW + 1.0, 10)
    assert await _counts(stores) == (2, 1, None)
    await stores.jobs.record([stores.update(second, o.Refused("no"), NOW + 5.0)], OWNER)
    await stores.jobs.delete_finished(NOW + 1.0, 10)
    assert await _counts(stores) == (2, 0, NOW + 5.0)
    assert await stores.jobs.delete_finished(NOW + 9.0, 10) == 1
    assert await BatchStore(stores.database).get("march") is None


async def test_one_notification_for_a_batch(database: Database) -> None:
    """Every endpoint that wants batches gets one when it ends, with the jobs of its accounts only."""
    subscriptions = [
        Subscription("all", frozenset()),
        Subscription("acme", frozenset(), frozenset({"acme"})),
        Subscription("dock", frozenset(), frozenset({"dock"})),
        Subscription("none", TERMINAL, batches=False),
    ]
    stores = await Stores.set_up(database, subscriptions)
    await stores.jobs.add(new_job(account="nobody", context=MARCH), stores.lane.id, NOW)
    jobs = [await stores.add(context=MARCH) for _ in range(2)]
    for number, job in enumerate([*jobs, *await stores.jobs.find(account="nobody")]):
        assert not [one for one in await NotificationStore(database).find() if one.batch]
        await stores.jobs.record([stores.update(job, o.Refused("no"), NOW + number)], OWNER)
    found = [one for one in await NotificationStore(database).find() if one.batch is not None]
    assert sorted(one.endpoint for one in found) == ["acme", "all"]
    assert len({one.message_id for one in found}) == 1
    assert {one.batch for one in found} == {"march"}
    async with database.reading() as connection:
        rows = (await connection.execute(text("SELECT endpoint, body FROM notifications WHERE batch = 'march'"))).all()
    bodies = {endpoint: json.loads(body) for endpoint, body in rows}
    assert {one["type"] for one in bodies.values()} == {"batch.ended"}
    assert not list(other_times(list(bodies.values())))
    march = await BatchStore(database).get("march")
    assert march is not None
    assert bodies["all"]["data"].keys() <= batch_json(march).keys()
    assert (bodies["all"]["data"]["jobs"], bodies["all"]["data"]["states"]) == (3, {"failed": 3})
    assert (bodies["acme"]["data"]["jobs"], bodies["acme"]["data"]["states"]) == (2, {"failed": 2})


async def test_batches_are_listed_for_those_who_may_see_them(stores: Stores) -> None:
    """The newest first, a page at a time; of a mixed batch, a caller sees its own jobs."""
    await stores.lanes.ensure({"dock": 1})
    (dock,) = await stores.lanes.ids("dock")
    await stores.add(context=MARCH)
    await stores.jobs.add(new_job(account="dock", context=MARCH), dock, NOW + 1.0)
    await stores.jobs.add(new_job(account="dock", context=JobContext(batch="april")), dock, NOW + 2.0)
    store = BatchStore(stores.database)
    assert [one.name for one in await store.page(10)] == ["april", "march"]
    assert [one.name for one in await store.page(1)] == ["april"]
    assert [one.name for one in await store.page(10, before="april")] == ["march"]
    of_acme = store.limited_to(Scope(frozenset({"acme"})))
    (seen,) = await of_acme.page(10)
    assert (seen.name, seen.jobs, seen.open, seen.counts) == ("march", 1, 1, {("acme", State.QUEUED): 1})
    assert await of_acme.get("april") is None
    async with stores.database.reading() as connection:
        assert await connection.run_sync(of_acme.shared_with_others, ["march", "april", "new"]) == {"march", "april"}
        assert await connection.run_sync(store.shared_with_others, ["march"]) == frozenset()


@pytest.mark.parametrize("of_all", [True, False])
async def test_the_end_of_batches_is_looked_up_for_all_who_wait(stores: Stores, of_all: bool) -> None:
    """One query says which of the named batches stand how."""
    await stores.add(context=MARCH)
    store = BatchStore(stores.database)
    names = ["march", "none"] if of_all else ["none"]
    assert set(await store.named(names)) == ({"march"} if of_all else set())


@pytest.mark.slow
async def test_counts_are_exact_beside_each_other(stores: Stores) -> None:
    """Many transactions join and end jobs of the same batches at once: none waits for another in a circle."""
    names = ("a", "b", "c")

    async def work(number: int) -> None:
        rand = Random(number)
        for _ in range(4):
            chosen = rand.sample(names, 3)
            news = [
                (new_job(context=JobContext(batch=name), unique_key=f"{rand.random()}"), stores.lane.id)
                for name in chosen
            ]
            added = [job for job, _ in await stores.jobs.add_many(news, NOW)]
            ends = [stores.update(job, o.Refused("no")) for job in rand.sample(added, 3)]
            assert len((await stores.jobs.record(ends, OWNER)).accepted) == 3

    await asyncio.gather(*(work(number) for number in range(6)))
    for name in names:
        assert await _counts(stores, name) == (24, 0, NOW)

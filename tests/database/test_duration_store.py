"""Durations: each remote job counts once, in the transaction of its commit, for its lane's owner only."""

from random import Random

from sqlalchemy import select

from tests.database.query_plans import plan_of, statements_run, walks
from tests.support.database_engines import group_engine, writing_engine
from tests.support.stored_jobs import NOW, OWNER, POLICY, Stores
from tidewaiter.database.duration_store import DurationStore
from tidewaiter.database.job_store import FencedUpdate
from tidewaiter.database.tables import durations
from tidewaiter.domain import outcome as o
from tidewaiter.domain.duration_sketch import NO_DURATIONS
from tidewaiter.domain.job import Job
from tidewaiter.domain.learned_schedule import LearnedSchedule
from tidewaiter.domain.state_machine import advance

DAY = 86_400.0


def _ready(stores: Stores, job: Job, took_s: float, kind: str = "") -> FencedUpdate:
    update = advance(job, o.Ready(), POLICY, NOW + took_s, Random(1), learned=LearnedSchedule(kind))
    return FencedUpdate(update, stores.lane.epoch)


async def test_each_job_counts_once(stores: Stores) -> None:
    """All jobs of a group count, for all jobs and for their kind, also when the group is written again."""
    jobs = [await stores.polling(f"h{number}") for number in range(3)]
    group = [
        _ready(stores, job, took_s, kind) for job, took_s, kind in zip(jobs, (60.0, 61.0, 600.0), "aab", strict=True)
    ]
    for _ in range(2):
        assert len((await stores.jobs.record(group, OWNER)).accepted) == 3
    found = await DurationStore(stores.database).of_lane(stores.lane.id)
    assert {key: sketch.count for key, sketch in found.items()} == {
        ("statistics", ""): 3,
        ("statistics", "a"): 2,
        ("statistics", "b"): 1,
    }
    expected = NO_DURATIONS.with_one(0.0, 60.0).with_one(0.0, 61.0)
    assert found["statistics", "a"].to_text() == expected.to_text()
    of_jobs = await DurationStore(stores.database).of_jobs(jobs)
    assert of_jobs[stores.lane.id, "statistics", "a"] == found["statistics", "a"]
    assert await DurationStore(stores.database).of_jobs([]) == {}


async def test_a_former_owner_counts_nothing(stores: Stores) -> None:
    """An update that the fence refuses leaves the sketches as they are."""
    job = await stores.polling("h")
    await stores.lanes.take("another", 1, 30.0, force=True, accounts=["acme"])
    assert not (await stores.jobs.record([_ready(stores, job, 60.0)], OWNER)).accepted
    assert await DurationStore(stores.database).of_lane(stores.lane.id) == {}


async def test_statements(stores: Stores) -> None:
    """A poll costs no statement more, and a group of finished jobs two, each by the key of the table."""
    jobs = [await stores.polling(f"h{number}") for number in range(4)]
    with statements_run(group_engine(stores.database)) as polls:
        await stores.jobs.record([stores.update(jobs[0], o.Pending("running"))], OWNER)
    assert not [one for one, _ in polls if "durations" in one]
    with statements_run(writing_engine(stores.database)) as ends:
        await stores.jobs.record([_ready(stores, job, 60.0) for job in jobs[1:]], OWNER)
    about = [one for one in ends if "durations" in one[0]]
    assert len(about) == 2


async def test_reading_walks_no_table(stores: Stores) -> None:
    """The sketches of a lane, and of some jobs, are found by the key of the table."""
    store, job = DurationStore(stores.database), await stores.add()
    for read in (lambda: store.of_lane(stores.lane.id), lambda: store.of_jobs([job])):
        plan = await plan_of(stores, read)
        if stores.database.dialect == "sqlite":  # PostgreSQL walks a table of one page
            assert not [line for line in walks(plan) if "durations" in line], plan


async def test_old_sketches_are_deleted(stores: Stores) -> None:
    """What no job has changed for three months is deleted; so the table keeps what is of use."""
    await stores.jobs.record([_ready(stores, await stores.polling("h"), 60.0)], OWNER)
    store = DurationStore(stores.database)
    for days, left in ((80, 1), (91, 0)):
        await store.delete_old(NOW + days * DAY)
        async with stores.database.reading() as connection:
            assert len((await connection.execute(select(durations))).all()) == left

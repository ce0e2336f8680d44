"""Adding, reading, cancelling and deleting jobs."""

import asyncio
import math
from dataclasses import replace

import pytest
from sqlalchemy import text

from tests.support.stored_jobs import NOW, OWNER, StandingClock, Stores, artifact, new_job
from tidewaiter.database.due_store import DueStore
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.job import HistoryEntry, State, Track


async def test_add_stores_every_field(stores: Stores) -> None:
    """What add returns is what get reads: due at once, version 1, with its deadline, and one history row."""
    job, is_new = await stores.jobs.add(new_job(unique_key="k", retry_of=None), stores.lane.id, NOW)

    assert is_new
    assert job == await stores.jobs.get(job.id)
    assert (job.state, job.version, job.due_at, job.created_at) == (State.QUEUED, 1, NOW, NOW)
    assert job.deadline_at == NOW + 3600.0
    assert job.params == {"period": "2025-05", "limit": 3}
    assert await stores.jobs.history(job.id) == [HistoryEntry(job.id, 1, NOW, None, State.QUEUED, "Submitted")]


async def test_unique_key_gives_the_job_that_exists(stores: Stores) -> None:
    """The same key twice is one job; the key belongs to its account; jobs without a key are all different."""
    first = await stores.add(unique_key="k")
    again, is_new = await stores.jobs.add(new_job(unique_key="k", operation="other"), stores.lane.id, NOW + 1)
    assert not is_new
    assert again == first

    other, is_new = await stores.jobs.add(new_job(unique_key="k", account="b"), stores.lane.id, NOW)
    assert is_new
    assert len({first.id, other.id, (await stores.add()).id, (await stores.add()).id}) == 4


async def test_unique_key_holds_in_a_race(stores: Stores, database_url: str, clock: StandingClock) -> None:
    """Of twenty adds at once, from two programs, one makes the job and the others get it."""
    other = Database.open(database_url, clock)
    job_stores = [stores.jobs, JobStore(other)] * 10
    answers = await asyncio.gather(*(one.add(new_job(unique_key="k"), stores.lane.id, NOW) for one in job_stores))
    await other.close()

    assert len({job.id for job, _ in answers}) == 1
    assert [is_new for _, is_new in answers].count(True) == 1
    assert sum((await stores.jobs.counts()).values()) == 1


async def test_add_many_answers_in_order(stores: Stores) -> None:
    """Many jobs in one transaction, more than one statement takes: each answer stands at its place."""
    old = await stores.add(unique_key="old")
    keys: list[str | None] = ["old", None, "twice", "twice", *(f"k{number}" for number in range(2_500))]
    answers = await stores.jobs.add_many([(new_job(unique_key=key), stores.lane.id) for key in keys], NOW)

    assert [job.unique_key for job, _ in answers] == keys
    assert answers[0] == (old, False)
    assert [is_new for _, is_new in answers[1:4]] == [True, True, False]
    assert answers[2][0] == answers[3][0]
    assert len({job.id for job, _ in answers}) == len(keys) - 1
    assert len(await stores.jobs.history(answers[-1][0].id)) == 1
    assert await stores.jobs.add_many([], NOW) == []


async def test_batches_with_the_same_keys_do_not_wait_in_a_circle(postgres_url: str, clock: StandingClock) -> None:
    """Two batches meet at keys that a third transaction holds for a while: both end, whatever order theirs is."""
    database = Database.open(postgres_url, clock)
    stores = await Stores.set_up(database)
    batch = [(new_job(unique_key=key), stores.lane.id) for key in ("a", "m", "z")]
    async with asyncio.timeout(15), asyncio.TaskGroup() as group, database.writing() as connection:
        await connection.execute(text(_TAKE_KEY), {"lane": stores.lane.id})
        first = group.create_task(stores.jobs.add_many(batch, NOW))
        second = group.create_task(stores.jobs.add_many(batch[::-1], NOW))
        async with database.reading() as watching:
            while (await watching.execute(text(_WAITING))).scalar_one() < 2:
                await watching.execute(text("SELECT pg_sleep(0.01)"))
        await connection.rollback()
    assert [job.id for job, _ in await first] == [job.id for job, _ in reversed(await second)]
    assert await stores.jobs.counts() == {state: 3 if state is State.QUEUED else 0 for state in State}
    await database.close()


_TAKE_KEY = """
    INSERT INTO jobs (lane, account, operation, params, state, version, created_at, deadline_at, track, unique_key)
    VALUES (:lane, 'acme', 'statistics', '{}', 'queued', 1, 0, 0, 0, 'm')
"""
_WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO jobs%'
"""


async def test_ids_are_never_used_again(stores: Stores) -> None:
    """A deleted job's id names no other job later: files and logs still speak of it."""
    job = await stores.add()
    job = await stores.accepted(job, o.Refused("no"))
    assert await stores.jobs.delete_finished(math.inf, 10) == 1
    assert (await stores.add()).id > job.id


async def test_get_unknown(stores: Stores) -> None:
    """A job that does not exist is no error."""
    assert await stores.jobs.get(4711) is None
    assert await stores.jobs.history(4711) == []
    assert await stores.jobs.artifacts(4711) == []


async def test_every_field_survives(stores: Stores) -> None:
    """A job with every field set comes back as it was, floats to the last bit and text of any script."""
    job = await stores.polling("https://api.example/jobs/1?q=%20", unique_key="k", retry_of=77)
    links = (
        Link("https://f.example/ü", "labél", send_auth=False, size=2**41, sha256="ab"),
        Link("https://f.example/2"),
    )
    full = replace(
        job,
        state=State.FETCHING,
        version=job.version + 1,
        due_at=NOW + 1 / 3,
        intent_key='"quoted" \\ back',
        intent_at=NOW + 0.7,
        shared=True,
        remote_status="läuft 🚢",
        progress="1/3",
        reason="line\nbreak",
        links=links,
        polls=1,
        failures=2,
        crashes=3,
        submits=4,
        resubmits=5,
        fetches=6,
        submitted_at=NOW - 1 / 7,
        ready_at=NOW - 2 / 7,
        landed_at=NOW - 3 / 7,
    )
    update = stores.update(job, o.Ready(links))
    written = replace(update, update=replace(update.update, job=full))
    assert (await stores.jobs.record([written], OWNER)).accepted == {job.id}

    stored = await stores.stored(job)
    for name in ("due_at", "intent_at", "submitted_at", "ready_at", "landed_at"):
        assert getattr(stored, name) == pytest.approx(getattr(full, name), rel=0, abs=1e-6)
    assert (
        replace(
            stored,
            due_at=full.due_at,
            deadline_at=full.deadline_at,
            intent_at=full.intent_at,
            submitted_at=full.submitted_at,
            ready_at=full.ready_at,
            landed_at=full.landed_at,
        )
        == full
    )


async def test_find_filters_and_pages(stores: Stores) -> None:
    """Newest first; every filter narrows; ``before_id`` goes on where a page ended."""
    first, second = await stores.add(), await stores.add()
    third, fourth = await stores.add(account="b"), await stores.add()
    await stores.accepted(fourth, o.Refused("no"))
    find = stores.jobs.find

    assert [job.id for job in await find()] == [fourth.id, third.id, second.id, first.id]
    assert [job.id for job in await find(limit=2)] == [fourth.id, third.id]
    assert [job.id for job in await find(limit=2, before_id=third.id)] == [second.id, first.id]
    assert [job.id for job in await find(account="b")] == [third.id]
    assert [job.id for job in await find(states=(State.FAILED, State.PARKED))] == [fourth.id]
    assert await find(account="b", states=(State.FAILED,)) == []


async def test_next_due_by_lane_and_track(stores: Stores) -> None:
    """The first due time of each stream of the lanes asked for; streams without one are left out."""
    await stores.lanes.ensure({"acme": 3})
    first, second, third = await stores.lanes.ids("acme")
    for lane, at in ((first, 5.0), (first, 4.0), (second, 6.0), (third, 1.0)):
        await stores.jobs.add(new_job(), lane, NOW + at)
    fetching = await stores.accepted(await stores.polling("h"), o.Ready())
    assert fetching.due_at == NOW

    assert await stores.jobs.next_due([first, second]) == {
        (first, Track.ASK): NOW + 4.0,
        (first, Track.FETCH): NOW,
        (second, Track.ASK): NOW + 6.0,
    }
    assert await stores.jobs.next_due([]) == {}


async def test_nothing_is_due_in_an_empty_database(stores: Stores) -> None:
    """No jobs: no due time, and a zero for every state."""
    assert await DueStore(stores.database).first_waiting(4) is None
    assert await stores.jobs.counts() == dict.fromkeys(State, 0)


async def test_counts_by_state(stores: Stores) -> None:
    """Every state is counted, those without jobs as zero."""
    await stores.add()
    await stores.polling("a")
    await stores.accepted(await stores.add(), o.Refused("no"))
    counts = await stores.jobs.counts()
    assert {state: number for state, number in counts.items() if number} == {
        State.QUEUED: 1,
        State.POLLING: 1,
        State.FAILED: 1,
    }
    assert set(counts) == set(State)


async def test_cancelling_makes_a_live_job_due(stores: Stores) -> None:
    """The cancel request is stored and the job is due now, never later than before; the version stays."""
    job = await stores.polling("h")
    assert job.due_at == NOW + 60.0
    assert await stores.jobs.ask_cancel(job.id, NOW + 1.0)
    assert await stores.stored(job) == replace(job, cancel_requested=True, due_at=NOW + 1.0)
    assert await stores.jobs.ask_cancel(job.id, NOW + 2.0)
    assert (await stores.stored(job)).due_at == NOW + 1.0


async def test_cancelling_what_is_not_live(stores: Stores) -> None:
    """A finished, a parked and an unknown job are left as they are."""
    done = await stores.accepted(await stores.add(), o.Refused("no"))
    parked = await stores.accepted(await stores.add(), o.Intended("i"))
    parked = await stores.accepted(await stores.accepted(parked, o.Unknown("?")), o.Undecidable("?"))
    for job in (done, parked):
        assert not await stores.jobs.ask_cancel(job.id, NOW)
        assert await stores.stored(job) == job
    assert not await stores.jobs.ask_cancel(4711, NOW)


async def test_retention_takes_everything_of_old_finished_jobs(stores: Stores) -> None:
    """Only jobs that finished before the limit go, the oldest first, with history and artifacts; live ones never."""
    live = await stores.add()
    done = []
    for number in range(3):
        update = stores.update(await stores.polling(f"h{number}"), o.Stored((artifact(0), artifact(1))), NOW + number)
        await stores.jobs.record([update], OWNER)
        done.append(update.update.job)

    assert await stores.jobs.delete_finished(NOW + 2.0, 1) == 1
    assert await stores.jobs.get(done[0].id) is None
    assert await stores.jobs.history(done[0].id) == []
    assert await stores.jobs.artifacts(done[0].id) == []
    assert await stores.jobs.delete_finished(NOW + 2.0, 10) == 1
    assert await stores.jobs.delete_finished(NOW + 2.0, 10) == 0
    assert [job.id for job in await stores.jobs.find()] == [done[2].id, live.id]
    assert len(await stores.jobs.artifacts(done[2].id)) == 2


async def test_unique_key_is_free_again_after_retention(stores: Stores) -> None:
    """When the old job is gone, its key makes a new job."""
    await stores.accepted(await stores.add(unique_key="k"), o.Refused("no"))
    await stores.jobs.delete_finished(math.inf, 10)
    _, is_new = await stores.jobs.add(new_job(unique_key="k"), stores.lane.id, NOW)
    assert is_new

"""The due jobs of many lanes, read in one statement; on both databases."""

from dataclasses import replace

from tests.database.query_plans import statements_run
from tests.support.database_engines import reading_engine
from tests.support.stored_jobs import NOW, OWNER, Stores, artifact, new_job
from tidewaiter.database.due_store import DueAnswer, DueQuestion, DueStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Track


async def test_due_reads_one_stream_in_order(stores: Stores) -> None:
    """Only the lane's and the track's jobs, only what is due, the longest due first, no more than asked for."""
    await stores.lanes.ensure({"acme": 2})
    _, other = await stores.lanes.ids("acme")
    late = [(await stores.jobs.add(new_job(), stores.lane.id, NOW + at))[0] for at in (3.0, 1.0, 2.0, 9.0)]
    await stores.jobs.add(new_job(), other, NOW)
    fetching = await stores.polling("h")
    fetching = await stores.accepted(fetching, o.Ready())

    due = await stores.due(Track.ASK, NOW + 5.0, 10)
    assert [job.id for job in due] == [late[1].id, late[2].id, late[0].id]
    assert [job.id for job in await stores.due(Track.ASK, NOW + 5.0, 2)] == [late[1].id, late[2].id]
    assert await stores.due(Track.FETCH, NOW, 10) == [fetching]


async def test_many_lanes_are_one_statement(stores: Stores) -> None:
    """Each lane gets its own limit, its own start and its own next due time, in the order of the questions."""
    await stores.lanes.ensure({"acme": 3})
    first, second, third = await stores.lanes.ids("acme")
    jobs = {
        (lane, at): (await stores.jobs.add(new_job(), lane, NOW + at))[0]
        for lane, at in ((first, 0.0), (first, 1.0), (first, 2.0), (first, 8.0), (second, 1.0), (second, 2.0))
    }
    questions = [
        DueQuestion(third, Track.ASK, 5),
        DueQuestion(second, Track.ASK, 5, since=NOW + 1.5),
        DueQuestion(first, Track.FETCH, 5),
        DueQuestion(first, Track.ASK, 2),
    ]
    with statements_run(reading_engine(stores.database)) as statements:
        answers = await DueStore(stores.database).due(questions, NOW + 5.0)
    assert len(statements) == 1
    assert answers == [
        DueAnswer([], None),
        DueAnswer([jobs[second, 2.0]], None),
        DueAnswer([], None),
        DueAnswer([jobs[first, 0.0], jobs[first, 1.0]], NOW + 8.0),
    ]


async def test_a_due_download_says_whether_a_file_is_recorded(stores: Stores) -> None:
    """For each job that waits for one; for a poll nobody asks."""
    bare, begun = [await stores.accepted(await stores.polling(f"h{n}"), o.Ready()) for n in range(2)]
    landed = stores.update(begun, o.FilesLanded())
    await stores.jobs.record([replace(landed, update=replace(landed.update, artifacts=(artifact(0),)))], OWNER)
    await stores.polling("p")
    questions = [DueQuestion(stores.lane.id, track, 5) for track in (Track.FETCH, Track.ASK)]
    fetch, ask = await DueStore(stores.database).due(questions, NOW + 3600.0)
    assert {one.id for one in fetch.jobs} == {bare.id, begun.id}
    assert len(ask.jobs) == 1
    assert fetch.without_files == {bare.id}

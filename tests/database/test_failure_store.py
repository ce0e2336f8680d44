"""Failures stay until a person acknowledges or retries them."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text

from tests.database.query_plans import fill, plan_of, walks
from tests.support.stored_jobs import NOW, Stores, artifact, new_job
from tidewaiter.database import job_list
from tidewaiter.database.failure_store import FailureStore
from tidewaiter.database.job_list import JobFilter, JobList
from tidewaiter.domain import outcome as o
from tidewaiter.domain.account_scope import Scope
from tidewaiter.domain.job import Job, State

A_WEEK_LATER = NOW + 7 * 86_400.0


async def _failed(stores: Stores, **changes: object) -> Job:
    job = await stores.accepted(await stores.add(**changes), o.Intended("intent"))
    return await stores.accepted(job, o.Refused("422: no such period"))


async def test_a_failure_stays_until_it_is_acknowledged(stores: Stores) -> None:
    """Who acknowledged it and when is kept; a second acknowledgement changes nothing; no other state can be."""
    failures = FailureStore(stores.database)
    failed, waiting = await _failed(stores), await stores.add()
    assert failed.state is State.FAILED
    assert [one.id for one in await failures.newest(5)] == [failed.id]

    assert await failures.acknowledge(failed.id, "ada", A_WEEK_LATER)
    assert not await failures.acknowledge(failed.id, "bob", A_WEEK_LATER + 1.0)
    assert not await failures.acknowledge(waiting.id, "ada", A_WEEK_LATER)
    stored = await stores.stored(failed)
    assert (stored.handled_at, stored.handled_by, stored.version) == (A_WEEK_LATER, "ada", failed.version)
    assert (await stores.stored(waiting)).handled_at is None
    assert await failures.newest(5) == []


async def test_failures_are_grouped(stores: Stores) -> None:
    """One line for each operation of an account, with the number and the newest; other accounts are left out."""
    failures = FailureStore(stores.database)
    await _failed(stores, unique_key="first")
    last = await _failed(stores, unique_key="second")
    other = await _failed(stores, account="zoo", operation="report")
    groups = [(one.account, one.operation, one.jobs, one.newest.id) for one in await failures.groups()]
    assert groups == [("acme", "statistics", 2, last.id), ("zoo", "report", 1, other.id)]
    assert [one.newest.id for one in await failures.groups(["zoo"])] == [other.id]
    assert await failures.groups([]) == []
    assert [one.examples for one in await failures.groups(["acme"])] == [(last.id, last.id - 1)]
    assert [one.id for one in await failures.newest(5, "zoo")] == [other.id]


async def test_the_list_of_unhandled_failures(stores: Stores) -> None:
    """The list has them only, newest first, with the other filters."""
    failed = [await _failed(stores, operation=name) for name in ("a", "b", "a")]
    await stores.add()
    await FailureStore(stores.database).acknowledge(failed[2].id, "ada", NOW)
    job_list = JobList(stores.jobs)
    assert [job.id for job in await job_list.page(JobFilter(unhandled=True), 10)] == [failed[1].id, failed[0].id]
    assert [job.id for job in await job_list.page(JobFilter(unhandled=True), 10, failed[1].id)] == [failed[0].id]
    found = await job_list.page(JobFilter(unhandled=True, account="acme", operation="b"), 10)
    assert [job.id for job in found] == [failed[1].id]


async def test_a_retry_is_made_once_and_takes_over_the_key(stores: Stores) -> None:
    """Of five retries at once one makes the job; the key finds the new job, and the old one keeps it to be read."""
    failed = await _failed(stores, unique_key="task-1")
    new = new_job(unique_key="task-1", retry_of=failed.id)
    tries = [stores.jobs.add_again(new, stores.lane.id, NOW + 5.0, by="ada") for _ in range(5)]
    results = await asyncio.gather(*tries)
    assert [created for _, created in results].count(True) == 1
    (again,) = {job.id for job, _ in results}

    old = await stores.stored(failed)
    assert (old.unique_key, old.former_key, old.retried_as) == (None, "task-1", again)
    assert (old.handled_at, old.handled_by) == (NOW + 5.0, "ada")
    found, created = await stores.jobs.add(new_job(unique_key="task-1"), stores.lane.id, NOW + 6.0)
    assert (found.id, created) == (again, False)
    assert await FailureStore(stores.database).newest(5) == []


async def test_a_retry_of_a_success_is_no_failure(stores: Stores) -> None:
    """A job that has succeeded can be repeated, and is not marked as a handled failure."""
    job = await stores.accepted(await stores.polling("r-1"), o.Ready())
    job = await stores.accepted(job, o.Stored((artifact(0),)))
    assert job.state is State.SUCCEEDED
    again, created = await stores.jobs.add_again(new_job(retry_of=job.id), stores.lane.id, NOW, by="ada")
    stored = await stores.stored(job)
    assert created
    assert (stored.retried_as, stored.handled_at, stored.handled_by) == (again.id, None, None)


async def test_each_cause_is_a_group(stores: Stores) -> None:
    """Reasons that differ in numbers and names only are one cause, with the times of the first and the last."""
    failures = FailureStore(stores.database)
    for number, reason in enumerate(("HTTP 422: segment 17", "HTTP 422: segment 18", "HTTP 404: no report")):
        job = await stores.polling(f"r-{number}")
        await stores.accepted(job, o.Refused(reason))
    groups = await failures.groups()
    assert [(one.cause, one.jobs) for one in groups] == [("HTTP 404: no report", 1), ("HTTP 422: segment *", 2)]
    segments = groups[1]
    assert segments.newest.reason == "HTTP 422: segment 18"
    assert segments.first_at is not None
    assert segments.last_at is not None
    assert segments.first_at <= segments.last_at
    found = await JobList(stores.jobs).page(JobFilter(unhandled=True, cause=segments.cause), 50)
    assert [job.id for job in found] == list(segments.examples)


async def test_a_cause_is_searched_among_the_newest_failures(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Handled failures of a cause are found, too, page by page, but only among the newest of each state."""
    failed = []
    for number, reason in enumerate(("down", "down", "refused", "down", "down")):
        failed.append(await stores.accepted(await stores.polling(f"r-{number}"), o.Refused(reason)))
    await FailureStore(stores.database).acknowledge(failed[4].id, "ada", NOW)
    lists, down = JobList(stores.jobs), JobFilter(cause=failed[0].cause)
    assert [job.id for job in await lists.page(down, 2)] == [failed[4].id, failed[3].id]
    assert [job.id for job in await lists.page(down, 9, failed[3].id)] == [failed[1].id, failed[0].id]
    monkeypatch.setattr(job_list, "MOST_OF_CAUSE", 4)
    newest = [failed[4].id, failed[3].id, failed[1].id]
    of_account = replace(down, account=failed[0].account, operation=failed[0].operation)
    limited = lists.limited_to(Scope(frozenset({failed[0].account})))
    for some, conditions in ((lists, down), (lists, of_account), (limited, down)):
        assert [job.id for job in await some.page(conditions, 9)] == newest
    assert await lists.page(replace(of_account, operation="other"), 9) == []
    assert await lists.limited_to(Scope(frozenset({"other"}))).page(down, 9) == []
    before = JobFilter(cause=down.cause, states=[State.FAILED])
    assert [job.id for job in await lists.page(before, 9, failed[3].id)] == [failed[1].id], "the same in each page"


@pytest.mark.slow
async def test_unhandled_failures_are_read_from_their_index(stores: Stores) -> None:
    """A reading costs what is unhandled, among many jobs and many handled failures."""
    await fill(stores)
    async with stores.database.writing() as connection:
        half = "UPDATE jobs SET state = 'failed', handled_at = 1.0, finished_at = 1.0, due_at = NULL WHERE id % 2 = 0"
        await connection.execute(text(half))
    await _failed(stores)
    if stores.database.dialect == "postgresql":  # on SQLite nothing makes statistics
        async with stores.database.writing() as connection:
            await connection.execute(text("ANALYZE"))
    failures, job_list = FailureStore(stores.database), JobList(stores.jobs)
    for work in (
        lambda: failures.newest(5),
        lambda: failures.newest(5, "acme"),
        failures.groups,
        lambda: failures.groups(["acme"]),
        lambda: job_list.page(JobFilter(unhandled=True), 50),
        lambda: job_list.page(JobFilter(unhandled=True, account="acme"), 50),
    ):
        plan = await plan_of(stores, work)
        assert "jobs_unhandled" in plan
        # SQLite says that it scans the partial index, which has the unhandled failures only.
        whole = [line for line in walks(plan) if "Sort Key" not in line and "USING INDEX jobs_unhandled" not in line]
        assert not whole, plan

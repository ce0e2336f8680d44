"""Which other jobs follow a remote job, and their outcomes."""

from dataclasses import replace
from random import Random

from tests.database.query_plans import fill, plan_of, walks
from tests.support.stored_jobs import NOW, OWNER, POLICY, Stores, artifact
from tidewaiter.database.job_store import FencedUpdate
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.job import Job, SameRemoteJob, State
from tidewaiter.domain.state_machine import advance


async def _sharing(stores: Stores, handle: str) -> Job:
    """Another job that follows the same remote job."""
    job = await stores.accepted(await stores.add(), o.Intended("again"))
    return await stores.accepted(job, o.Duplicate(handle))


async def _after(stores: Stores, job: Job, outcome: o.Outcome, policy: OperationPolicy) -> Job:
    """The job after an outcome, under a policy of its own."""
    update = FencedUpdate(advance(job, outcome, policy, NOW, Random(1)), stores.lane.epoch)
    assert (await stores.jobs.record([update], OWNER)).accepted == {job.id}
    return await stores.stored(job)


async def test_followers_are_the_others(stores: Stores) -> None:
    """Those of the same account, operation and handle, ended ones too."""
    first = await stores.polling("h")
    second = await _sharing(stores, "h")
    await stores.polling("other")
    elsewhere = await stores.polling("h", operation="snapshot")

    assert await stores.jobs.followers(first) == [SameRemoteJob(second.id, State.POLLING, True, second.deadline_at)]
    assert await stores.jobs.followers(elsewhere) == []
    assert await stores.jobs.followers(await stores.add()) == []
    assert [one.id for one in await stores.jobs.followers_of(await stores.add(), "h")] == [first.id, second.id]

    await stores.accepted(first, o.Refused("no"))
    assert await stores.jobs.followers(second) == [SameRemoteJob(first.id, State.FAILED, False, first.deadline_at)]


async def test_followers_tell_what_they_have_done(stores: Stores) -> None:
    """That a job has deleted the remote job stands in its history; that it has left it alone is no such thing."""
    able = replace(POLICY, cleans=True)
    first, second, third = await stores.polling("h"), await _sharing(stores, "h"), await _sharing(stores, "h")
    for job, outcome in ((first, o.LeftAlone()), (second, o.Cleaned())):
        landed = await _after(stores, await stores.accepted(job, o.Ready()), o.Stored((artifact(0),)), able)
        assert landed.state is State.CLEANING
        assert (await _after(stores, landed, outcome, able)).state is State.SUCCEEDED
    outcomes = {one.id: one.ended_by for one in await stores.jobs.followers(third)}
    assert outcomes == {first.id: frozenset(), second.id: frozenset({"Cleaned"})}


async def test_followers_are_looked_up(stores: Stores) -> None:
    """By an index, however many jobs wait."""
    await fill(stores)
    job = await stores.polling("h")
    await _sharing(stores, "h")
    plan = await plan_of(stores, lambda: stores.jobs.followers(job))
    assert "jobs_followers" in plan or "jobs_handle" in plan
    assert not walks(plan), plan

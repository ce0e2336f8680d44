"""Which other jobs follow a remote job, and what they have told it."""

from dataclasses import replace
from random import Random

from tests.database.query_plans import fill, plan_of, walks
from tests.support.stored_jobs import NOW, OWNER, POLICY, Scene, artifact
from tidewaiter.database.job_store import FencedUpdate
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.job import Job, OtherJob, State
from tidewaiter.domain.state_machine import advance


async def _sharing(scene: Scene, handle: str) -> Job:
    """Another job that follows the same remote job."""
    job = await scene.accepted(await scene.add(), o.Intended("again"))
    return await scene.accepted(job, o.Duplicate(handle))


async def _after(scene: Scene, job: Job, outcome: o.Outcome, policy: OperationPolicy) -> Job:
    """The job after an outcome, under a policy of its own."""
    update = FencedUpdate(advance(job, outcome, policy, NOW, Random(1)), scene.lane.epoch)
    assert (await scene.jobs.record([update], OWNER)).accepted == {job.id}
    return await scene.stored(job)


async def test_followers_are_the_others(scene: Scene) -> None:
    """Those of the same account, operation and handle, ended ones too."""
    first = await scene.polling("h")
    second = await _sharing(scene, "h")
    await scene.polling("other")
    elsewhere = await scene.polling("h", operation="snapshot")

    assert await scene.jobs.followers(first) == [OtherJob(second.id, State.POLLING, True, second.deadline_at)]
    assert await scene.jobs.followers(elsewhere) == []
    assert await scene.jobs.followers(await scene.add()) == []
    assert [one.id for one in await scene.jobs.followers_of(await scene.add(), "h")] == [first.id, second.id]

    await scene.accepted(first, o.Refused("no"))
    assert await scene.jobs.followers(second) == [OtherJob(first.id, State.FAILED, False, first.deadline_at)]


async def test_followers_tell_what_they_have_done(scene: Scene) -> None:
    """That a job has deleted the remote job stands in its history; that it has left it alone is no such thing."""
    able = replace(POLICY, cleans=True)
    first, second, third = await scene.polling("h"), await _sharing(scene, "h"), await _sharing(scene, "h")
    for job, outcome in ((first, o.LeftAlone()), (second, o.Cleaned())):
        landed = await _after(scene, await scene.accepted(job, o.Ready()), o.Stored((artifact(0),)), able)
        assert landed.state is State.CLEANING
        assert (await _after(scene, landed, outcome, able)).state is State.SUCCEEDED
    told = {one.id: one.told for one in await scene.jobs.followers(third)}
    assert told == {first.id: frozenset(), second.id: frozenset({"Cleaned"})}


async def test_followers_are_looked_up(scene: Scene) -> None:
    """By an index, however many jobs wait."""
    await fill(scene)
    job = await scene.polling("h")
    await _sharing(scene, "h")
    plan = await plan_of(scene, lambda: scene.jobs.followers(job))
    assert "jobs_followers" in plan or "jobs_handle" in plan
    assert not walks(plan), plan

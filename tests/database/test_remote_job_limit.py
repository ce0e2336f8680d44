"""Remote jobs under way, and what is due while no further may be made; on both databases."""

from tests.support.stored_jobs import NOW, Scene
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Track


async def test_what_is_due_while_no_further_remote_job_may_be_made(scene: Scene) -> None:
    """Polls, and jobs that are about to end; not those that would be submitted."""
    queued, unwanted, late = await scene.add(), await scene.add(), await scene.add(deadline_s=5.0)
    polling = await scene.polling("h")
    await scene.jobs.ask_cancel(unwanted.id, NOW)
    lane, soon = scene.lane.id, NOW + 120.0
    assert {job.id for job in await scene.jobs.due(lane, Track.ASK, NOW, 10, submits=False)} == {unwanted.id}
    found = await scene.jobs.due(lane, Track.ASK, soon, 10, submits=False)
    assert {job.id for job in found} == {unwanted.id, late.id, polling.id}
    found = await scene.jobs.due(lane, Track.ASK, soon, 10)
    assert {job.id for job in found} == {queued.id, unwanted.id, late.id, polling.id}


async def test_remote_jobs_under_way(scene: Scene) -> None:
    """From the intent on, until there is nothing left to ask after."""
    await scene.add()
    submitting, polling, fetching = await scene.add(), await scene.polling("a"), await scene.polling("b")
    await scene.accepted(submitting, o.Intended("intent"))
    await scene.accepted(fetching, o.Ready())
    assert await scene.jobs.remote(scene.lane.id) == {submitting.id, polling.id}
    assert await scene.jobs.remote(scene.lane.id + 1) == set()

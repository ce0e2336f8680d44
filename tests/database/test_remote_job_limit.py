"""The number of remote jobs, and what is due when the limit is reached; on both databases."""

from tests.support.stored_jobs import NOW, Stores
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Track


async def test_what_is_due_while_no_further_remote_job_may_be_made(stores: Stores) -> None:
    """Polls, and jobs that are about to end; not those that would be submitted."""
    queued, unwanted, late = await stores.add(), await stores.add(), await stores.add(deadline_s=5.0)
    polling = await stores.polling("h")
    await stores.jobs.ask_cancel(unwanted.id, NOW)
    soon = NOW + 120.0
    assert {job.id for job in await stores.due(Track.ASK, NOW, 10, submits=False)} == {unwanted.id}
    found = await stores.due(Track.ASK, soon, 10, submits=False)
    assert {job.id for job in found} == {unwanted.id, late.id, polling.id}
    found = await stores.due(Track.ASK, soon, 10)
    assert {job.id for job in found} == {queued.id, unwanted.id, late.id, polling.id}


async def test_remote_jobs_under_way(stores: Stores) -> None:
    """From the intent on, until there is nothing left to ask after."""
    await stores.add()
    submitting, polling, fetching = await stores.add(), await stores.polling("a"), await stores.polling("b")
    await stores.accepted(submitting, o.Intended("intent"))
    await stores.accepted(fetching, o.Ready())
    assert await stores.jobs.remote(stores.lane.id) == {submitting.id, polling.id}
    assert await stores.jobs.remote(stores.lane.id + 1) == set()

"""How the database finds results that can be shared; on both databases."""

from tests.database.query_plans import fill, plan_of, walks
from tests.support.stored_jobs import NOW, Stores, artifact
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Job
from tidewaiter.domain.manifest import StoredResult

KEY = "ab" * 32


async def _answered(stores: Stores, key: str = KEY) -> Job:
    """A job that asked at ``NOW`` and has its answer."""
    job = await stores.add(answer_key=key)
    job = await stores.accepted(job, o.Intended(f"intent-{job.id}"))
    return await stores.accepted(job, o.Stored((artifact(0, key=f"acme/{job.id}.csv"),)))


async def test_the_last_answer_to_the_same_question(stores: Stores) -> None:
    """Of the same account, operation and key, asked for late enough, with its files."""
    asks = await stores.add(answer_key=KEY)
    assert await stores.jobs.stored_result(asks, NOW - 300.0) is None
    await _answered(stores, "cd" * 32)
    assert await stores.jobs.stored_result(asks, NOW - 300.0) is None
    answered = await _answered(stores)
    files = tuple(await stores.jobs.artifacts(answered.id))
    assert await stores.jobs.stored_result(asks, NOW) == StoredResult(answered.id, NOW, files)
    assert len(files) == 1
    assert await stores.jobs.stored_result(asks, NOW + 1.0) is None


async def test_a_copy_is_no_answer_of_its_own(stores: Stores) -> None:
    """Who shared an answer is not shared from: it would seem younger than it is."""
    asks, sharer = await stores.add(answer_key=KEY), await stores.add(answer_key=KEY)
    await stores.accepted(sharer, o.Stored((artifact(0),), shared_from=7))
    assert await stores.jobs.stored_result(asks, NOW - 300.0) is None


async def test_a_question_that_is_under_way_is_no_answer(stores: Stores) -> None:
    """Only what has landed can be shared."""
    asks, other = await stores.add(answer_key=KEY), await stores.add(answer_key=KEY)
    await stores.accepted(other, o.Intended("intent"))
    assert await stores.jobs.stored_result(asks, NOW - 300.0) is None


async def test_answers_are_looked_up_in_their_index(stores: Stores) -> None:
    """However many jobs there are."""
    await fill(stores)
    asks = await stores.add(answer_key=KEY)
    plan = await plan_of(stores, lambda: stores.jobs.stored_result(asks, NOW))
    assert "jobs_answers" in plan
    assert not walks(plan.replace("Sort Key: jobs.ready_at", "")), plan

"""Query plans: the statements of the hot path look up, they never walk over the jobs that wait."""

import pytest
from sqlalchemy import text

from tests.database.query_plans import WAITING, fill, overheard, plan_of, walks
from tests.support.stored_jobs import NOW, OWNER, Scene
from tidewaiter.database.delivery_store import DeliveryStore
from tidewaiter.database.job_list import JobFilter, JobList
from tidewaiter.database.notification_store import NotificationStore
from tidewaiter.database.wake_ups import WakeUpStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State, Track
from tidewaiter.domain.notification import DeliveryStatus


async def test_due_and_next_due_use_the_index(scene: Scene) -> None:
    """What is due, and what is due next, is read from the beginning of an index, however many wait."""
    await fill(scene)
    lane = scene.lane.id
    for work in (
        lambda: scene.jobs.due(lane, Track.ASK, NOW + 500.0, 100),
        lambda: scene.jobs.next_due([lane]),
        lambda: scene.jobs.next_due_after(lane, Track.FETCH, NOW),
        scene.jobs.oldest_due,
    ):
        plan = await plan_of(scene, work)
        assert "jobs_due" in plan
        assert not walks(plan), plan


async def test_wishes_use_their_own_index(scene: Scene) -> None:
    """Who wants to stop is found without looking at anybody else."""
    await fill(scene)
    plan = await plan_of(scene, lambda: scene.jobs.cancel_requests([scene.lane.id]))
    assert "jobs_wishes" in plan
    assert not walks(plan), plan


async def test_callbacks_are_looked_up(scene: Scene) -> None:
    """A flood of forged tokens costs one look into an index each, however many jobs there are."""
    await fill(scene)
    job = await scene.accepted(await scene.add(), o.Intended("intent", "ab" * 32))
    plan = await plan_of(scene, lambda: WakeUpStore(scene.database).wake_up("ab" * 32, NOW))
    assert "jobs_callback" in plan
    assert not walks(plan), plan
    assert (await scene.stored(job)).hinted


async def test_group_commit_looks_up_each_job(scene: Scene) -> None:
    """A group is written by the jobs' ids, whatever its size."""
    await fill(scene)
    found = await scene.jobs.due(scene.lane.id, Track.ASK, NOW + 1e6, 200)
    staying = [scene.update(job, o.Pending("running")) for job in found[:100]]
    moving = [scene.update(job, o.Ready()) for job in found[100:]]
    for group in (staying, moving):
        plan = await plan_of(scene, lambda group=group: scene.jobs.record(group, OWNER))  # type: ignore[misc]  # a default
        assert not walks(plan), plan
        assert "PRIMARY KEY" in plan or "jobs_pkey" in plan


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (JobFilter(account="acme"), "jobs_listed"),
        (JobFilter(account="nobody"), "jobs_listed"),
        (JobFilter(account="acme", states=[State.FAILED, State.POLLING]), "jobs_listed"),
        (JobFilter(operation="statistics"), "jobs_listed"),
        (JobFilter(operation="statistics", states=[State.FAILED]), "jobs_listed"),
        (JobFilter(unique_key="night"), "jobs_keys"),
        (JobFilter(search="night"), "jobs_keys"),
    ],
)
async def test_lists_are_read_from_an_index(scene: Scene, wanted: JobFilter, index: str) -> None:
    """A page of whatever account, state or key is looked up, and stops where it is full."""
    await fill(scene)
    await scene.add(unique_key="night-1")
    lists = JobList(scene.jobs)
    plan = await plan_of(
        scene, lambda: lists.page(wanted, 50, operations_by_account={"acme": ["statistics"], "dock": ["listing"]})
    )
    # PostgreSQL knows how many rows there are and may choose another; what is sorted in the end is a page or a few.
    assert index in plan or scene.database.dialect == "postgresql", plan
    assert not [line for line in plan.splitlines() if "SCAN jobs" in line or "Seq Scan on jobs" in line], plan


async def test_a_list_of_an_operation_is_made_of_its_accounts(scene: Scene) -> None:
    """Only below accounts that have the operation is it looked for, and one that nobody has is in no list at all."""
    await fill(scene)
    lists, wanted = JobList(scene.jobs), JobFilter(operation="rare")
    for offered in ({}, {"acme": ["statistics"]}):
        with overheard(scene.database._reader.sync_engine) as said:
            assert await lists.page(wanted, 50, operations_by_account=offered) == []
        assert not [statement for statement, _ in said if "jobs.operation =" in statement]
    rare = [await scene.add(operation="rare") for _ in range(3)]
    found = await lists.page(wanted, 2, operations_by_account={"acme": ["rare"], "dock": ["rare"]})
    assert [job.id for job in found] == [rare[2].id, rare[1].id]
    older = await lists.page(wanted, 2, found[-1].id, operations_by_account={"acme": ["rare"], "dock": ["rare"]})
    assert [job.id for job in older] == [rare[0].id]


async def test_retention_and_listing_use_indexes(scene: Scene) -> None:
    """Deleting old jobs finds them by when they finished; a list of the newest ends where its page does."""
    await fill(scene)
    plan = await plan_of(scene, lambda: scene.jobs.delete_finished(NOW, 100))
    assert "jobs_finished" in plan
    assert not walks(plan), plan
    assert "jobs_pkey" in (plan := await plan_of(scene, lambda: scene.jobs.find(limit=50))) or "SCAN jobs" in plan


FILL_NOTIFICATIONS_SQLITE = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :number)
    INSERT INTO notifications (endpoint, message_id, job_id, account, state, at, status, due_at, body)
    SELECT 'a', 'msg_' || n, n, 'acme', 'failed', 0, 'waiting', 1750000000 + n, '{}' FROM numbers
"""
DELIVER_SOME = "UPDATE notifications SET status = 'delivered', due_at = NULL, ended_at = job_id WHERE job_id % 2 = 0"
FILL_NOTIFICATIONS_POSTGRESQL = """
    INSERT INTO notifications (endpoint, message_id, job_id, account, state, at, status, due_at, body)
    SELECT 'a', 'msg_' || n, n, 'acme', 'failed', 0, 'waiting', extract(epoch FROM now()) + n, '{}'
    FROM generate_series(1, :number) AS n
"""


async def test_notifications_are_looked_up(scene: Scene) -> None:
    """A receiver that is down for a day lets notifications pile up; what is due is still read off an index."""
    on_sqlite = scene.database.dialect == "sqlite"
    async with scene.database.writing() as connection:
        fill = FILL_NOTIFICATIONS_SQLITE if on_sqlite else FILL_NOTIFICATIONS_POSTGRESQL
        await connection.execute(text(fill), {"number": WAITING})
        await connection.execute(text(DELIVER_SOME))
        await connection.execute(text("SELECT 1" if on_sqlite else "ANALYZE"))
    deliveries, people = DeliveryStore(scene.database), NotificationStore(scene.database)
    for work, index in (
        (lambda: deliveries.next_due(["a", "b"]), "notifications_due"),
        (lambda: deliveries.claim({"a": 4}, 60.0), "notifications_due"),
        (lambda: people.find(status=DeliveryStatus.DEAD), "notifications_status"),
        (lambda: people.find(job_id=7), "notifications_job"),
        (lambda: deliveries.delete_ended(DeliveryStatus.DELIVERED, 0.0, 100), "notifications_ended"),
    ):
        plan = await plan_of(scene, work)
        assert index in plan, plan
        assert not any(sign in plan for sign in ("SCAN notifications", "Seq Scan on notifications")), plan

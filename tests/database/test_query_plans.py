"""The statements of the hot path use indexes; they never scan the waiting jobs."""

from contextlib import ExitStack

import pytest
from sqlalchemy import text

from tests.database.query_plans import WAITING, fill, plan_of, plan_of_statements, statements_run, walks
from tests.support.database_engines import all_engines, group_engine, reading_engine
from tests.support.stored_jobs import NOW, OWNER, Stores, artifact
from tidewaiter.database import job_list
from tidewaiter.database.batch_store import BatchStore
from tidewaiter.database.delivery_store import DeliveryStore
from tidewaiter.database.due_store import DueStore
from tidewaiter.database.job_list import JobFilter, JobList
from tidewaiter.database.notification_store import NotificationStore
from tidewaiter.database.wake_up_store import WakeUpStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.account_scope import Scope
from tidewaiter.domain.job import State, Track
from tidewaiter.domain.notification import DeliveryStatus
from tidewaiter.domain.search_terms import parameter_terms

pytestmark = pytest.mark.slow


async def test_due_and_next_due_use_the_index(stores: Stores) -> None:
    """What is due, and what is due next, is read from the beginning of an index, however many wait."""
    await fill(stores)
    lane = stores.lane.id
    for work in (
        lambda: stores.due(Track.ASK, NOW + 500.0, 100),
        lambda: stores.jobs.next_due([lane]),
        lambda: DueStore(stores.database).first_waiting(4),
    ):
        plan = await plan_of(stores, work)
        assert "jobs_due" in plan
        assert not walks(plan), plan


async def test_deadlines_of_closed_lanes_are_looked_up(stores: Stores) -> None:
    """A look every second at lanes whose provider may not be asked reads no job of another lane."""
    await fill(stores)
    closed = [stores.lane.id + 1, stores.lane.id + 2]
    plan = await plan_of(stores, lambda: DueStore(stores.database).overdue(closed, NOW, 100))
    assert "jobs_due" in plan
    assert not walks(plan), plan


async def test_cancel_requests_use_their_own_index(stores: Stores) -> None:
    """Who wants to stop is found without looking at anybody else."""
    await fill(stores)
    plan = await plan_of(stores, lambda: stores.jobs.cancel_requests([stores.lane.id]))
    assert "jobs_wishes" in plan
    assert not walks(plan), plan


async def test_callbacks_are_looked_up(stores: Stores) -> None:
    """A flood of forged tokens costs one look into an index each, however many jobs there are."""
    await fill(stores)
    job = await stores.accepted(await stores.add(), o.Intended("intent", "ab" * 32))
    plan = await plan_of(stores, lambda: WakeUpStore(stores.database).wake_up("ab" * 32, NOW))
    assert "jobs_callback" in plan
    assert not walks(plan), plan
    assert (await stores.stored(job)).hinted


async def test_group_commit_looks_up_each_job(stores: Stores) -> None:
    """A group is written by the jobs' ids, whatever its size."""
    await fill(stores)
    found = await stores.due(Track.ASK, NOW + 1e6, 200)
    staying = [stores.update(job, o.Pending("running")) for job in found[:100]]
    moving = [stores.update(job, o.Ready()) for job in found[100:]]
    for group in (staying, moving):
        plan = await plan_of(stores, lambda group=group: stores.jobs.record(group, OWNER))  # type: ignore[misc]  # a default
        assert not walks(plan), plan
        assert "PRIMARY KEY" in plan or "jobs_pkey" in plan


FILL_FILES = """
    INSERT INTO artifacts (job_id, number, name, label, key, size, sha256, media_type, landed_at)
    SELECT id, 0, 'a', '', 'a', 1, 'a', 'text/csv', 0 FROM jobs
"""


async def test_a_group_that_lands_files_looks_up_their_jobs(stores: Stores) -> None:
    """The files of other jobs are not read, however many have landed."""
    await fill(stores)
    async with stores.database.writing() as connection:
        await connection.execute(text(FILL_FILES))
        await connection.execute(text("ANALYZE" if stores.database.dialect == "postgresql" else "SELECT 1"))
    fetching = await stores.accepted(await stores.polling("h"), o.Ready())
    group = [stores.update(fetching, o.Stored((artifact(0),)))]
    with statements_run(group_engine(stores.database)) as statements:
        await stores.jobs.record(group, OWNER)
    plan = await plan_of_statements(stores, statements)
    assert "SCAN artifacts" not in plan, plan
    assert "Seq Scan on artifacts" not in plan, plan
    assert [one.number for one in await stores.jobs.artifacts(fetching.id)] == [0]


LISTS = (
    (JobFilter(account="acme"), "jobs_listed"),
    (JobFilter(account="nobody"), "jobs_listed"),
    (JobFilter(account="acme", states=[State.FAILED, State.POLLING]), "jobs_listed"),
    (JobFilter(operation="statistics"), "jobs_listed"),
    (JobFilter(operation="statistics", states=[State.FAILED]), "jobs_listed"),
    (JobFilter(unique_key="night"), "jobs_keys"),
    (JobFilter(search="night"), "jobs_keys"),
    (JobFilter(search="day=2026-01-01"), "job_terms"),
    (JobFilter(search="no such segment"), "jobs_unhandled"),
    (JobFilter(search="no such segment", account="acme"), "jobs_unhandled"),
    (JobFilter(cause="no such segment"), "jobs_state"),
    (JobFilter(labels=(("dag", "x"),)), "job_terms"),
    (JobFilter(batch="march"), "jobs_batch"),
    (JobFilter(schedule="nightly"), "jobs_schedule"),
    (JobFilter(numbers=[7, 8]), "PRIMARY KEY"),
)


async def test_lists_are_read_from_an_index(stores: Stores) -> None:
    """A page of whatever account, state or key is looked up, and stops where it is full."""
    await fill(stores)
    await stores.add(unique_key="night-1")
    lists, offered = JobList(stores.jobs), {"acme": ["statistics"], "dock": ["listing"]}
    for job_filter, index in LISTS:
        plan = await plan_of(stores, lambda wanted=job_filter: lists.page(wanted, 50, operations_by_account=offered))  # type: ignore[misc]  # a default
        # PostgreSQL knows how many rows there are and may choose another; what is sorted in the end is a page or a few.
        assert index in plan or stores.database.dialect == "postgresql", (job_filter, plan)
        # SQLite says that it scans the partial index, which has the unhandled failures only.
        scans = [line for line in walks(plan) if "Sort" not in line and "USING INDEX jobs_unhandled" not in line]
        assert not scans, (job_filter, plan)


async def test_a_list_of_an_operation_is_made_of_its_accounts(stores: Stores) -> None:
    """Only below accounts that have the operation is it looked for, and one that nobody has is in no list at all."""
    await fill(stores)
    lists, job_filter = JobList(stores.jobs), JobFilter(operation="rare")
    for offered in ({}, {"acme": ["statistics"]}):
        with statements_run(reading_engine(stores.database)) as statements:
            assert await lists.page(job_filter, 50, operations_by_account=offered) == []
        assert not [statement for statement, _ in statements if "jobs.operation =" in statement]
    rare = [await stores.add(operation="rare") for _ in range(3)]
    found = await lists.page(job_filter, 2, operations_by_account={"acme": ["rare"], "dock": ["rare"]})
    assert [job.id for job in found] == [rare[2].id, rare[1].id]
    older = await lists.page(job_filter, 2, found[-1].id, operations_by_account={"acme": ["rare"], "dock": ["rare"]})
    assert [job.id for job in older] == [rare[0].id]


async def test_a_take_reads_one_job_of_a_lane(stores: Stores) -> None:
    """Which lanes share the limits is looked up: jobs that have ended cost nothing, and those that wait neither."""
    await fill(stores)
    await stores.lanes.ensure({"acme": 3})
    async with stores.database.writing() as connection:
        await connection.execute(text("UPDATE jobs SET state = 'succeeded', due_at = NULL WHERE id % 100 > 0"))
        await connection.execute(text("ANALYZE"))
    plan = await plan_of(stores, lambda: stores.lanes.take(OWNER, 1, 0.0, force=False, accounts=["acme"]))
    assert "jobs_due" in plan
    assert "jobs_state" in plan
    assert not walks(plan), plan
    assert "Hash" not in plan, plan


async def test_retention_and_listing_use_indexes(stores: Stores) -> None:
    """Deleting old jobs finds them by when they finished; a list of the newest ends where its page does."""
    await fill(stores)
    plan = await plan_of(stores, lambda: stores.jobs.delete_finished(NOW, 100))
    assert "jobs_finished" in plan
    assert not walks(plan), plan
    assert "jobs_pkey" in (plan := await plan_of(stores, lambda: stores.jobs.find(limit=50))) or "SCAN jobs" in plan


async def test_the_jobs_of_an_account_or_of_states_are_read_from_an_index(stores: Stores) -> None:
    """A page from each state; the table is not looked through, even for an account that has none."""
    await fill(stores)
    for work in (
        lambda: stores.jobs.find(account="acme"),
        lambda: stores.jobs.find(account="nobody", limit=1),
        lambda: stores.jobs.find(states=(State.FETCHING, State.QUEUED)),
    ):
        plan = await plan_of(stores, work)
        assert "jobs_listed" in plan or "jobs_state" in plan
        assert "Seq Scan" not in plan, plan
        assert "SCAN jobs" not in plan, plan
    plan = await plan_of(stores, lambda: stores.jobs.has_operation("nothing"))
    assert "COVERING INDEX jobs_listed" in plan or stores.database.dialect == "postgresql", plan
    assert (await stores.jobs.has_operation("statistics"), await stores.jobs.has_operation("nothing")) == (True, False)
    assert len(await stores.jobs.find(account="acme", states=(State.POLLING,), limit=3)) == 3
    assert await stores.jobs.find(account="acme", states=(State.FETCHING,)) == []


async def test_remote_jobs_have_an_index_of_their_own(stores: Stores) -> None:
    """The jobs of a lane that have ended, or have not been submitted, cost nothing."""
    await fill(stores)
    async with stores.database.writing() as connection:
        await connection.execute(text("UPDATE jobs SET state = 'succeeded' WHERE id % 1000 <> 0"))
        await connection.execute(text("ANALYZE"))
    plan = await plan_of(stores, lambda: stores.jobs.remote(stores.lane.id))
    assert "jobs_remote" in plan
    assert len(await stores.jobs.remote(stores.lane.id)) == WAITING // 1000


async def test_a_batch_of_others_is_looked_up(stores: Stores) -> None:
    """A limited caller adds a job to a batch of its own: the jobs that are there already cost nothing."""
    await fill(stores)
    async with stores.database.writing() as connection:
        await connection.execute(text("UPDATE jobs SET batch = 'march'"))
    batches = BatchStore(stores.database, Scope(frozenset({"acme"})))

    async def look() -> None:
        async with stores.database.reading() as connection:
            await connection.run_sync(batches.shared_with_others, ["march"])

    plan = await plan_of(stores, look)
    assert not walks(plan), plan
    assert "(batch=? AND account=?" in plan or "(account = lanes.account)" in plan, plan


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


async def test_notifications_are_looked_up(stores: Stores) -> None:
    """A receiver that is down for a day lets notifications pile up; what is due is still read off an index."""
    on_sqlite = stores.database.dialect == "sqlite"
    async with stores.database.writing() as connection:
        fill = FILL_NOTIFICATIONS_SQLITE if on_sqlite else FILL_NOTIFICATIONS_POSTGRESQL
        await connection.execute(text(fill), {"number": WAITING})
        await connection.execute(text(DELIVER_SOME))
        await connection.execute(text("SELECT 1" if on_sqlite else "ANALYZE"))
    deliveries, people = DeliveryStore(stores.database), NotificationStore(stores.database)
    for work, index in (
        (lambda: deliveries.next_due(["a", "b"]), "notifications_due"),
        (lambda: deliveries.claim({"a": 4}, 60.0), "notifications_due"),
        (lambda: people.find(status=DeliveryStatus.DEAD), "notifications_status"),
        (lambda: people.find(job_id=7), "notifications_job"),
        (lambda: people.of_batch("march", NOW), "notifications_job"),
        (lambda: deliveries.delete_ended(DeliveryStatus.DELIVERED, 0.0, 100), "notifications_ended"),
    ):
        plan = await plan_of(stores, work)
        assert index in plan, plan
        assert not any(sign in plan for sign in ("SCAN notifications", "Seq Scan on notifications")), plan


async def test_a_backlog_is_brought_forward_group_by_group(stores: Stores) -> None:
    """Each group is read off an index by its ids, so that a long backlog is not read for each."""
    now, on_sqlite = await stores.database.now(), stores.database.dialect == "sqlite"
    failed = f"UPDATE notifications SET attempts = 3, at = {now - 1000.0}, attempted_at = {now - 200.0}"  # noqa: S608  # a number
    async with stores.database.writing() as connection:
        fill = FILL_NOTIFICATIONS_SQLITE if on_sqlite else FILL_NOTIFICATIONS_POSTGRESQL
        await connection.execute(text(fill), {"number": WAITING})
        await connection.execute(text(f"{failed}, due_at = {now + 100.0}"))
        await connection.execute(text(DELIVER_SOME))
        await connection.execute(text("SELECT 1" if on_sqlite else "ANALYZE"))
    deliveries = DeliveryStore(stores.database)
    after = (await deliveries.bring_forward("a", 0.0, 100))[-1]
    plan = await plan_of(stores, lambda: deliveries.bring_forward("a", 0.0, 100, after))
    signs = ("SCAN notifications", "Seq Scan on notifications", "TEMP B-TREE", "notifications_due")
    assert not any(sign in plan for sign in signs), plan


async def test_a_backlog_is_retried_group_by_group(stores: Stores) -> None:
    """A person's retry of all that waits holds the write lock for a few thousand at a time, each of them once."""
    now, on_sqlite = await stores.database.now(), stores.database.dialect == "sqlite"
    fill = FILL_NOTIFICATIONS_SQLITE if on_sqlite else FILL_NOTIFICATIONS_POSTGRESQL
    async with stores.database.writing() as connection:
        await connection.execute(text(fill), {"number": 4500})
        await connection.execute(text(f"UPDATE notifications SET due_at = {now + 1000.0}, attempts = 3"))  # noqa: S608  # a number
        await connection.execute(text("UPDATE notifications SET status = 'dead', due_at = NULL WHERE job_id % 10 = 0"))
    people = NotificationStore(stores.database)
    with ExitStack() as watched:
        run = [watched.enter_context(statements_run(engine)) for engine in all_engines(stores.database)]
        assert await people.retry_all([DeliveryStatus.WAITING, DeliveryStatus.DEAD], "a") == 4500
        updates = [statement for statements in run for statement, _ in statements if "UPDATE" in statement]
    # The groups of those that are dead, and of those that wait, each with an empty one at the end.
    assert len(updates) == 2 + 4
    assert await people.retry_all([DeliveryStatus.WAITING, DeliveryStatus.DEAD]) == 0
    assert {one.attempts for one in await people.find(limit=5000)} == {0}


async def test_a_common_term_beside_a_rare_condition(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search for what all jobs have reads the few jobs in a state, not the jobs of the term; both find the same."""
    await fill(stores)
    (term,) = parameter_terms({"day": "x"}, {})
    async with stores.database.writing() as connection:
        await connection.execute(
            text("INSERT INTO job_terms (term, job_id) SELECT :term, id FROM jobs"), {"term": term}
        )
        await connection.execute(text("UPDATE jobs SET state = 'cancelled', operation = 'opens' WHERE id % 5000 = 1"))
    lists, known = JobList(stores.jobs), {"acme": ["statistics", "opens"]}
    for conditions in (
        JobFilter(search="day=x", states=[State.CANCELLED]),
        JobFilter(search="day=x", operation="opens"),
        JobFilter(search="day=x", account="acme", operation="opens"),
    ):
        few = await lists.page(conditions, 3, None, known)
        assert [job.id % 5000 for job in few] == [1, 1, 1]
        older = await lists.page(conditions, 3, few[-1].id, known)
        assert [job.id for job in older] == [1]
        plan = await plan_of(stores, lambda: lists.page(conditions, 3, None, known))  # noqa: B023  # awaited here
        assert "(term=?)" not in plan, plan
        with monkeypatch.context() as patch:
            patch.setattr(job_list, "_FEW", 0)
            assert await lists.page(conditions, 3, None, known) == few
    assert await lists.page(JobFilter(search="day=x", states=[State.PARKED]), 3, None, known) == []
    assert len(await lists.page(JobFilter(search="day=x", states=[State.POLLING]), 3, None, known)) == 3

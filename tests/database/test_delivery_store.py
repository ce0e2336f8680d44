"""Deliveries: only one daemon claims each, and their result is stored."""

import asyncio

import pytest
from sqlalchemy import text

from tests.support.stored_jobs import Stores
from tidewaiter.database.delivery_store import ClaimedNotification, DeliveryAttempt, DeliveryStore
from tidewaiter.database.engine import Database
from tidewaiter.database.notification_store import Notification, NotificationStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import TERMINAL
from tidewaiter.domain.notification import DeliveryStatus, Subscription

LEASE_S = 60.0


class Deliveries:
    """A database with notifications for two endpoints, and the stores to work with them."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.deliveries = DeliveryStore(stores.database)
        self.notifications = NotificationStore(stores.database)

    async def add_notifications(self, number: int) -> None:
        """So many jobs fail, of which both endpoints are told."""
        for _ in range(number):
            job = await self.stores.add()
            await self.stores.accepted(job, o.Refused(f"job {job.id} is refused"))

    async def later(self, seconds: float) -> None:
        """Let time pass, by the database's clock."""
        async with self.stores.database.writing() as connection:
            moved = "due_at = due_at - :by, ended_at = ended_at - :by"
            await connection.execute(text(f"UPDATE notifications SET {moved}"), {"by": seconds})  # noqa: S608  # ours

    async def claim(self, endpoint: str = "a", most: int = 10) -> list[ClaimedNotification]:
        return await self.deliveries.claim({endpoint: most}, LEASE_S)

    async def only(self, claimed: ClaimedNotification) -> Notification:
        """The notification as it stands."""
        return next(one for one in await self.notifications.find() if one.id == claimed.notification.id)


@pytest.fixture
async def deliveries(database: Database) -> Deliveries:
    """On either database."""
    return Deliveries(await Stores.set_up(database, [Subscription("a", TERMINAL), Subscription("b", TERMINAL)]))


async def test_a_claim_is_nobody_elses(deliveries: Deliveries) -> None:
    """What is claimed is not due for the lease, then again; the oldest goes first, and no other endpoint's with it."""
    await deliveries.add_notifications(3)
    assert set(await deliveries.deliveries.next_due(["a", "b", "nobody"])) == {"a", "b"}
    first = await deliveries.claim(most=2)
    assert [one.notification.job_id for one in first] == [1, 2]
    assert [one.notification.attempts for one in first] == [1, 1]
    assert [one.notification.job_id for one in await deliveries.claim()] == [3]
    assert await deliveries.claim() == []
    due = await deliveries.deliveries.next_due(["a", "b"])
    assert due["b"] <= 0 < due["a"] <= LEASE_S
    await deliveries.later(LEASE_S + 1)
    again = await deliveries.claim(most=2)
    assert [one.notification.attempts for one in again] == [2, 2]
    assert again[0].body == first[0].body
    assert again[0].notification.message_id == first[0].notification.message_id


async def test_two_daemons_claim_at_once(deliveries: Deliveries) -> None:
    """Claims at the same moment share what is due; nothing is claimed twice."""
    await deliveries.add_notifications(20)
    claims = await asyncio.gather(*(deliveries.claim(most=4) for _ in range(5)))
    numbers = [one.notification.id for claimed in claims for one in claimed]
    assert len(numbers) == len(set(numbers))
    rest = await deliveries.claim(most=100)
    assert sorted([*numbers, *(one.notification.id for one in rest)]) == sorted(
        one.id for one in await deliveries.notifications.find(endpoint="a")
    )


async def test_what_comes_of_deliveries(deliveries: Deliveries) -> None:
    """Delivered, to be tried again, and dead: each is kept with its reason and its time."""
    await deliveries.add_notifications(3)
    taken, again, dead = await deliveries.claim()
    noted = await deliveries.deliveries.settle(
        [
            DeliveryAttempt(taken, delivered=True),
            DeliveryAttempt(again, delivered=False, error="HTTP 500", again_in_s=300.0),
            DeliveryAttempt(dead, delivered=False, error="HTTP 410"),
        ]
    )
    assert noted == {one.notification.id for one in (taken, again, dead)}
    delivered, waiting, died = [await deliveries.only(one) for one in (taken, again, dead)]
    assert (delivered.status, delivered.due_at, delivered.last_error) == (DeliveryStatus.DELIVERED, None, None)
    assert delivered.ended_at is not None
    assert (waiting.status, waiting.last_error, waiting.ended_at) == (DeliveryStatus.WAITING, "HTTP 500", None)
    assert (died.status, died.due_at, died.last_error) == (DeliveryStatus.DEAD, None, "HTTP 410")
    assert 290 < (await deliveries.deliveries.next_due(["a"]))["a"] <= 300
    backlogs = await deliveries.notifications.backlogs()
    assert (backlogs["a"].waiting, backlogs["a"].dead) == (1, 1)
    assert backlogs["a"].due_at == waiting.due_at
    assert (backlogs["b"].waiting, backlogs["b"].dead) == (3, 0)


async def test_a_late_word_counts_only_if_it_is_good(deliveries: Deliveries) -> None:
    """Whose claim has run out may still tell of a delivery, but of no failure: another daemon is at it."""
    await deliveries.add_notifications(1)
    (late,) = await deliveries.claim()
    await deliveries.later(LEASE_S + 1)
    (now,) = await deliveries.claim()
    assert await deliveries.deliveries.settle([DeliveryAttempt(late, delivered=False, error="late")]) == set()
    assert (await deliveries.only(now)).status is DeliveryStatus.WAITING
    assert await deliveries.deliveries.settle([DeliveryAttempt(late, delivered=True)]) == {late.notification.id}
    assert await deliveries.deliveries.settle([DeliveryAttempt(now, delivered=False, error="HTTP 500")]) == set()
    assert (await deliveries.only(now)).status is DeliveryStatus.DELIVERED
    assert await deliveries.deliveries.settle([DeliveryAttempt(now, delivered=True)]) == set()


async def test_giving_back(deliveries: Deliveries) -> None:
    """What a daemon gives back when it ends is due at once; what was claimed by another since stays his."""
    await deliveries.add_notifications(2)
    mine, lost = await deliveries.claim()
    await deliveries.later(LEASE_S + 1)
    (_, theirs) = await deliveries.claim()
    await deliveries.deliveries.release([mine, lost])
    assert (await deliveries.deliveries.next_due(["a"]))["a"] > 0
    await deliveries.deliveries.release([theirs])
    assert [one.notification.id for one in await deliveries.claim()] == [theirs.notification.id]


async def test_burying_what_nobody_knows(deliveries: Deliveries) -> None:
    """Only what waits for an endpoint that is not configured dies, and only when no daemon has cared for a while."""
    await deliveries.add_notifications(2)
    assert await deliveries.deliveries.give_up(["a"], 3600.0, "gone", 10) == []
    await deliveries.later(3601)
    (buried,) = await deliveries.deliveries.give_up(["a"], 3600.0, "endpoint b is not configured", 1)
    assert (buried.endpoint, buried.status, buried.last_error) == (
        "b",
        DeliveryStatus.DEAD,
        "endpoint b is not configured",
    )
    assert len(await deliveries.deliveries.give_up(["a"], 3600.0, "gone", 10)) == 1
    assert await deliveries.deliveries.give_up(["a"], 3600.0, "gone", 10) == []
    assert len(await deliveries.deliveries.give_up([], 3600.0, "gone", 10)) == 2
    assert {one.status for one in await deliveries.notifications.find()} == {DeliveryStatus.DEAD}


async def test_a_person_has_it_tried_again(deliveries: Deliveries) -> None:
    """The dead by number or all of one endpoint, and a delivered one too: due at once, with all attempts before it."""
    await deliveries.add_notifications(3)
    claimed = await deliveries.claim()
    await deliveries.deliveries.settle([DeliveryAttempt(one, delivered=False, error="HTTP 410") for one in claimed[:2]])
    await deliveries.deliveries.settle([DeliveryAttempt(claimed[2], delivered=True)])
    first, second, third = (one.notification.id for one in claimed)
    assert await deliveries.notifications.retry([first, third, 4711]) == [first, third]
    assert [one.notification.attempts for one in await deliveries.claim()] == [1, 1]
    assert await deliveries.notifications.retry_all([DeliveryStatus.DEAD], "b") == 0
    assert await deliveries.notifications.retry_all([DeliveryStatus.DEAD]) == 1
    (again,) = await deliveries.claim()
    assert (again.notification.id, again.notification.ended_at) == (second, None)


async def test_what_waits_is_brought_forward(deliveries: Deliveries) -> None:
    """The oldest first, up to a number: not what is claimed, failed later, or what the receiver wants later."""
    await deliveries.add_notifications(5)
    claimed = await deliveries.claim(most=4)
    for number, again_in_s in enumerate((4000.0, 40.0, 300.0)):
        await deliveries.deliveries.settle(
            [DeliveryAttempt(claimed[number], delivered=False, error="HTTP 500", again_in_s=again_in_s)]
        )
    async with deliveries.stores.database.writing() as connection:
        await connection.execute(text("UPDATE notifications SET attempts = 3 WHERE attempts > 0"))
    bring = deliveries.deliveries.bring_forward
    assert await bring("a", 100.0, 10) == []
    assert await bring("b", 0.0, 10) == []
    assert len(await bring("a", 0.0, 10)) == 1
    assert [one.notification.job_id for one in await deliveries.claim()] == [3, 5]


async def test_what_waits_is_brought_forward_in_order(deliveries: Deliveries) -> None:
    """Whatever the delays of each were, the oldest is due first."""
    await deliveries.add_notifications(3)
    claimed = await deliveries.claim()
    for one, again_in_s in zip(claimed, (300.0, 200.0, 100.0), strict=True):
        await deliveries.deliveries.settle(
            [DeliveryAttempt(one, delivered=False, error="HTTP 500", again_in_s=again_in_s)]
        )
    async with deliveries.stores.database.writing() as connection:
        await connection.execute(text("UPDATE notifications SET attempts = 3 WHERE attempts > 0"))
    first, second, third = (one.notification.id for one in claimed)
    assert await deliveries.deliveries.bring_forward("a", 0.0, 2) == [first, second]
    assert await deliveries.deliveries.bring_forward("a", 0.0, 2, third) == []
    assert await deliveries.deliveries.bring_forward("a", 0.0, 2, second) == [third]
    assert [one.notification.job_id for one in await deliveries.claim(most=1)] == [1]
    assert [one.notification.job_id for one in await deliveries.claim()] == [2, 3]


async def test_a_person_has_what_waits_sent_now(deliveries: Deliveries) -> None:
    """What waits for longer than a minute is due at once with all attempts; what may be under way is left alone."""
    await deliveries.add_notifications(2)
    first, _ = await deliveries.claim()
    failed = DeliveryAttempt(first, delivered=False, error="HTTP 500", again_in_s=300.0)
    await deliveries.deliveries.settle([failed])
    assert await deliveries.notifications.retry_all([DeliveryStatus.DEAD], "a") == 0
    assert await deliveries.notifications.retry_all([DeliveryStatus.WAITING], "a") == 1
    (again,) = await deliveries.claim()
    assert (again.notification.id, again.notification.attempts) == (first.notification.id, 1)


async def test_finding(deliveries: Deliveries) -> None:
    """By status, endpoint and job, newest first, in pages."""
    await deliveries.add_notifications(3)
    (claimed,) = await deliveries.claim(most=1)
    await deliveries.deliveries.settle([DeliveryAttempt(claimed, delivered=True)])
    find = deliveries.notifications.find
    assert [one.job_id for one in await find(status=DeliveryStatus.DELIVERED)] == [1]
    assert [one.job_id for one in await find(status=DeliveryStatus.WAITING, endpoint="a")] == [3, 2]
    assert {one.endpoint for one in await find(job_id=2)} == {"a", "b"}
    page = await find(limit=4)
    assert [one.id for one in page] == [6, 5, 4, 3]
    assert [one.id for one in await find(before_id=page[-1].id)] == [2, 1]


async def test_what_has_ended_is_deleted_some_day(deliveries: Deliveries) -> None:
    """Delivered and dead ones have their own time; what waits is never deleted."""
    await deliveries.add_notifications(3)
    taken, dead, _ = await deliveries.claim()
    await deliveries.deliveries.settle(
        [DeliveryAttempt(taken, delivered=True), DeliveryAttempt(dead, delivered=False, error="x")]
    )
    await deliveries.later(100)
    delete = deliveries.deliveries.delete_ended
    assert await delete(DeliveryStatus.DELIVERED, 101.0, 10) == 0
    assert await delete(DeliveryStatus.DELIVERED, 99.0, 10) == 1
    assert await delete(DeliveryStatus.DEAD, 99.0, 10) == 1
    assert await delete(DeliveryStatus.WAITING, 0.0, 10) == 0
    assert len(await deliveries.notifications.find()) == 4


async def test_looking_for_old_ones_locks_nobody_out(deliveries: Deliveries, database: Database) -> None:
    """While somebody writes, the look for what has ended long ago does not wait for him; mostly it finds nothing."""
    await deliveries.add_notifications(1)
    async with database.writing() as connection, asyncio.timeout(5):
        await connection.execute(text("UPDATE notifications SET attempts = 3"))
        assert await deliveries.deliveries.delete_ended(DeliveryStatus.DELIVERED, 0.0, 10) == 0


async def test_an_empty_table(deliveries: Deliveries) -> None:
    """Nothing to tell is nothing to do."""
    assert await deliveries.notifications.backlogs() == {}
    assert await deliveries.deliveries.next_due([]) == {}
    assert await deliveries.deliveries.next_due(["a"]) == {}
    assert await deliveries.claim() == []
    assert await deliveries.deliveries.settle([]) == set()
    await deliveries.deliveries.release([])

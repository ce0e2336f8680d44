"""A notification and the change of state that causes it are committed together."""

import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from sqlalchemy import event, text

from tests.support.database_engines import group_engine, writing_engine
from tests.support.stored_jobs import NOW, OWNER, POLICY, Stores, artifact
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import FencedUpdate
from tidewaiter.database.notification_store import Notification, NotificationStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import TERMINAL, Job, State
from tidewaiter.domain.notification import MOST_LISTED, DeliveryStatus, Subscription, message_id
from tidewaiter.domain.state_machine import advance

EVERY_END = Subscription("ops", TERMINAL)
PARKED = Subscription("on-call", frozenset({State.PARKED, State.CANCELLED}))
OF_ANOTHER = Subscription("other", TERMINAL, frozenset({"another"}))


@pytest.fixture
async def stores(database: Database) -> Stores:
    """A lane that is held, in a database from which three endpoints want to hear."""
    return await Stores.set_up(database, [EVERY_END, PARKED, OF_ANOTHER])


async def _notifications(stores: Stores) -> list[Notification]:
    """What is to be told, oldest first."""
    return (await NotificationStore(stores.database).find())[::-1]


async def _bodies(stores: Stores) -> list[dict[str, Any]]:
    async with stores.database.reading() as connection:
        rows = (await connection.execute(text("SELECT body FROM notifications ORDER BY id"))).scalars()
        return [json.loads(body) for body in rows]


async def _parked(stores: Stores) -> Job:
    job = await stores.accepted(await stores.add(), o.Intended("i"))
    return await stores.accepted(await stores.accepted(job, o.Unknown("?")), o.Undecidable("nobody knows"))


async def test_an_end_is_notified_to_subscribers(stores: Stores) -> None:
    """One row for each endpoint that wants account and state, due at once; a job that goes on is told to nobody."""
    await stores.polling("goes on")
    failed = await stores.accepted(await stores.polling("fails"), o.Refused("no such period"))
    (notification,) = await _notifications(stores)
    assert (notification.endpoint, notification.job_id, notification.account, notification.state) == (
        "ops",
        failed.id,
        "acme",
        State.FAILED,
    )
    assert (notification.status, notification.attempts, notification.at) == (DeliveryStatus.WAITING, 0, NOW)
    assert notification.message_id == message_id(failed)
    assert notification.due_at is not None
    (body,) = await _bodies(stores)
    assert body["type"] == "job.failed"
    assert body["data"]["reason"] == "no such period"


async def test_the_notification_has_the_files(stores: Stores) -> None:
    """Files of the same step and of an earlier one, where the remote job was tidied up in between; twenty at most."""
    files = tuple(artifact(number) for number in range(MOST_LISTED + 5))
    at_once, later = await stores.polling("a"), await stores.polling("b")
    cleans = replace(POLICY, cleans=True)
    for job, policy in ((at_once, POLICY), (later, cleans)):
        ready = await stores.accepted(job, o.Ready())
        update = advance(ready, o.Stored(files[: 3 if job is at_once else None]), policy, NOW, Random(1))
        await stores.jobs.record([FencedUpdate(update, stores.lane.epoch)], OWNER)
    assert len(await _notifications(stores)) == 1
    await stores.accepted(await stores.stored(later), o.Cleaned())
    first, second = [body["data"] for body in await _bodies(stores)]
    assert [one["name"] for one in first["artifacts"]] == ["0.csv", "1.csv", "2.csv"]
    assert first["artifacts_total"] == 3
    assert [one["name"] for one in second["artifacts"]] == [f"{number}.csv" for number in range(MOST_LISTED)]
    assert second["artifacts_total"] == MOST_LISTED + 5
    assert second["state"] == "succeeded"


async def test_a_lost_lane_writes_no_notification(stores: Stores) -> None:
    """A fenced and a stale update write no notification, whatever is written beside them."""
    stale, fenced, fine = [await stores.polling(name) for name in ("a", "b", "c")]
    gone_on = stores.update(stale, o.Refused("too late"))
    await stores.accepted(stale, o.Pending("running"))
    other_epoch = FencedUpdate(stores.update(fenced, o.Refused("no")).update, stores.lane.epoch + 1)
    recorded = await stores.jobs.record([gone_on, other_epoch, stores.update(fine, o.Refused("no"))], OWNER)
    assert recorded.accepted == {fine.id}
    assert [one.job_id for one in await _notifications(stores)] == [fine.id]


async def test_a_conflict_in_the_group_notifies_once(stores: Stores) -> None:
    """A group that is halved because of one bad update tells of each of the others once."""
    held = await stores.polling("taken")
    queued = await stores.accepted(await stores.add(), o.Intended("i"))
    ends = [await stores.polling(f"h{number}") for number in range(4)]
    updates = [stores.update(job, o.Refused("no")) for job in ends]
    updates.insert(1, stores.update(queued, o.Accepted("taken")))
    recorded = await stores.jobs.record(updates, OWNER)
    assert [number for number, _ in recorded.conflicts] == [queued.id]
    assert held.id not in recorded.accepted
    assert sorted(one.job_id for one in await _notifications(stores)) == [job.id for job in ends]


async def test_a_repeated_commit_notifies_once(stores: Stores) -> None:
    """An update whose acknowledgement was lost is known again, and so is its notification."""
    update = stores.update(await stores.polling("h"), o.Refused("no"))
    for _ in range(2):
        assert (await stores.jobs.record([update], OWNER)).accepted == {update.update.job.id}
    assert len(await _notifications(stores)) == 1


async def test_no_notification_without_the_change(stores: Stores) -> None:
    """What breaks the notification breaks the whole commit: the job stays as it was, and no history tells otherwise."""
    job = await stores.polling("h")
    update = stores.update(job, o.Refused("no"))

    def break_off(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO notifications"):
            raise RuntimeError("the power goes")

    engine = writing_engine(stores.database)
    event.listen(engine, "before_cursor_execute", break_off)
    with pytest.raises(RuntimeError, match="the power goes"):
        await stores.jobs.record([update], OWNER)
    event.remove(engine, "before_cursor_execute", break_off)
    assert await stores.stored(job) == job
    assert await _notifications(stores) == []
    await stores.jobs.record([update], OWNER)
    assert len(await _notifications(stores)) == 1


@pytest.mark.slow
async def test_a_large_group_is_notified_in_pieces(stores: Stores) -> None:
    """No statement takes the bodies of more than 64 jobs, and each job is told once, in one order, with its files."""
    jobs = [await stores.accepted(await stores.polling(f"h{number}"), o.Ready()) for number in range(130)]
    said: list[str] = []
    engine = writing_engine(stores.database)

    def listen(_c: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    event.listen(engine, "before_cursor_execute", listen)
    await stores.jobs.record([stores.update(job, o.Stored((artifact(0),))) for job in jobs], OWNER)
    event.remove(engine, "before_cursor_execute", listen)
    assert len([one for one in said if one.startswith("INSERT INTO notifications")]) == 3
    data = [body["data"] for body in await _bodies(stores)]
    assert [one["id"] for one in data] == [job.id for job in jobs]
    assert [one["artifacts_total"] for one in data] == [1] * len(jobs)


async def test_parking_and_a_persons_decision(stores: Stores) -> None:
    """Both are told: that a person is wanted, and what the person decided. Going on is not told."""
    job = await _parked(stores)
    assert [(one.endpoint, one.state) for one in await _notifications(stores)] == [("on-call", State.PARKED)]
    assert (await _bodies(stores))[0]["data"]["reason"] == "nobody knows"

    again = advance(job, o.RetryDecided(), POLICY, NOW, Random(1))
    stale = advance(job, o.CancelAsked(), POLICY, NOW, Random(1))
    assert await stores.jobs.decide(again)
    assert not await stores.jobs.decide(stale)
    assert len(await _notifications(stores)) == 1

    job = await _parked(stores)
    assert await stores.jobs.decide(advance(job, o.CancelAsked(), POLICY, NOW, Random(1)))
    assert [(one.endpoint, one.state) for one in (await _notifications(stores))[2:]] == [
        ("ops", State.CANCELLED),
        ("on-call", State.CANCELLED),
    ]


async def test_polls_cost_nothing(stores: Stores) -> None:
    """A group of "not yet" and of moves that nobody asked for runs the very statements that it ran before."""
    jobs = [await stores.polling(f"h{number}") for number in range(3)]
    said: list[str] = []
    engine = group_engine(stores.database)

    def listen(_c: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    event.listen(engine, "before_cursor_execute", listen)
    await stores.jobs.record([stores.update(job, o.Pending("running")) for job in jobs[:2]], OWNER)
    polls, said = said, []
    event.remove(engine, "before_cursor_execute", listen)
    assert len([one for one in polls if not one.startswith("BEGIN")]) == 1
    assert not any("notifications" in one for one in polls)


async def test_it_outlives_its_job(stores: Stores) -> None:
    """The janitor takes the job; what was to be told of it is still all there."""
    job = await stores.accepted(await stores.polling("h"), o.Refused("no"))
    assert await stores.jobs.delete_finished(NOW + 1.0, 10) == 1
    assert await stores.jobs.get(job.id) is None
    assert [one.job_id for one in await _notifications(stores)] == [job.id]
    assert (await _bodies(stores))[0]["data"]["reason"] == "no"


async def test_texts_as_the_database_has_them(stores: Stores) -> None:
    """What a provider said with NUL and half a surrogate in it is told as it is stored: JSON that all can keep."""
    job = await stores.accepted(await stores.polling("h"), o.Refused("a\0b\ud800c"))
    (body,) = await _bodies(stores)
    assert body["data"]["reason"] == job.reason == "a\ufffdb\ufffdc"


async def test_subscriptions_that_change(stores: Stores) -> None:
    """From the next commit on others are told; what was written before stays with whom it was written for."""
    first, second = await stores.polling("a"), await stores.polling("b")
    await stores.accepted(first, o.Refused("no"))
    stores.jobs.reconfigure([Subscription("new", TERMINAL)])
    await stores.accepted(second, o.Refused("no"))
    assert [(one.endpoint, one.job_id) for one in await _notifications(stores)] == [
        ("ops", first.id),
        ("new", second.id),
    ]

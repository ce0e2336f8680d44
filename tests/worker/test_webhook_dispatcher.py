"""The webhook dispatcher with a real receiver, both kinds of database, and the loopback network."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.support.told_endpoints import NotificationSetup, endpoint, site_for
from tests.support.webhook_receiver import ReceivedMessage, Receiver, receiver, silence, status
from tidewaiter.database.delivery_store import DeliveryStore
from tidewaiter.database.notification_store import NotificationStore
from tidewaiter.domain.notification import DeliveryStatus
from tidewaiter.transport.wire import Timeouts

QUICK = Timeouts(connect_s=0.2, overall_s=0.4)


@pytest.fixture
async def hook() -> AsyncIterator[Receiver]:
    """A receiver."""
    async with receiver() as made:
        yield made


@pytest.fixture
async def setup(database_url: str, hook: Receiver) -> AsyncIterator[NotificationSetup]:
    """A database of either kind, and the receiver as its endpoint."""
    async with site_for(database_url, endpoint("ops", hook.url)) as made:
        yield made


async def test_it_is_delivered(setup: NotificationSetup, hook: Receiver) -> None:
    """What was committed before the daemon came up, and what is while it runs: signed, whole, once, and logged."""
    (before,) = await setup.ends()
    async with setup.notifier():
        await hook.until(1)
        (after,) = await setup.ends()
        await hook.until(2)
        deliveries = await setup.stands(DeliveryStatus.DELIVERED, DeliveryStatus.DELIVERED)
    assert [one.body["data"]["id"] for one in hook.received] == [before.id, after.id]
    first: ReceivedMessage = hook.received[0]
    assert (first.path, first.content_type) == ("/hook", "application/json")
    assert first.message_id == deliveries[0].message_id
    assert first.body["type"] == "job.failed"
    assert first.body["data"]["reason"] == "no such period"
    assert [one.attempts for one in deliveries] == [1, 1]
    (line, _) = setup.lines("notification.delivered")
    assert (line["endpoint"], line["job"], line["account"], line["state"]) == ("ops", before.id, "acme", "failed")


async def test_500_is_tried_again_under_the_same_id(setup: NotificationSetup, hook: Receiver) -> None:
    """It waits, with the reason, for about five seconds; then the same body goes out under the same id."""
    hook.answer = status(500)
    await setup.ends()
    async with setup.notifier():
        deliveries = await setup.tried(1)
        assert (deliveries.status, deliveries.last_error) == (DeliveryStatus.WAITING, "HTTP 500 Internal Server Error")
        (line,) = setup.lines("notification.troubled")
        assert 4.4 < float(str(line["due_in_s"])) < 5.6
        hook.answer = None
        await setup.make_due()
        (taken,) = await setup.stands(DeliveryStatus.DELIVERED)
    first, second = hook.received
    assert first.message_id == second.message_id
    assert first.body == second.body
    assert taken.attempts == 2


async def test_a_receiver_that_fails_is_one_warning_with_a_number(setup: NotificationSetup, hook: Receiver) -> None:
    """Its attempts are one line that is folded, after minutes there is a warning, and a line when it works again."""
    hook.answer = status(500)
    await setup.ends(3)
    async with setup.notifier():
        async with asyncio.timeout(20):
            while setup.events.count("notification.troubled") < 3:  # noqa: ASYNC110  # the log has no event to wait for
                await asyncio.sleep(0.02)
        assert len(setup.lines("notification.troubled")) == 1
        assert setup.lines("endpoint.failing") == []
        setup.clock.added_s = 130.0
        (line,) = await setup.logged("endpoint.failing")
        assert (line["level"], line["endpoint"], line["failures"]) == ("warning", "ops", 3)
        assert line["reason"] == "HTTP 500 Internal Server Error"
        assert float(str(line["for_s"])) >= 130.0
        hook.answer = None
        await setup.make_due()
        await setup.stands(*[DeliveryStatus.DELIVERED] * 3)
        (again,) = await setup.logged("endpoint.recovered")
        assert again["failures"] == 3
    assert [line.get("repeated") for line in setup.lines("notification.troubled")] == [None, 2]
    assert len(setup.lines("endpoint.failing")) == 1


async def test_what_waits_is_sent_when_the_receiver_works_again(setup: NotificationSetup, hook: Receiver) -> None:
    """After failures, one notification that is accepted brings those that wait, in their order and within seconds."""
    hook.answer = status(500)
    old = await setup.ends(6)
    async with setup.notifier():
        await setup.troubled(6)
        await setup.wait_long()
        hook.answer = None
        before = len(hook.received)
        (new,) = await setup.ends()
        await setup.stands(*[DeliveryStatus.DELIVERED] * 7)
    sent = [one.body["data"]["id"] for one in hook.received[before:]]
    assert sent[0] == new.id
    # Four are sent at a time, so only the groups are in order.
    assert sorted(sent[1:5]) == [one.id for one in old[:4]]
    assert sorted(sent[5:]) == [one.id for one in old[4:]]


async def test_a_receiver_that_asks_for_a_delay_gets_it(setup: NotificationSetup, hook: Receiver) -> None:
    """What waits because of Retry-After is not sent early, though another notification is accepted."""
    hook.answer = status(500)
    await setup.ends(3)
    async with setup.notifier():
        await setup.troubled(3)
        await setup.wait_long()
        hook.answer = status(503, **{"Retry-After": "600"})
        await setup.ends()
        await setup.troubled(4)
        hook.answer = None
        setup.clock.added_s = 599.0
        await setup.ends()
        await asyncio.sleep(0.3)
        await setup.stands(*[DeliveryStatus.WAITING] * 5)
        setup.clock.added_s = 601.0
        await setup.stands(*[DeliveryStatus.DELIVERED] * 3, DeliveryStatus.WAITING, DeliveryStatus.DELIVERED)


async def test_a_message_that_is_never_accepted_keeps_its_delays(setup: NotificationSetup, hook: Receiver) -> None:
    """It is tried early once when the receiver works again, however many others are accepted."""

    async def all_but_the_first(request: web.Request) -> web.StreamResponse:
        refused = (await request.json())["data"]["id"] == first.id
        return web.Response(status=400 if refused else 200)

    hook.answer = status(500)
    first, *_ = await setup.ends(2)
    async with setup.notifier():
        await setup.troubled(2)
        await setup.wait_long()
        hook.answer = all_but_the_first
        await setup.ends()
        await setup.troubled(3)
        for number in (2, 3, 4):
            await setup.stands(DeliveryStatus.WAITING, *[DeliveryStatus.DELIVERED] * number)
            await setup.ends()
        await setup.stands(DeliveryStatus.WAITING, *[DeliveryStatus.DELIVERED] * 5)
    assert sum(one.body["data"]["id"] == first.id for one in hook.received) == 2


async def test_messages_that_are_never_accepted_keep_their_delays(setup: NotificationSetup, hook: Receiver) -> None:
    """Two of them fail in a row as in an outage; each is tried early once all the same, however many others go out."""

    async def all_but_two(request: web.Request) -> web.StreamResponse:
        refused = (await request.json())["data"]["id"] in {one.id for one in bad}
        return web.Response(status=400 if refused else 200)

    hook.answer = status(500)
    bad = await setup.ends(2)
    async with setup.notifier():
        await setup.troubled(2)
        await setup.wait_long()
        hook.answer = all_but_two
        for number in range(1, 6):
            await setup.ends()
            await setup.stands(*[DeliveryStatus.WAITING] * 2, *[DeliveryStatus.DELIVERED] * number)
            await asyncio.sleep(0.3)
    for one in bad:
        assert sum(message.body["data"]["id"] == one.id for message in hook.received) == 2


async def test_410_is_the_end(setup: NotificationSetup, hook: Receiver) -> None:
    """A receiver that is gone for good is not asked again; a person is told, and may think otherwise."""
    hook.answer = status(410)
    await setup.ends()
    async with setup.notifier():
        (dead,) = await setup.stands(DeliveryStatus.DEAD)
        assert str(dead.last_error).startswith("HTTP 410 Gone: ")
        (line,) = await setup.logged("notification.died")
        assert line["level"] == "error"
        hook.answer = None
        await NotificationStore(setup.stores.database).retry([dead.id])
        await setup.stands(DeliveryStatus.DELIVERED)
    assert len({one.message_id for one in hook.received}) == 1


async def test_a_redirect_is_not_followed(setup: NotificationSetup, hook: Receiver) -> None:
    """Redirects are not followed: a signed body goes to the configured address and nowhere else."""
    hook.answer = status(307, Location="/elsewhere")
    await setup.ends()
    async with setup.notifier():
        deliveries = await setup.tried(1)
    assert [one.path for one in hook.received] == ["/hook"]
    assert "redirects are not followed" in str(deliveries.last_error)


async def test_an_endless_answer(setup: NotificationSetup, hook: Receiver) -> None:
    """A receiver that takes it and then sends a gigabyte is believed, and hung up on after a few kilobytes."""
    sent = 0

    async def pour(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 2**30:
            await response.write(b"x" * 65_536)
            sent += 65_536
        return response

    hook.answer = pour
    await setup.ends()
    async with setup.notifier():
        await setup.stands(DeliveryStatus.DELIVERED)
    assert sent < 2**26


@pytest.mark.slow
async def test_silence_has_an_end(setup: NotificationSetup, hook: Receiver) -> None:
    """No answer in the time allowed is a failure like any other."""
    hook.answer = silence
    await setup.ends()
    async with setup.notifier(QUICK):
        deliveries = await setup.tried(1)
    assert "did not reply within the time allowed" in str(deliveries.last_error)


async def test_nobody_listens(database_url: str, hook: Receiver) -> None:
    """A receiver that is down is tried again; its address is named as far as it can be no secret."""
    async with site_for(database_url, endpoint("down", "http://127.0.0.1:9/hook/canary")) as setup:
        await setup.ends()
        async with setup.notifier():
            deliveries = await setup.tried(1)
    assert str(deliveries.last_error).startswith("No connection to http://127.0.0.1:9: ")
    assert "canary" not in setup.output.getvalue()


async def test_a_private_address_wants_to_be_allowed(database_url: str, hook: Receiver) -> None:
    """The guard stands at the socket: nothing is sent, and the reason says what to do."""
    async with site_for(database_url, endpoint("inside", hook.url, private_ok=False)) as setup:
        await setup.ends()
        async with setup.notifier():
            deliveries = await setup.tried(1)
    assert str(deliveries.last_error).endswith("is a loopback address; allow_private = true permits it.")
    assert hook.received == []


async def test_a_silent_receiver_holds_up_nobody(database_url: str, hook: Receiver) -> None:
    """While one answers nothing at all, whatever piles up for it, another hears of every job at once."""
    async with receiver() as mute:
        mute.answer = silence
        async with site_for(database_url, endpoint("mute", mute.url), endpoint("ops", hook.url)) as setup:
            await setup.ends(12)
            async with setup.notifier():
                await hook.until(12)
                assert len(await mute.until(4)) == 4
            # The notifier has ended: what was under way is due again for the next, and not a minute later.
            due_in_s = await DeliveryStore(setup.stores.database).next_due(["mute"])
            assert due_in_s["mute"] <= 0
            mute.answer = None
            async with setup.notifier():
                received = await mute.until(4 + 12)
    assert len({one.message_id for one in received}) == 12


async def test_who_asks_for_rest_gets_it(database_url: str, hook: Receiver) -> None:
    """429 with Retry-After means the other notifications of that endpoint, too: they are not even tried."""
    async with receiver() as busy:
        busy.answer = status(429, **{"Retry-After": "600"})
        async with site_for(database_url, endpoint("busy", busy.url), endpoint("ops", hook.url)) as setup:
            await setup.ends()
            async with setup.notifier():
                await hook.until(1)
                (line,) = await setup.logged("notification.troubled")
                await setup.ends(3)
                await hook.until(4)
    assert len(busy.received) == 1
    assert (line["reason"], line["due_in_s"]) == ("HTTP 429 Too Many Requests", 600.0)


@pytest.mark.slow
async def test_two_daemons_share_the_work(postgres_url: str, hook: Receiver) -> None:
    """Two notifiers on one database deliver forty notifications, each of them once."""
    async with site_for(postgres_url, endpoint("ops", hook.url)) as setup:
        await setup.ends(20)
        async with setup.notifier(), setup.notifier():
            await setup.ends(20)
            await setup.stands(*[DeliveryStatus.DELIVERED] * 40)
    assert len(hook.received) == len({one.message_id for one in hook.received}) == 40


@pytest.mark.slow
async def test_two_receivers_get_one_event(database_url: str, hook: Receiver) -> None:
    """Each hears it under the same id, whatever the other does with it."""
    async with receiver() as other:
        other.answer = status(500)
        async with site_for(database_url, endpoint("a", hook.url), endpoint("b", other.url)) as setup:
            await setup.ends()
            async with setup.notifier():
                await setup.stands(DeliveryStatus.DELIVERED, DeliveryStatus.WAITING)
                await other.until(1)
    assert hook.received[0].message_id == other.received[0].message_id

"""The webhook dispatcher with a real receiver, both kinds of database, and the loopback network."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import pytest
from aiohttp import web
from sqlalchemy import text

from tests.support.stored_jobs import Stores
from tests.support.webhook_receiver import SECRET, ReceivedMessage, Receiver, receiver, silence, status
from tidewaiter.clock import SystemClock
from tidewaiter.database.delivery_store import DeliveryStore
from tidewaiter.database.engine import Database
from tidewaiter.database.notification_store import Notification, NotificationStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import TERMINAL, Job
from tidewaiter.domain.notification import DeliveryStatus, Subscription
from tidewaiter.domain.webhook_signature import keys_of
from tidewaiter.log import configure
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.webhook_sender import WebhookEndpoint, WebhookSender
from tidewaiter.transport.wire import Timeouts
from tidewaiter.worker.webhook_dispatcher import DispatcherSettings, WebhookDispatcher

QUICK = Timeouts(connect_s=0.2, overall_s=0.4)


class ForwardClock(SystemClock):
    """The system's clock, and what a test adds to it."""

    added_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.added_s


@dataclass(slots=True)
class NotificationSetup:
    """A database in which jobs end, and the endpoints that want to hear of it."""

    url: str
    stores: Stores
    endpoints: dict[str, WebhookEndpoint]
    output: io.StringIO = field(default_factory=io.StringIO)
    clock: ForwardClock = field(default_factory=ForwardClock)
    events: list[str] = field(default_factory=list)

    async def ends(self, number: int = 1) -> list[Job]:
        """So many jobs fail."""
        return [await self.stores.accepted(await self.stores.add(), o.Refused("no such period")) for _ in range(number)]

    @asynccontextmanager
    async def notifier(self, timeouts: Timeouts | None = None) -> AsyncIterator[None]:
        """A notifier on connections of its own, as in another daemon, until the block is left."""
        clock = self.clock
        log = configure("json", "info", [SECRET], clock=clock, stream=self.output, strict=True)
        log.observe(lambda name, _: self.events.append(name))
        database = Database.open(self.url, clock)
        async with AiohttpWire() as wire:
            running = asyncio.ensure_future(
                WebhookDispatcher(
                    DeliveryStore(database), WebhookSender(wire, clock, timeouts or Timeouts()),
                    DispatcherSettings(self.endpoints, 0.05), clock=clock, rand=Random(1), log=log,
                ).run()
            )  # fmt: skip
            try:
                yield
            finally:
                running.cancel()
                await asyncio.wait([running])
                await database.close()
                log.close()
        assert running.cancelled()

    async def stands(self, *statuses: DeliveryStatus) -> list[Notification]:
        """The notifications, oldest first, once they stand so: each in turn."""
        async with asyncio.timeout(20):
            while True:
                found = (await NotificationStore(self.stores.database).find(limit=1000))[::-1]
                if [one.status for one in found] == list(statuses):
                    return found
                await asyncio.sleep(0.02)

    async def tried(self, attempts: int) -> Notification:
        """The only notification, once so many attempts have failed and been noted."""
        async with asyncio.timeout(20):
            while self.events.count("notification.troubled") < attempts:  # noqa: ASYNC110  # the log has no event to wait for
                await asyncio.sleep(0.02)  # the line is written after the commit
        (deliveries,) = await NotificationStore(self.stores.database).find()
        assert deliveries.attempts == attempts
        return deliveries

    async def troubled(self, number: int) -> None:
        """Wait until so many attempts have failed and been noted."""
        async with asyncio.timeout(20):
            while self.events.count("notification.troubled") < number:  # noqa: ASYNC110  # the log has no event to wait for
                await asyncio.sleep(0.02)

    async def wait_long(self) -> None:
        """What waits has failed several times, and waits for minutes."""
        async with self.stores.database.writing() as connection:
            await connection.execute(
                text(
                    "UPDATE notifications SET attempts = 3, due_at = attempted_at + 300 - id,"
                    " attempted_at = attempted_at - 1, at = attempted_at - 70 WHERE due_at IS NOT NULL"
                )
            )

    async def make_due(self) -> None:
        """What waits is due now."""
        async with self.stores.database.writing() as connection:
            await connection.execute(text("UPDATE notifications SET due_at = 1 WHERE due_at IS NOT NULL"))

    async def logged(self, event: str) -> list[dict[str, object]]:
        """The log's lines of one event, once there are any."""
        async with asyncio.timeout(20):
            while True:
                if lines := self.lines(event):
                    return lines
                await asyncio.sleep(0.02)

    def lines(self, event: str) -> list[dict[str, object]]:
        """The log's lines of one event."""
        every = [json.loads(line) for line in self.output.getvalue().splitlines()]
        return [line for line in every if line["event"] == event]


def endpoint(name: str, url: str, *, private_ok: bool = True) -> WebhookEndpoint:
    """An endpoint with the tests' secret."""
    return WebhookEndpoint(name, url, keys_of(SECRET), private_ok)


@asynccontextmanager
async def site_for(url: str, *endpoints: WebhookEndpoint) -> AsyncIterator[NotificationSetup]:
    """A database whose jobs' ends all these endpoints want to hear of."""
    database = Database.open(url, SystemClock())
    stores = await Stores.set_up(database, [Subscription(one.name, TERMINAL) for one in endpoints])
    yield NotificationSetup(url, stores, {one.name: one for one in endpoints})
    await database.close()


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

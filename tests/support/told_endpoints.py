"""A database in which jobs end, and a dispatcher that tells endpoints of it."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

from sqlalchemy import text

from tests.support.log_lines import log_lines
from tests.support.stored_jobs import Stores
from tests.support.webhook_receiver import SECRET
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
        return log_lines(self.output, event)


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

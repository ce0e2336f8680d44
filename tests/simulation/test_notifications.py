"""Days of notifications in virtual time: attempts, and receivers and daemons that stop and restart."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from tests.support.inline_sqlite import InlineProcess
from tests.support.log_lines import log_lines
from tests.support.stored_jobs import Stores
from tests.support.virtual_time import VirtualClock, virtual_time
from tidewaiter.database.delivery_store import DeliveryStore
from tidewaiter.database.engine import Database
from tidewaiter.database.notification_store import Notification, NotificationStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.job import TERMINAL
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.domain.notification import RETRY_S, DeliveryStatus, Subscription
from tidewaiter.log import configure
from tidewaiter.transport.webhook_sender import WebhookEndpoint, WebhookSender
from tidewaiter.transport.wire import Timeouts
from tidewaiter.worker.webhook_dispatcher import OVERDUE_S, DispatcherSettings, WebhookDispatcher

DAY = 86_400.0
EVERY_S = 120.0
OPS = WebhookEndpoint("ops", "https://ops.example.com/hook", (bytes(32),))


@dataclass(slots=True)
class Reply:
    """What the receiver answers."""

    status: int
    headers: Mapping[str, str]
    phrase: str = ""
    url: str = OPS.url

    async def read(self, limit: int) -> tuple[bytes, bool]:
        return b"", False

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b""


@dataclass(slots=True)
class ScriptedWire:
    """A network with one receiver, which gives this answer; ``asked`` is when, and under which id."""

    clock: VirtualClock
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    takes_s: float = 0.0
    asked: list[tuple[float, str]] = field(default_factory=list)

    @asynccontextmanager
    async def open(
        self, request: WireRequest, *, private_ok: PermittedNetworks, timeouts: Timeouts, stream: bool
    ) -> AsyncIterator[Reply]:
        self.asked.append((self.clock.monotonic(), request.headers["webhook-id"]))
        await self.clock.sleep(self.takes_s)
        yield Reply(self.status, self.headers)


@dataclass(slots=True)
class World:
    """A database on the virtual clock, a network, and what the notifiers on both log."""

    clock: VirtualClock
    database: Database
    stores: Stores
    wire: ScriptedWire
    output: io.StringIO = field(default_factory=io.StringIO)

    @contextmanager
    def notifier(self, *endpoints: WebhookEndpoint) -> Iterator["asyncio.Future[None]"]:
        """A notifier that runs until it is cancelled."""
        log = configure("json", "info", [], clock=self.clock, stream=self.output, strict=True)
        running = asyncio.ensure_future(
            WebhookDispatcher(
                DeliveryStore(self.database), WebhookSender(self.wire, self.clock),
                DispatcherSettings({one.name: one for one in endpoints}, EVERY_S),
                clock=self.clock, rand=Random(1), log=log,
            ).run()
        )  # fmt: skip
        yield running
        running.cancel()

    async def fails(self) -> None:
        """A job fails."""
        job = await self.stores.add()
        update = self.stores.update(job, o.Refused("no"), self.clock.now())
        await self.stores.jobs.record([update], "owner-1")

    async def told(self) -> list[Notification]:
        """All notifications, oldest first."""
        return (await NotificationStore(self.database).find())[::-1]

    def lines(self, event: str) -> list[dict[str, object]]:
        """The log's lines of one event."""
        return log_lines(self.output, event)


def live(url: str, story: Callable[[World], Awaitable[None]]) -> None:
    """Live through a story in virtual time."""
    path = Path(url.removeprefix("sqlite:///"))
    with virtual_time() as (loop, clock):

        async def begin() -> None:
            database = InlineProcess(path).database(clock)
            stores = await Stores.set_up(database, [Subscription("ops", TERMINAL)])
            await story(World(clock, database, stores, ScriptedWire(clock)))
            await database.close()

        loop.run_until_complete(begin())


@pytest.mark.slow
def test_ten_attempts_then_dead(sqlite_url: str) -> None:
    """A receiver that is down: tried on the schedule, a tenth more or less; after three days a person is told."""

    async def story(world: World) -> None:
        await world.fails()
        with world.notifier(OPS):
            await world.clock.sleep(4 * DAY)
        moments = [moment for moment, _ in world.wire.asked]
        pauses = [after - before for before, after in pairwise(moments)]
        assert len(pauses) == len(RETRY_S)
        assert all(0.9 * meant <= pause <= 1.1 * meant + 1 for pause, meant in zip(pauses, RETRY_S, strict=True))
        assert len({name for _, name in world.wire.asked}) == 1
        (dead,) = await world.told()
        assert (dead.status, dead.attempts, dead.last_error) == (DeliveryStatus.DEAD, 10, "HTTP 500")
        assert len(world.lines("notification.troubled")) == 9
        assert [line["attempts"] for line in world.lines("notification.died")] == [10]

    live(sqlite_url, story)


@pytest.mark.slow
def test_a_receiver_comes_back(sqlite_url: str) -> None:
    """Down for ten hours: everything that happened meanwhile arrives after that, in whatever order, each once."""

    async def story(world: World) -> None:
        with world.notifier(OPS):
            for _ in range(20):
                await world.fails()
                await world.clock.sleep(1800)
            world.wire.status = 204
            already = len(world.wire.asked)
            await world.clock.sleep(DAY)
        assert {one.status for one in await world.told()} == {DeliveryStatus.DELIVERED}
        taken = [name for _, name in world.wire.asked[already:]]
        assert len(taken) == len(set(taken)) == 20

    live(sqlite_url, story)


def test_retry_after_rests_the_endpoint(sqlite_url: str) -> None:
    """503 with Retry-After: nothing at all is sent until then."""

    async def story(world: World) -> None:
        world.wire.status, world.wire.headers = 503, {"retry-after": "120"}
        await world.fails()
        with world.notifier(OPS):
            await world.clock.sleep(10)
            await world.fails()
            await world.clock.sleep(105)
            assert len(world.wire.asked) == 1
            world.wire.status = 200
            await world.clock.sleep(20)
        assert [one.status for one in await world.told()] == [DeliveryStatus.DELIVERED] * 2

    live(sqlite_url, story)


def test_an_endpoint_that_is_gone(sqlite_url: str) -> None:
    """What waits for an endpoint that was taken out of the configuration dies with the reason, an hour later."""

    async def story(world: World) -> None:
        await world.fails()
        with world.notifier():
            await world.clock.sleep(OVERDUE_S - 1)
            assert [one.status for one in await world.told()] == [DeliveryStatus.WAITING]
            await world.clock.sleep(120)
        (dead,) = await world.told()
        assert (dead.status, dead.last_error) == (
            DeliveryStatus.DEAD,
            "the configuration has no such endpoint (any more)",
        )
        assert [line["endpoint"] for line in world.lines("notification.died")] == ["ops"]
        assert world.wire.asked == []

    live(sqlite_url, story)


def test_a_death_over_a_delivery(sqlite_url: str) -> None:
    """A daemon that dies after sending and before its note: sent again when the claim has lapsed, under the same id."""

    async def story(world: World) -> None:
        world.wire.status, world.wire.takes_s = 200, 5.0
        await world.fails()
        claimed = await DeliveryStore(world.database).claim({"ops": 1}, 60.0)
        answer = await WebhookSender(world.wire, world.clock).send(
            OPS, claimed[0].notification.message_id, claimed[0].body
        )
        assert answer.accepted
        with world.notifier(OPS):
            await world.clock.sleep(50)
            assert len(world.wire.asked) == 1
            await world.clock.sleep(EVERY_S)
        assert [one.status for one in await world.told()] == [DeliveryStatus.DELIVERED]
        assert len({name for _, name in world.wire.asked}) == 1
        assert len(world.wire.asked) == 2

    live(sqlite_url, story)

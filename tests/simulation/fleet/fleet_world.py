"""What the daemons of a fleet share: a database, a storage, two providers, and a network; each takes its time."""

import asyncio
import io
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from sqlite3 import connect
from typing import TypeAlias

import aiosqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.simulation.cuts.export_provider import HOOK, TOKEN, ExportProvider, spec
from tests.simulation.stub_world import ORIGIN, ReplyData, Sent, StubReply
from tests.support.inline_sqlite import connect_inline
from tests.support.log_lines import log_lines
from tests.support.virtual_time import VirtualClock
from tidewaiter.clock import Clock
from tidewaiter.config import Config
from tidewaiter.database.engine import Database
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.log import EventLog, configure
from tidewaiter.transport.wire import LostReplyError, NotSentError, Timeouts

KINDS = ("adoptable", "repeatable", "blind")
_SECRET = "whsec_YSBrZXkgb2YgdGhpcnR5LXR3byBieXRlcywgbm90IG0="  # signs the notifications of the test


@dataclass(slots=True)
class Power:
    """What a process lives on. Without it nothing is read, written or sent any more."""

    on: bool = True

    def check(self) -> None:
        """Nothing is done by a process without power, nor comes back to it; its tasks end."""
        if not self.on:
            raise asyncio.CancelledError


@dataclass(frozen=True, slots=True)
class FleetLimits:
    """What the seed has chosen: small limits and intervals, and how long each effect takes at most."""

    requests: int
    period_s: float
    lease_s: float
    lookout_s: float
    polls: int
    downloads: int
    commit_s: float
    storage_s: float
    network_s: float


@dataclass(slots=True)
class Provider:
    """One account's provider: ``sent`` has each request's time of departure, and ``strays`` those of former owners."""

    kind: str
    origin: str
    exports: ExportProvider
    sent: list[float] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    lost: float = 0.0
    refuses: float = 0.0
    fails: float = 0.0


Tables: TypeAlias = Mapping[str, object]


@dataclass(slots=True)
class FleetWorld:
    """All that outlives a daemon."""

    seed: int
    root: Path
    clock: VirtualClock
    rand: Random
    limits: FleetLimits
    providers: dict[str, Provider]
    cron: str
    output: io.StringIO = field(default_factory=io.StringIO)
    asked_for: list[int] = field(default_factory=list)
    retried: dict[int, int] = field(default_factory=dict)
    interval_s: float = 5.0
    cuts: int = 0
    reloads: int = 0

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "tidewaiter.db"

    @property
    def exports(self) -> Path:
        """The storage's root."""
        return self.root / "exports"

    def prepare(self, template: Path) -> None:
        """Make the files that the first daemons find."""
        shutil.copyfile(template, self.database)
        (self.root / "specs").mkdir()
        self.exports.mkdir()
        for name, provider in self.providers.items():
            text = spec(provider.kind).replace('name = "demo"', f'name = "{name}"')
            (self.root / "specs" / f"{name}.toml").write_text(text)

    def config(self) -> Config:
        """The configuration of the daemons as it is now."""
        limits = self.limits
        accounts = {
            name: {
                "provider": name,
                "allow_private": True,
                "settings": {"server": provider.origin, "token": TOKEN},
                "limits": {"requests": limits.requests, "period_s": limits.period_s},
                "schedule": {"interval_s": self.interval_s, "cap_s": self.interval_s},
            }
            for name, provider in self.providers.items()
        }
        first = next(iter(self.providers))
        return Config.model_validate(
            {
                "database": {"url": f"sqlite:///{self.database}"},
                "storage": {"root": str(self.exports)},
                "worker": {
                    "lease_s": limits.lease_s,
                    "lookout_s": limits.lookout_s,
                    "drain_s": 5.0,
                    "polls": limits.polls,
                    "downloads": limits.downloads,
                },
                "accounts": accounts,
                "schedules": {"often": {"account": first, "operation": "export", "cron": self.cron}},
                "notifications": {"ops": {"url": HOOK, "secret": _SECRET, "allow_private": True}},
                "callbacks": {"listen": "127.0.0.1:8091", "public_url": "http://127.0.0.1:9"},
                "retention": {},
                "log": {},
                "providers": {"folders": [str(self.root / "specs")]},
            }
        )

    def log(self) -> EventLog:
        """A log that writes to the fleet's output."""
        return configure("json", "info", [TOKEN], clock=self.clock, stream=self.output, strict=True)

    def events(self, name: str) -> list[dict[str, object]]:
        """The log lines of one event."""
        return log_lines(self.output, name)


class SlowDatabase(Database):
    """A database behind a network: a transaction and its acknowledgement take time, and things happen in between."""

    rand: Random
    power: Power
    slow_s: float

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A read."""
        await self.clock.sleep(self.slow_s * self.rand.random() / 4)
        async with super().reading() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction; its acknowledgement comes later."""
        await self.clock.sleep(self.slow_s * self.rand.random())
        async with super().writing() as connection:
            yield connection
        await self.clock.sleep(self.slow_s * self.rand.random())
        self.power.check()


def open_database(world: FleetWorld, power: Power, rand: Random, slow_s: float, clock: Clock) -> SlowDatabase:
    """The shared database as a process with this clock reaches it; its own is the true one, as that of a server is."""

    async def connect() -> aiosqlite.Connection:
        connection = await connect_inline(world.database, alive=lambda: power.on)
        connection.isolation_level = None
        return connection

    database = SlowDatabase.open(f"sqlite:///{world.database}", world.clock, sqlite_connect=connect)
    assert isinstance(database, SlowDatabase)
    database.exclusive = False
    database.clock, database.rand, database.power, database.slow_s = clock, rand, power, slow_s
    return database


class FleetWire:
    """The network as one daemon reaches it; ``owns`` says whether an account's lane is still this daemon's."""

    def __init__(self, world: FleetWorld, power: Power, rand: Random) -> None:
        self._world, self._power, self._rand = world, power, rand
        self.owner = ""

    @asynccontextmanager
    async def open(
        self, request: WireRequest, *, private_ok: PermittedNetworks, timeouts: Timeouts, stream: bool
    ) -> AsyncIterator[StubReply]:
        """One request, one hop."""
        world, rand = self._world, self._rand
        self._power.check()
        provider = self._provider_of(request)
        chance = rand.random() if request.url != HOOK else 1.0
        if chance < provider.refuses:
            raise NotSentError("connection refused")
        if request.url != HOOK:
            self._departs(request, provider)
        await world.clock.sleep(world.limits.network_s * rand.random())
        self._power.check()
        if chance < provider.refuses + provider.lost / 2:
            await world.clock.sleep(timeouts.overall_s)
            raise LostReplyError("no reply in time")
        data = self._answer(request, provider, fails=chance > 1.0 - provider.fails and request.url != HOOK)
        await world.clock.sleep(world.limits.network_s * rand.random())
        self._power.check()
        if chance < provider.refuses + provider.lost:
            raise LostReplyError("the connection was reset before the reply")
        yield StubReply(data, request.url, world.clock.now())

    def _provider_of(self, request: WireRequest) -> Provider:
        for provider in self._world.providers.values():
            if request.url.startswith(f"{provider.origin}/"):
                return provider
        raise AssertionError(request.url)

    def _departs(self, request: WireRequest, provider: Provider) -> None:
        provider.sent.append(self._world.clock.now())
        owner = self._world_owner(provider)
        if owner != self.owner:
            provider.strays.append(f"{request.method} {request.url} left from {self.owner}, but {owner} has the lane")

    def _world_owner(self, provider: Provider) -> object:
        with closing(connect(self._world.database)) as database:
            account = next(name for name, one in self._world.providers.items() if one is provider)
            return database.execute("SELECT owner FROM lanes WHERE account = ?", (account,)).fetchone()[0]

    def _answer(self, request: WireRequest, provider: Provider, *, fails: bool) -> ReplyData:
        if fails:
            return ReplyData(503, b"busy")
        at = self._world.clock.now()
        if request.url == HOOK:
            return provider.exports(Sent(at, request))
        asked = replace(request, url=request.url.replace(provider.origin, ORIGIN, 1))
        reply = provider.exports(Sent(at, asked))
        if isinstance(reply.body, bytes):
            return reply
        return replace(reply, body=json.dumps(reply.body).replace(ORIGIN, provider.origin).encode())

"""A world whose daemon can be cut after any effect: what is left of it, and the next daemon's life."""

import asyncio
import base64
import io
import shutil
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import aiosqlite

from tests.model.protocol import Kind
from tests.simulation.cuts.disk import Disk
from tests.simulation.cuts.effects import Effects, opened
from tests.simulation.cuts.export_provider import ADOPT, HOOK, TOKEN, ExportProvider
from tests.simulation.cuts.observed_steps import ObservedSteps
from tests.simulation.stub_world import ACCOUNT, ORIGIN, Sent, StubReply
from tests.support.inline_sqlite import connect_inline
from tidewaiter import bootstrap
from tidewaiter.bootstrap.daemon_assembly import Assembled, assemble
from tidewaiter.bootstrap.live_config import BoundConfig
from tidewaiter.clock import Clock
from tidewaiter.config import Config
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.wake_up_store import WakeUpStore
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.job import TERMINAL, State
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.domain.url import callback_hash_of
from tidewaiter.log import configure
from tidewaiter.providers.bound_accounts import BoundAccounts
from tidewaiter.services import DAEMON, AccountService, JobService
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.transport.wire import Timeouts

REQUESTS, PERIOD_S = 6, 10.0
LIFE_S = 3600.0
SECRET = base64.b64encode(b"a key of thirty-two bytes, not m").decode()
ENDS = TERMINAL | {State.PARKED}


@dataclass(frozen=True, slots=True)
class People:
    """What people and other programs do, each with a connection of their own."""

    jobs: JobService
    accounts: AccountService
    wake_ups: WakeUpStore
    world: "CutWorld"

    async def submit(self, files: int = 1) -> None:
        """Ask for an export."""
        job, _ = await self.jobs.submit(ACCOUNT, "export", {"files": files}, actor=DAEMON)
        self.world.asked_for.append(job.id)

    async def call_back(self) -> None:
        """The provider calls the address of every export that it has."""
        for export in self.world.provider.exports.values():
            token = (export.call or "").rpartition("/")[2]
            if (hashed := callback_hash_of(token)) is not None:
                await self.wake_ups.wake_up(hashed, self.world.clock.now())

    async def reload(self) -> None:
        """Use the configuration as it is now, as SIGHUP does."""
        config = self.world.config()
        bound = BoundConfig(config, bootstrap.bind_accounts(config))
        assembled = self.world.assembled
        assert assembled is not None
        plan = await assembled.prepare(bound, [ACCOUNT])
        for one in assembled.reloadables:
            one.ready(bound)()
        await assembled.daemon.replace_lanes(plan, [ACCOUNT])


Act = Callable[[People], Awaitable[object]]


@dataclass(slots=True)
class CutWorld:
    """All that outlives a daemon. ``to_do`` are the acts of people that are still to come, by virtual seconds."""

    root: Path
    clock: Clock
    rand: Random
    spec: str
    provider: ExportProvider
    to_do: list[tuple[float, Act]]
    effects: Effects = field(default_factory=Effects)
    output: io.StringIO = field(default_factory=io.StringIO)
    tables: Mapping[str, object] = field(default_factory=dict)
    asked_for: list[int] = field(default_factory=list)
    cuts: int = 0
    back_again: set[str] = field(default_factory=set)
    lives: list[list[str]] = field(default_factory=list)
    decided: int = 0
    ticks: int = 0
    retried: Counter[int] = field(default_factory=Counter)
    may_fail: bool = False
    purges: bool = False
    cleans: bool = False
    poll_interval_s: float = 5.0
    assembled: Assembled | None = None
    disk: Disk | None = None
    observed: ObservedSteps = field(default_factory=ObservedSteps)

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "tidewaiter.db"

    @property
    def exports(self) -> Path:
        """The storage's root."""
        return self.root / "exports"

    @property
    def kind(self) -> Kind:
        """What may be done about a submit whose outcome is unknown."""
        if self.provider.repeatable:
            return Kind.REPEATABLE
        return Kind.ADOPTABLE if ADOPT in self.spec else Kind.BLIND

    def observe(self) -> None:
        """Note what has happened to the jobs since the last time."""
        self.observed.look(self.database, self.provider.posts)

    def prepare(self, template: Path) -> None:
        """Make the files that a first daemon finds."""
        shutil.copyfile(template, self.database)
        (self.root / "specs").mkdir()
        self.exports.mkdir()
        (self.root / "specs" / "demo.toml").write_text(self.spec)

    def config(self) -> Config:
        """The configuration of the daemons."""
        account = {
            "provider": "demo",
            "allow_private": True,
            "settings": {"server": ORIGIN, "token": TOKEN},
            "limits": {"requests": REQUESTS, "period_s": PERIOD_S},
            "schedule": {"interval_s": self.poll_interval_s},
            "clean": self.cleans,
        }
        return Config.model_validate(
            {
                "database": {"url": f"sqlite:///{self.database}"},
                "storage": {"root": str(self.exports)},
                "worker": {"lease_s": 20.0, "lookout_s": 5.0, "drain_s": 10.0},
                "accounts": {ACCOUNT: account},
                "notifications": {},
                "retention": {},
                "log": {},
                "providers": {"folders": [str(self.root / "specs")]},
                **self.tables,
            }
        )


HOOKS: Mapping[str, object] = {
    "notifications": {"ops": {"url": HOOK, "secret": f"whsec_{SECRET}", "allow_private": True}}
}


class CuttableWire:
    """Carries requests to the provider; that one has arrived is an effect."""

    def __init__(self, world: CutWorld) -> None:
        self._world = world

    def open(
        self, request: WireRequest, *, private_ok: PermittedNetworks, timeouts: Timeouts, stream: bool
    ) -> "CuttableExchange":
        """One request, one hop."""
        return CuttableExchange(self._world, request)


class CuttableExchange:
    """A request and its reply."""

    def __init__(self, world: CutWorld, request: WireRequest) -> None:
        self._world = world
        self._request = request

    async def __aenter__(self) -> StubReply:
        world, request = self._world, self._request
        world.effects.before()
        await world.clock.sleep(0.01)
        world.effects.before()
        data = world.provider(Sent(world.clock.now(), request))
        world.effects.happened(f"{request.method} {request.url.removeprefix(ORIGIN)}")
        world.effects.before()
        await world.clock.sleep(0.01)
        world.effects.before()
        return StubReply(data, request.url, world.clock.now())

    async def __aexit__(self, *_: object) -> None:
        """Nothing is left of it."""


async def live(world: CutWorld) -> None:
    """One life of a daemon: to the end of all jobs and acts, unless its power is cut before."""
    config = world.config()
    accounts = bootstrap.bind_accounts(config)
    database = Database.open(
        config.database.url, world.clock, sqlite_connect=lambda: opened(world.effects, world.database)
    )

    async def run(work: Callable[[], object]) -> object:
        world.effects.before()
        return work()

    storage = LocalStorage(world.exports, run)  # type: ignore[arg-type]  # a function of any type
    log = configure("json", "info", [TOKEN], clock=world.clock, stream=world.output, strict=True)
    seams = bootstrap.Seams(world.clock, world.rand, CuttableWire(world), database, storage)
    stop = asyncio.Event()
    world.disk = Disk(world.exports, world.effects)
    with world.disk.watched():
        world.assembled = await assemble(BoundConfig(config, accounts), seams, log)
        async with asyncio.TaskGroup() as group:
            life = group.create_task(world.assembled.daemon.run(stop))
            await _people(world, accounts, life)
            stop.set()
        await database.close()


async def _people(world: CutWorld, accounts: BoundAccounts, life: "asyncio.Task[bool]") -> None:
    """What people do, and then wait for, while a daemon lives."""
    own = Database.open(f"sqlite:///{world.database}", world.clock, sqlite_connect=lambda: _connect(world.database))
    store = JobStore(own)
    jobs = JobService(
        accounts, store,
        shards=dict.fromkeys(accounts, 1), clock=world.clock, rand=world.rand,
        log=configure("json", "info", [TOKEN], clock=world.clock, stream=world.output, strict=True),
    )  # fmt: skip
    people = People(jobs, AccountService(accounts, own, world.clock), WakeUpStore(own), world)
    until = world.clock.monotonic() + LIFE_S
    while not life.done() and world.clock.monotonic() < until:
        if world.to_do:
            at, act = world.to_do[0]
            await world.clock.sleep(at - world.clock.monotonic())
            await act(people)
            del world.to_do[0]
        elif not await _decided(people) and _at_rest(world):
            break
        else:
            await world.clock.sleep(2.0)
    await own.close()


async def _decided(people: People) -> bool:
    """Whether somebody has decided about a parked job: it gets the export that there is, else it is submitted again."""
    parked = await people.jobs.jobs.find(states=[State.PARKED], limit=100)
    for job in parked:
        made = [name for name, one in people.world.provider.exports.items() if one.job == job.id and not one.deleted]
        if made:
            await people.jobs.adopt(job.id, made[-1], actor=DAEMON)
        else:
            await people.jobs.retry(job.id, actor=DAEMON)
            people.world.retried[job.id] += 1
        people.world.decided += 1
    return bool(parked)


def _at_rest(world: CutWorld) -> bool:
    """Whether every job has been made and has ended, and everybody has been told."""
    with closing(sqlite3.connect(world.database)) as database:
        states = {State(row[0]) for row in database.execute("SELECT DISTINCT state FROM jobs")}
        made = database.execute("SELECT count(*) FROM jobs WHERE retry_of IS NULL").fetchone()[0]
        waiting = database.execute("SELECT count(*) FROM notifications WHERE status = 'waiting'").fetchone()[0]
    all_made = world.purges or made >= len(world.asked_for) + world.ticks
    return all_made and states <= ENDS and not waiting


async def _connect(path: Path) -> aiosqlite.Connection:
    connection = await connect_inline(path)
    connection.isolation_level = None
    return connection

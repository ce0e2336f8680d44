"""A small world for the daemon: an emulated provider, a bad network, power cuts, and a seed that decides everything."""

import asyncio
import io
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeVar

import aiosqlite

from app import bootstrap
from app.config import Config
from app.desk import Desk
from app.domain.job import TERMINAL, Job
from app.emulators.exports import EXPORT_TYPES, PERIODS, ExportForm
from app.emulators.faults import Fault, FaultKind, FaultRule, RetryAfter
from app.emulators.files import FileHost
from app.emulators.symplify import SymplifyEmulator
from app.log import EventLog, configure
from app.storage.local import LocalStorage
from app.store.engine import Database
from app.store.jobs import JobStore
from app.store.lanes import LaneStore
from tests.simulation.inline_sqlite import connect_inline
from tests.simulation.loop import VirtualClock, VirtualLoop, virtual_time
from tests.simulation.wire import SimulatedWire, Weather

T = TypeVar("T")

CANARY = "canary-token-5f1e"
ACCOUNTS = ("by-url", "by-redirect")
_FILES_PORT, _API_PORT = 2, 1


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a world lives and how bad it is. Times in virtual seconds."""

    jobs: int = 20
    hours: float = 1.0
    faults: bool = True
    power_cuts: int = 3
    drains: int = 1
    cancels: int = 1
    calm_after: float = 0.6


@dataclass(slots=True)
class World:
    """What a run leaves behind, for the invariants to look at."""

    seed: int
    plan: Plan
    root: Path
    clock: VirtualClock
    emulator: SymplifyEmulator
    files: FileHost
    wire: SimulatedWire
    rand: Random
    output: io.StringIO = field(default_factory=io.StringIO)
    cuts: int = 0
    asked_for: list[int] = field(default_factory=list)

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        return self.root / "tidewaiter.db"

    def lines(self) -> list[dict[str, object]]:
        """What the daemons have logged."""
        return [json.loads(line) for line in self.output.getvalue().splitlines()]


def run_world(seed: int, plan: Plan, template: Path, look: Callable[[World], Awaitable[T]]) -> T:
    """Live through one world and look at what is left of it.

    Args:
        seed: decides everything.
        plan: how long and how bad.
        template: a migrated, empty SQLite file.
        look: the examination, in virtual time, with no daemon running.
    """
    with virtual_time() as (loop, clock), tempfile.TemporaryDirectory(prefix="tidewaiter-sim-") as folder:
        shutil.copyfile(template, Path(folder) / "tidewaiter.db")
        world = _make(seed, plan, Path(folder), clock)
        return loop.run_until_complete(_live(loop, world, look))


def _make(seed: int, plan: Plan, root: Path, clock: VirtualClock) -> World:
    rand = Random(seed)
    forms = dict(zip(sorted(EXPORT_TYPES), (ExportForm.ARRAY, ExportForm.NDJSON, ExportForm.EMPTY) * 4, strict=False))
    files = FileHost(clock=clock, port=_FILES_PORT, secrets=[CANARY])
    emulator = SymplifyEmulator(
        clock=clock, files=files, token=CANARY, port=_API_PORT, build_s=rand.uniform(20, 300), link_ttl_s=30,
        rows=rand.choice((3, 50, 2000)), content=forms,
    )  # fmt: skip
    return World(seed, plan, root, clock, emulator, files, SimulatedWire([emulator, files], clock, rand), rand)


def _config(world: World) -> Config:
    settings = {"server": world.emulator.origin, "customer_id": "5004", "token": CANARY}
    accounts = {
        name: {
            "provider": "symplify",
            "allow_private": True,
            "settings": {**settings, "result": name.removeprefix("by-")},
            "limits": {"requests": 60, "period_s": 60.0},
            "schedule": {"deadline_s": 6 * 3600.0},
        }
        for name in ACCOUNTS
    }
    return Config.model_validate(
        {
            "database": {"url": f"sqlite:///{world.database_path}"},
            "storage": {"root": str(world.root / "exports")},
            "worker": {"lookout_s": 20.0, "drain_s": 10.0},
            "accounts": accounts,
            "retention": {},
            "log": {},
            "providers": {},
        }
    )


async def _live(loop: VirtualLoop, world: World, look: Callable[[World], Awaitable[T]]) -> T:
    """Daemon after daemon, cut off or drained at moments that the seed chooses, until every job has ended."""
    plan, rand = world.plan, world.rand
    length_s = plan.hours * 3600.0
    endings = sorted(
        [(rand.uniform(1, length_s), True) for _ in range(plan.power_cuts)]
        + [(rand.uniform(1, length_s), False) for _ in range(plan.drains)]
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(_trouble(world, length_s * plan.calm_after))
        for at, is_cut in endings:
            await _one_daemon(world, max(0.0, at - loop.time()), is_cut=is_cut)
        await _one_daemon(world, max(600.0, length_s - loop.time()), is_cut=False, until_done=True)
    return await look(world)


async def _trouble(world: World, until_s: float) -> None:
    """Submit jobs over the first part of the run, cancel some, and make the weather; then calm."""
    plan, rand, clock = world.plan, world.rand, world.clock
    if plan.faults:
        world.wire.weather = Weather(
            refused=rand.choice((0.0, 0.02)), lost_request=rand.choice((0.0, 0.02)),
            lost_reply=rand.choice((0.0, 0.03)), broken_body=rand.choice((0.0, 0.05)), slow=0.02,
        )  # fmt: skip
        world.emulator.faults.extend(_random_faults(rand, 12))
        world.files.faults.extend(
            FaultRule("file", 1, Fault(kind))
            for kind in rand.sample((FaultKind.UNAVAILABLE, FaultKind.TRUNCATE, FaultKind.LINK_EXPIRED), 2)
        )
    moments = sorted(rand.uniform(0, until_s) for _ in range(plan.jobs))
    for at in moments:
        await clock.sleep(max(0.0, at - clock.monotonic()))
        await _at_desk(world, _submit)
        if len(world.asked_for) in range(3, 3 + plan.cancels):
            await _at_desk(world, _cancel_one)
    await clock.sleep(max(0.0, until_s - clock.monotonic()))
    world.wire.weather = Weather()
    world.emulator.faults.clear()
    world.files.faults.clear()


def _random_faults(rand: Random, number: int) -> Iterator[FaultRule]:
    kinds = (
        FaultKind.THROTTLE, FaultKind.UNAVAILABLE, FaultKind.HTML, FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER,
        FaultKind.MALFORMED, FaultKind.UNKNOWN_WORD, FaultKind.LATENCY, FaultKind.FLAPPING, FaultKind.MISSING,
        FaultKind.LINK_EXPIRED, FaultKind.ERROR_STATUS,
    )  # fmt: skip
    for _ in range(number):
        route = rand.choice(("create", "status", "status", "url", "result"))
        fault = Fault(rand.choice(kinds), seconds=rand.uniform(1, 40), retry_after=rand.choice(tuple(RetryAfter)))
        yield FaultRule(route, rand.randint(1, 4), fault)


# --- people -----------------------------------------------------------------------------------------------------------


async def _at_desk(world: World, wish: Callable[[World, Desk], Awaitable[None]]) -> None:
    """Somebody uses the command line: another process, with a connection of its own."""
    with _power() as power:
        database, desk = _open(world, power)
        await wish(world, desk)
        await database.close()


async def _submit(world: World, desk: Desk) -> None:
    rand = world.rand
    params = {"export_type": rand.choice(sorted(EXPORT_TYPES)), "period": rand.choice(sorted(PERIODS))}
    job, _ = await desk.submit(rand.choice(ACCOUNTS), "statistics", params)
    world.asked_for.append(job.id)


async def _cancel_one(world: World, desk: Desk) -> None:
    job = await desk.jobs.get(world.rand.choice(world.asked_for))
    if job is not None and job.state not in TERMINAL:
        await desk.cancel(job.id)


# --- daemons ----------------------------------------------------------------------------------------------------------


class _Power:
    """What a process lives on; when it is cut, its database connections die with it."""

    def __init__(self) -> None:
        self.connections: list[sqlite3.Connection] = []
        self.on = True

    async def connect(self, path: Path) -> aiosqlite.Connection:
        """A connection that works only while the power is on."""
        connection = await connect_inline(path, alive=lambda: self.on)
        connection.isolation_level = None
        self.connections.append(connection._conn)
        return connection


@contextmanager
def _power() -> Iterator[_Power]:
    power = _Power()
    try:
        yield power
    finally:
        power.on = False
        for connection in power.connections:
            connection.close()


def _log(world: World) -> EventLog:
    return configure("json", "info", [CANARY], clock=world.clock, stream=world.output, strict=True)


def _open(world: World, power: _Power) -> tuple[Database, Desk]:
    config = _config(world)
    accounts = bootstrap.bind_accounts(config)
    database = Database.open(
        config.database.url, world.clock, sqlite_connect=lambda: power.connect(world.database_path)
    )
    desk = Desk(
        accounts, JobStore(database), LaneStore(database),
        shards=dict.fromkeys(accounts, 1), clock=world.clock, rand=world.rand, log=_log(world),
    )  # fmt: skip
    return database, desk


async def _one_daemon(world: World, lasts_s: float, *, is_cut: bool, until_done: bool = False) -> None:
    """One life of the daemon: it is cut off or drained after ``lasts_s``."""
    config = _config(world)
    accounts = bootstrap.bind_accounts(config)
    with _power() as power:
        database = Database.open(
            config.database.url, world.clock, sqlite_connect=lambda: power.connect(world.database_path)
        )
        storage = LocalStorage(config.storage.root, _inline)
        seams = bootstrap.Seams(world.clock, world.rand, world.wire, database, storage)
        log = _log(world)
        daemon = await bootstrap.build_daemon(config, accounts, seams, log)
        stop = asyncio.Event()
        life = asyncio.ensure_future(daemon.run(stop))
        await asyncio.wait([life], timeout=lasts_s)
        if until_done:
            await _until_done(world, JobStore(database), life)
        if is_cut:
            world.cuts += 1
            power.on = False
            life.cancel()
            await asyncio.wait([life])
            if not life.cancelled():
                life.exception()  # what a process says while its power goes is heard by nobody
            return
        stop.set()
        await life
        await database.close()


async def _until_done(world: World, jobs: JobStore, life: "asyncio.Future[bool]") -> None:
    """Once the faults have stopped, every job ends within a bound (invariant 7)."""
    for _ in range(480):
        counts = await jobs.counts()
        if life.done() or not any(count for state, count in counts.items() if state not in TERMINAL):
            return
        await world.clock.sleep(60.0)


async def _inline(work: Callable[[], T]) -> T:
    """The executor of the simulation: no thread, a fixed order."""
    return work()


async def all_jobs(world: World) -> list[Job]:
    """Every job in the database."""
    with _power() as power:
        database, desk = _open(world, power)
        jobs = await desk.jobs.find(limit=100_000)
        await database.close()
        return jobs

"""A small world for the daemon: an emulated provider, a network, processes with power, and a seed that decides all."""

import asyncio
import io
import json
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeVar

from tests.simulation.simulated_wire import SimulatedWire
from tests.support.inline_sqlite import InlineProcess
from tests.support.log_lines import log_lines
from tests.support.scratch import scratch
from tests.support.virtual_time import VirtualClock, virtual_time
from tidewaiter import bootstrap
from tidewaiter.config import Config
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain.job import TERMINAL, State
from tidewaiter.emulators.file_host import FileHost
from tidewaiter.emulators.symplify import EXPORT_TYPES, ExportForm, SymplifyCustomer, SymplifyEmulator, SymplifyVariants
from tidewaiter.log import EventLog, configure
from tidewaiter.providers.provider_registry import Registry
from tidewaiter.services import AccountService, JobService
from tidewaiter.storage.folder import LocalStorage

T = TypeVar("T")

CANARY = "canary-token-5f1e"
ACCOUNTS = ("by-url", "by-redirect")
_FILES_PORT, _API_PORT = 2, 1


@dataclass(slots=True)
class World:
    """What a run leaves behind, for the invariants to look at."""

    seed: int
    root: Path
    clock: VirtualClock
    emulator: SymplifyEmulator
    files: FileHost
    wire: SimulatedWire
    rand: Random
    output: io.StringIO = field(default_factory=io.StringIO)
    cuts: int = 0
    schedule: dict[str, float] = field(default_factory=lambda: {"deadline_s": 6 * 3600.0})
    limits: dict[str, float] = field(default_factory=lambda: {"requests": 60, "period_s": 60.0})
    asked_for: list[int] = field(default_factory=list)
    notifications: dict[str, dict[str, object]] = field(default_factory=dict)
    provider: str = "symplify"
    lease_s: float = 60.0
    lookout_s: float = 20.0
    terminal: "Terminal | None" = None

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        return self.root / "tidewaiter.db"

    @property
    def specs(self) -> Path:
        """The folder of the operator's own specs; there is none unless a test makes it."""
        return self.root / "specs"

    def use_spec(self, change: Callable[[str], str]) -> None:
        """Let the accounts use a changed copy of the provider's spec."""
        self.specs.mkdir(exist_ok=True)
        text = Registry.load().get(self.provider).source
        self.provider = "changed"
        (self.specs / "changed.toml").write_text(change(text.replace('name = "symplify"', 'name = "changed"', 1)))

    def leave_terminal(self) -> None:
        """Close what the command line has open."""
        if self.terminal is not None:
            self.terminal.process.cut()
            self.terminal = None

    def lines(self) -> list[dict[str, object]]:
        """What the daemons have logged."""
        return log_lines(self.output)


def in_world(seed: int, template: Path, live: Callable[[World], Awaitable[T]], *, lag: bool = False) -> T:
    """Make a world, live in it, and give what came of that.

    Args:
        seed: decides everything.
        template: a migrated, empty SQLite file.
        live: what happens, in virtual time.
        lag: whether the lag of the loop is measured.
    """
    with virtual_time(lag=lag) as (loop, clock), scratch("sim") as folder:
        shutil.copyfile(template, folder / "tidewaiter.db")
        world = make_world(seed, folder, clock)
        try:
            return loop.run_until_complete(live(world))
        finally:
            world.leave_terminal()


def make_world(seed: int, root: Path, clock: VirtualClock) -> World:
    """A world before anything has happened in it."""
    rand = Random(seed)
    forms = dict(zip(sorted(EXPORT_TYPES), (ExportForm.ARRAY, ExportForm.NDJSON, ExportForm.EMPTY) * 4, strict=False))
    files = FileHost(clock=clock, port=_FILES_PORT, secrets=[CANARY])
    variants = SymplifyVariants(build_s=rand.uniform(20, 300), rows=rand.choice((3, 50, 2000)), link_ttl_s=30)
    emulator = SymplifyEmulator(
        clock=clock, files=files, customer=SymplifyCustomer(CANARY), content=forms, variants=variants, port=_API_PORT
    )
    return World(seed, root, clock, emulator, files, SimulatedWire([emulator, files], clock, rand), rand)


def config_of(world: World) -> Config:
    """The configuration of the daemons and of the command line."""
    return Config.model_validate(_tables_of(world))


def _tables_of(world: World) -> dict[str, object]:
    settings = {"server": world.emulator.origin, "customer_id": "5004", "token": CANARY}
    accounts = {
        name: {
            "provider": world.provider,
            "allow_private": True,
            "settings": {**settings, "result": name.removeprefix("by-")},
            "limits": world.limits,
            "schedule": world.schedule,
        }
        for name in ACCOUNTS
    }
    return {
        "database": {"url": f"sqlite:///{world.database_path}"},
        "storage": {"root": str(world.root / "exports")},
        "worker": {"lease_s": world.lease_s, "lookout_s": world.lookout_s, "drain_s": 10.0},
        "accounts": accounts,
        "notifications": world.notifications,
        "retention": {},
        "log": {},
        "providers": {"folders": [str(world.specs)]} if world.specs.exists() else {},
    }


# --- people -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Services:
    """What a command of the command line works with."""

    jobs: JobService
    accounts: AccountService


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where people run one command after the other, with the configuration that was read at the first."""

    tables: str
    process: InlineProcess
    services: Services


async def from_command_line(world: World, request: Callable[[Services], Awaitable[T]]) -> T:
    """Somebody uses the command line: another process, with connections of its own."""
    tables = json.dumps(_tables_of(world))
    if world.terminal is None or world.terminal.tables != tables:
        world.leave_terminal()
        process = InlineProcess(world.database_path)
        world.terminal = Terminal(tables, process, _services(world, process))
    return await request(world.terminal.services)


def _services(world: World, process: InlineProcess) -> Services:
    accounts = bootstrap.bind_accounts(config_of(world))
    database = process.database(world.clock)
    service = JobService(
        accounts, JobStore(database),
        shards=dict.fromkeys(accounts, 1), clock=world.clock, rand=world.rand, log=log_of(world),
    )  # fmt: skip
    return Services(service, AccountService(accounts, database, world.clock))


# --- daemons ----------------------------------------------------------------------------------------------------------


def log_of(world: World) -> EventLog:
    """A log that writes to the world's output."""
    return configure("json", "info", [CANARY], clock=world.clock, stream=world.output, strict=True)


async def one_daemon(world: World, lasts_s: float, *, is_cut: bool, until_done: bool = False) -> None:
    """One life of the daemon: it is cut off or drained after ``lasts_s``."""
    config = config_of(world)
    accounts = bootstrap.bind_accounts(config)
    process = InlineProcess(world.database_path)
    database = process.database(world.clock)
    storage = LocalStorage(world.root / "exports", inline)
    seams = bootstrap.Seams(world.clock, world.rand, world.wire, database, storage)
    log = log_of(world)
    daemon = await bootstrap.build_daemon(config, accounts, seams, log)
    stop = asyncio.Event()
    life = asyncio.ensure_future(daemon.run(stop))
    await asyncio.wait([life], timeout=lasts_s)
    if until_done:
        await until_done_within(world, JobStore(database), life)
    if is_cut:
        world.cuts += 1
        process.on = False
        life.cancel()
        await asyncio.wait([life])
        process.cut()
        if not life.cancelled():
            life.exception()  # what a process says while its power goes is heard by nobody
        return
    stop.set()
    await life
    await database.close()


async def until_done_within(world: World, jobs: JobStore, life: "asyncio.Future[bool]") -> None:
    """Once the faults have stopped, every job ends within a bound (invariant 7), or waits for a person's decision."""
    for _ in range(480):
        counts = await jobs.counts()
        if life.done() or not any(count for state, count in counts.items() if state not in (*TERMINAL, State.PARKED)):
            return
        await world.clock.sleep(60.0)


async def inline(work: Callable[[], T]) -> T:
    """The executor of the simulation: no thread, a fixed order."""
    return work()

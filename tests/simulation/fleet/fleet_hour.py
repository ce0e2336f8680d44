"""An hour of a fleet: daemons that are cut, drained and reloaded, and people and providers who do what they do."""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from sqlite3 import connect

from tests.simulation.cuts.export_provider import ExportProvider
from tests.simulation.fleet.fleet_world import (
    KINDS,
    FleetLimits,
    FleetWire,
    FleetWorld,
    Power,
    Provider,
    open_database,
)
from tests.support.scratch import scratch
from tests.support.virtual_time import SkewedClock, VirtualClock, virtual_time
from tidewaiter import bootstrap
from tidewaiter.bootstrap.daemon_assembly import Assembled, assemble
from tidewaiter.bootstrap.live_config import BoundConfig
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.wake_up_store import WakeUpStore
from tidewaiter.domain.job import TERMINAL, State
from tidewaiter.domain.url import callback_hash_of
from tidewaiter.services import DAEMON, AccountService, JobService, RequestError
from tidewaiter.storage.folder import LocalStorage

ACCOUNTS = ("north", "south")
TROUBLE_S = 1500.0
"""So long daemons die, the network fails, and people do things; then it is calm until all jobs have ended."""
LONGEST_S = 4 * 3600.0
_ENDS = TERMINAL | {State.PARKED}


def fleet_hour(
    seed: int, template: Path, check: Callable[[FleetWorld], list[str]], trouble_s: float = TROUBLE_S
) -> tuple[list[str], str]:
    """Live through an hour; what ``check`` finds in the end, and the hash of all that happened.

    Args:
        seed: decides everything.
        template: a migrated, empty SQLite file.
        check: looks at the world when no daemon runs any more.
        trouble_s: after so many seconds it is calm.
    """
    with virtual_time() as (loop, clock), scratch("fleet") as root:
        world = _drawn(seed, root, clock)
        world.prepare(template)
        loop.run_until_complete(_Fleet(world, trouble_s).live())
        return check(world), trace_of(world)


def trace_of(world: FleetWorld) -> str:
    """A hash of every log line and request; process numbers and the place of the files are left out."""
    text = re.sub(r'"pid": ?\d+', "", world.output.getvalue().replace(str(world.root), "ROOT"))
    sent = [f"{name} {provider.sent}" for name, provider in world.providers.items()]
    return hashlib.sha256("\n".join([text, *sent]).encode()).hexdigest()


def _drawn(seed: int, root: Path, clock: VirtualClock) -> FleetWorld:
    rand = Random(f"fleet {seed}")
    # A window that is longer than a take-over, and more work than it permits: what an owner forgets is seen.
    limits = FleetLimits(
        requests=rand.choice((3, 6, 9)),
        period_s=rand.choice((60.0, 120.0)),
        lease_s=rand.choice((10.0, 20.0, 45.0)),
        lookout_s=rand.choice((5.0, 15.0)),
        polls=rand.choice((1, 3, 8)),
        downloads=rand.choice((1, 4)),
        commit_s=rand.choice((0.01, 0.2, 2.0)),
        storage_s=rand.choice((0.001, 0.05)),
        network_s=rand.choice((0.02, 0.5)),
    )
    providers = {}
    for place, name in enumerate(ACCOUNTS):
        kind = rand.choice(KINDS)
        providers[name] = Provider(
            kind,
            f"http://127.0.0.1:{9 + place}",
            ExportProvider(repeatable=kind == "repeatable"),
            lost=rand.choice((0.0, 0.05)),
            refuses=rand.choice((0.0, 0.05)),
            fails=rand.choice((0.0, 0.05)),
        )
    minutes = "*/7 * * * *" if rand.random() < 0.5 else "*/11 * * * *"
    return FleetWorld(seed, root, clock, rand, limits, providers, minutes)


class _Fleet:
    """The daemons that run, and what is done to them."""

    def __init__(self, world: FleetWorld, trouble_s: float) -> None:
        self._world = world
        self._trouble_s = trouble_s
        self._living: dict[int, tuple[Assembled, SkewedClock]] = {}
        self._calm = asyncio.Event()
        self._over = asyncio.Event()

    async def live(self) -> None:
        """From the first daemon to the last."""
        async with asyncio.TaskGroup() as group:
            for slot in range(self._world.rand.choice((2, 3))):
                group.create_task(self._slot(slot, Random(f"{self._world.seed} slot {slot}")))
            await self._people(Random(f"{self._world.seed} people"))
            self._over.set()

    # --- daemons ------------------------------------------------------------------------------------------------------

    async def _slot(self, slot: int, rand: Random) -> None:
        """One machine: daemon after daemon, cut or drained, until the calm; the last one stays."""
        clock = SkewedClock(self._world.clock, rand.uniform(-3.0, 3.0))
        moving = asyncio.create_task(self._move(clock, rand))
        await clock.sleep(rand.uniform(0.0, 10.0))
        while not self._over.is_set():
            lasts_s = rand.uniform(20.0, 500.0)
            until = self._calm if clock.monotonic() + lasts_s < self._trouble_s else self._over
            await self._life(slot, clock, rand, until, lasts_s, is_cut=rand.random() < 0.6)
            if not self._over.is_set():
                await clock.sleep(rand.uniform(0.5, 60.0))
        moving.cancel()
        with suppress(asyncio.CancelledError):
            await moving

    async def _move(self, clock: SkewedClock, rand: Random) -> None:
        """Somebody sets the wall clock, a day ahead or back, and right again."""
        while not self._calm.is_set():
            await clock.sleep(rand.uniform(100.0, 900.0))
            clock.moved_s = rand.choice((0.0, 86_400.0, -86_400.0, 30.0))

    async def _life(
        self, slot: int, clock: SkewedClock, rand: Random, until: asyncio.Event, lasts_s: float, *, is_cut: bool
    ) -> None:
        world, power, own = self._world, Power(), Random(rand.random())
        config = world.config()
        bound = BoundConfig(config, bootstrap.bind_accounts(config))
        database, wire = open_database(world, power, own, world.limits.commit_s, clock), FleetWire(world, power, own)
        storage = LocalStorage(world.exports, _slow_storage(world, power, own))  # type: ignore[arg-type]  # any type
        assembled = await assemble(bound, bootstrap.Seams(clock, own, wire, database, storage), world.log())
        wire.owner = str(world.events("daemon.started")[-1]["owner"])
        stop = asyncio.Event()
        life = asyncio.create_task(assembled.daemon.run(stop))
        self._living[slot] = assembled, clock
        ending = asyncio.create_task(until.wait())
        await asyncio.wait(
            [life, ending], timeout=None if until is self._over else lasts_s, return_when="FIRST_COMPLETED"
        )
        ending.cancel()
        del self._living[slot]
        if is_cut and until is not self._over:
            world.cuts += 1
            power.on = False
            life.cancel()
            await asyncio.wait([life])
            if not life.cancelled():
                life.exception()
            return
        stop.set()
        await life
        await database.close()

    async def _reload(self) -> None:
        """Another interval of polls, in every daemon that runs: their lanes are built anew."""
        world = self._world
        world.interval_s = world.rand.choice((3.0, 5.0, 8.0))
        config = world.config()
        bound = BoundConfig(config, bootstrap.bind_accounts(config))
        for slot, (assembled, _) in list(self._living.items()):
            plan = await assembled.prepare(bound, ACCOUNTS)
            if slot in self._living:
                replacing = asyncio.create_task(assembled.daemon.replace_lanes(plan, ACCOUNTS))
                await asyncio.wait([replacing], timeout=30.0)
                replacing.cancel()
                world.reloads += replacing.done() and not replacing.cancelled()

    # --- people -------------------------------------------------------------------------------------------------------

    async def _people(self, rand: Random) -> None:
        world = self._world
        database = open_database(world, Power(), rand, 0.01, world.clock)
        config = world.config()
        accounts = bootstrap.bind_accounts(config)
        jobs = JobService(
            accounts, JobStore(database),
            shards=dict.fromkeys(accounts, 1), clock=world.clock, rand=rand, log=world.log(),
        )  # fmt: skip
        people = _People(world, jobs, AccountService(accounts, database, world.clock), WakeUpStore(database), rand)
        acts: list[tuple[float, Callable[[], Awaitable[object]]]] = [
            (rand.uniform(0.0, self._trouble_s * 0.8), act)
            for act, times in (
                (people.submit, 24), (people.cancel, 2), (people.poll_now, 2), (people.call_back, 5), (people.forge, 2),
                (people.pause, 1), (self._reload, 2), (people.decide, 3),
            )
            for _ in range(times)
        ]  # fmt: skip
        for at, act in sorted(acts, key=lambda one: one[0]):
            await world.clock.sleep(max(0.0, at - world.clock.monotonic()))
            await act()
        await world.clock.sleep(max(0.0, self._trouble_s - world.clock.monotonic()))
        for provider in world.providers.values():
            provider.lost = provider.refuses = provider.fails = 0.0
        self._calm.set()
        await people.resume_all()
        while not await people.is_over() and world.clock.monotonic() < LONGEST_S:
            await people.decide()
            await world.clock.sleep(20.0)
        await database.close()


class _People:
    """What people and other programs do, through a connection of their own; a request may be refused."""

    def __init__(
        self, world: FleetWorld, jobs: JobService, accounts: AccountService, wake_ups: WakeUpStore, rand: Random
    ) -> None:
        self._world, self._jobs, self._accounts = world, jobs, accounts
        self._wake_ups, self._rand = wake_ups, rand

    async def submit(self) -> None:
        """Ask for an export."""
        files = self._rand.choice((1, 1, 3))
        job, _ = await self._jobs.submit(self._rand.choice(ACCOUNTS), "export", {"files": files}, actor=DAEMON)
        self._world.asked_for.append(job.id)

    async def cancel(self) -> None:
        """Cancel a job."""
        with suppress(RequestError):
            if self._world.asked_for:
                await self._jobs.cancel(self._rand.choice(self._world.asked_for), actor=DAEMON)

    async def poll_now(self) -> None:
        """Poll a job."""
        with suppress(RequestError):
            if self._world.asked_for:
                await self._jobs.poll_now(self._rand.choice(self._world.asked_for), actor=DAEMON)

    async def call_back(self) -> None:
        """The providers call the addresses of all exports."""
        for provider in self._world.providers.values():
            for export in list(provider.exports.exports.values()):
                token = (export.call or "").rpartition("/")[2]
                if (hashed := callback_hash_of(token)) is not None:
                    await self._wake_ups.wake_up(hashed, self._world.clock.now())

    async def forge(self) -> None:
        """Somebody guesses an address."""
        await self._wake_ups.wake_up(hashlib.sha256(self._rand.randbytes(8)).hexdigest(), self._world.clock.now())

    async def pause(self) -> None:
        """Pause an account for some minutes."""
        name = self._rand.choice(ACCOUNTS)
        await self._accounts.pause(name, "maintenance", actor=DAEMON)
        await self._world.clock.sleep(self._rand.uniform(10.0, 200.0))
        await self._accounts.resume(name, actor=DAEMON)

    async def resume_all(self) -> None:
        """Whatever has paused an account is over."""
        for name in ACCOUNTS:
            await self._accounts.resume(name, actor=DAEMON)

    async def decide(self) -> None:
        """A parked job gets the export that there is, else it is submitted again."""
        for job in await self._jobs.jobs.find(states=[State.PARKED], limit=100):
            exports: Mapping[str, object] = {
                name: one
                for name, one in self._world.providers[job.account].exports.exports.items()
                if one.job == job.id and not one.deleted
            }
            with suppress(RequestError):
                if exports:
                    await self._jobs.adopt(job.id, list(exports)[-1], actor=DAEMON)
                else:
                    await self._jobs.retry(job.id, actor=DAEMON)
                    self._world.retried[job.id] = self._world.retried.get(job.id, 0) + 1

    async def is_over(self) -> bool:
        """Whether every job has ended, and everybody was told."""
        with closing(connect(self._world.database)) as database:
            states = {State(row[0]) for row in database.execute("SELECT DISTINCT state FROM jobs")}
            waiting = database.execute("SELECT count(*) FROM notifications WHERE status = 'waiting'").fetchone()[0]
        return states <= TERMINAL and not waiting


def _slow_storage(world: FleetWorld, power: Power, rand: Random) -> Callable[[Callable[[], object]], Awaitable[object]]:
    async def run(work: Callable[[], object]) -> object:
        await world.clock.sleep(world.limits.storage_s * rand.random())
        power.check()
        result = work()
        await world.clock.sleep(world.limits.storage_s * rand.random())
        power.check()
        return result

    return run

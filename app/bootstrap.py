"""The composition root: the only file that names every concrete class and puts them together."""

import asyncio
import contextlib
import gc
import os
import platform
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom

from app import __version__
from app.clock import Clock, SystemClock
from app.config import Config, ConfigError
from app.config.faults import Fault
from app.desk import Desk
from app.domain.job import TERMINAL, Job, State
from app.domain.jsonvalue import Json
from app.domain.manifest import Artifact
from app.log import EventLog
from app.providers.faults import SettingsError, SpecError, UnknownProviderError
from app.providers.overrides import LimitsOverride, ScheduleOverride
from app.providers.provider import BoundAccount
from app.providers.registry import Registry
from app.storage.local import LocalStorage
from app.storage.threads import StorageThreads
from app.store import migrate
from app.store.address import Address
from app.store.engine import Database
from app.store.jobs import JobStore
from app.store.lanes import LaneRow, LaneStore
from app.store.lock import DaemonLock
from app.transport.aiohttp_wire import AiohttpWire
from app.transport.budget import Budget
from app.transport.client import AccountClient
from app.transport.wire import Timeouts, Wire
from app.worker.chores import Heartbeat, Janitor, LookOut
from app.worker.daemon import Daemon, Parts
from app.worker.fetch import Fetcher
from app.worker.hold import Hold
from app.worker.lane import Lane, Slots
from app.worker.leases import Identity, Leases
from app.worker.narrator import Narrator
from app.worker.recorder import Recorder
from app.worker.steps import Stepper
from app.worker.storage_gate import StorageGate

_STANDBY_S = 1.0
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_DAY_S = 86_400.0
_HOUR_S = 3600.0
_BODY_LIMIT = 8 * 1_048_576
_ENDS = TERMINAL | {State.PARKED}
EXIT_OK = 0
EXIT_FAILED = 1


class RunBrokenError(Exception):
    """A part of the daemon died in the middle of :func:`run_once`."""


@dataclass(frozen=True, slots=True)
class Seams:
    """Where time, chance and the outside come in; a simulation brings its own."""

    clock: Clock
    rand: Random
    wire: Wire
    database: Database
    storage: LocalStorage


def bind_accounts(config: Config) -> dict[str, BoundAccount]:
    """Every configured account, bound to its provider's spec.

    Raises:
        ConfigError: broken specs, unknown providers, bad settings: all of them at once.
    """
    try:
        registry = Registry.load(config.providers.folders)
    except SpecError as error:
        raise ConfigError.of([Fault(str(one.file), one.key, one.reason) for one in error.faults]) from error
    bound: dict[str, BoundAccount] = {}
    faults: list[Fault] = []
    for name, account in config.accounts.items():
        try:
            provider = registry.get(account.provider)
            bound[name] = provider.bind(
                name,
                account.settings,
                limits=LimitsOverride(**account.limits.model_dump()),
                schedule=ScheduleOverride(**account.schedule.model_dump()),
                clean=account.clean,
            )
        except UnknownProviderError as error:
            faults.append(config.fault_at("accounts", name, "provider", reason=str(error)))
        except SettingsError as error:
            known = registry.get(account.provider).spec.account
            for one in error.faults:
                inside = ("settings", one.key) if one.key in known or one.key in account.settings else (one.key,)
                faults.append(config.fault_at("accounts", name, *filter(None, inside), reason=one.reason))
    if faults:
        raise ConfigError.of(faults)
    return bound


def faults_of_accounts(config: Config) -> tuple[Fault, ...]:
    """What is wrong with the accounts and their specs; empty when :func:`bind_accounts` would succeed."""
    try:
        bind_accounts(config)
    except ConfigError as error:
        return error.faults
    return ()


@asynccontextmanager
async def open_desk(config: Config, log: EventLog, clock: Clock | None = None) -> AsyncIterator[Desk]:
    """The desk on the configured database, for a command that needs no daemon.

    Raises:
        ConfigError: see :func:`bind_accounts`.
        StoreUnavailableError: the database cannot be reached.
        SchemaError: its schema is missing, old, or newer than this program.
    """
    clock = clock or SystemClock()
    accounts = bind_accounts(config)
    log.add_secrets(_secrets_of(accounts))
    await _prepare(config)
    database = Database.open(config.database.url, clock)
    try:
        await database.check_schema()
        yield _desk(config, accounts, database, clock, log)
    finally:
        await database.close()


async def serve(config: Config, log: EventLog, *, stop: asyncio.Event | None = None) -> int:
    """Run the daemon until a signal, or ``stop``, asks it to end.

    Returns:
        The exit code: 0 after a drain, 1 when a part of the daemon died.

    Raises:
        ConfigError, StoreUnavailableError, SchemaError: as :func:`open_desk`; nothing was started.
    """
    stop = stop or asyncio.Event()
    with _signals(stop, config, log):
        clock = SystemClock()
        accounts = bind_accounts(config)
        log.add_secrets(_secrets_of(accounts))
        await _prepare(config)
        database = Database.open(config.database.url, clock)
        try:
            await database.check_schema()
            async with _daemon_lock(config, database, clock, log, stop) as locked:
                if not locked:
                    return EXIT_OK
                with StorageThreads() as threads:
                    storage = LocalStorage(config.storage.root, threads)
                    async with AiohttpWire() as wire:
                        seams = Seams(clock, SystemRandom(), wire, database, storage)
                        return await _serve(config, accounts, seams, log, stop)
        finally:
            await database.close()


async def _serve(
    config: Config, accounts: Mapping[str, BoundAccount], seams: Seams, log: EventLog, stop: asyncio.Event
) -> int:
    daemon = await build_daemon(config, accounts, seams, log)
    _spare_the_collector()
    try:
        await daemon.run(stop)
    except* Exception as group:  # noqa: BLE001  # the last stop before the exit code
        for error in _leaves(group):
            log.emit("daemon.failed", reason=f"{type(error).__name__}: {error}")
        return_code = EXIT_FAILED
    else:
        return_code = EXIT_OK
    return return_code


def _spare_the_collector() -> None:
    """Take what was loaded out of the garbage collector's sight: walking over it costs more than a poll does.

    What a step leaves behind is freed by its reference counts; the collector is for the rare cycle, and may be lazy.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def build_daemon(config: Config, accounts: Mapping[str, BoundAccount], seams: Seams, log: EventLog) -> Daemon:
    """Put a daemon together; the lanes of every account exist afterwards."""
    clock, rand, database = seams.clock, seams.rand, seams.database
    jobs, lanes = JobStore(database), LaneStore(database)
    await lanes.ensure({name: config.accounts[name].shards for name in accounts})
    owner = f"{rand.getrandbits(64):016x}"
    narrator = Narrator(log, clock, jobs)
    recorder = Recorder(jobs, owner, clock, log, narrator)
    gate = StorageGate(seams.storage, clock, log)
    stepper = Stepper(Fetcher(seams.storage, jobs, clock, narrator), clock, rand, log, log.redactor.clean)

    def make_lane(row: LaneRow, hold: Hold) -> Lane:
        account, settings = accounts[row.account], config.accounts[row.account]
        limits = account.limits.share(settings.shards)
        budget = Budget(clock, rand, limits, row.request_window, full=not row.clean)
        if row.closed_until is not None:
            budget.close(row.closed_until, row.closed_reason or "closed by the lane's last owner")
        client = AccountClient(
            seams.wire,
            origin=account.origin,
            credentials=account.credentials,
            budget=budget,
            private_ok=settings.allow_private,
            body_limit=_BODY_LIMIT,
            timeouts=Timeouts(),
        )
        return Lane(
            row,
            hold=hold,
            account=account,
            client=client,
            budget=budget,
            stepper=stepper,
            jobs=jobs,
            recorder=recorder,
            narrator=narrator,
            slots=Slots(min(limits.concurrency, config.worker.polls), config.worker.downloads),
            clock=clock,
            rand=rand,
            storage_gate=gate,
        )

    leases = Leases(
        lanes,
        Identity(owner, platform.node(), os.getpid(), __version__),
        accounts=frozenset(accounts),
        lease_s=config.worker.lease_s,
        alone=database.exclusive,
        make_lane=make_lane,
        outcomes_settled=recorder.settled,
        clock=clock,
        log=log,
    )
    parts = Parts(
        recorder,
        leases,
        LookOut(jobs, leases.lanes, clock, config.worker.lookout_s),
        Heartbeat(jobs, leases.lanes, narrator, clock=clock, log=log, every_s=config.worker.heartbeat_s),
        Janitor(
            jobs,
            seams.storage,
            clock,
            log,
            keep_finished_s=config.retention.finished_days * _DAY_S,
            keep_parts_s=config.retention.partial_hours * _HOUR_S,
        ),
        gate,
    )
    log.emit(
        "daemon.started",
        owner=owner,
        version=__version__,
        database=database.name,
        storage=str(config.storage.root),
        accounts=len(accounts),
        pid=os.getpid(),
    )
    return Daemon(parts, clock, log, config.worker.drain_s)


async def run_once(
    config: Config,
    account: str,
    operation: str,
    params: Mapping[str, Json],
    *,
    out: Path,
    on_change: Callable[[Job], None],
    log: EventLog,
) -> tuple[Job, list[Artifact]]:
    """One export without a standing daemon: on a scratch database, into ``out``.

    Args:
        config: where the account is configured.
        account: its name.
        operation: what to ask for.
        params: the parameters as they were given.
        out: the folder that takes the files.
        on_change: called whenever the job has changed.
        log: takes the daemon's lines.

    Returns:
        The job as it ended, and its files below ``out``.

    Raises:
        RequestError: bad parameters; ConfigError: bad configuration.
        RunBrokenError: a part of the daemon died.
    """
    with tempfile.TemporaryDirectory(prefix="tidewaiter-run-") as scratch:
        alone = config.model_copy(
            update={
                "database": config.database.model_copy(update={"url": f"sqlite:///{scratch}/run.db"}),
                "storage": config.storage.model_copy(update={"root": out}),
            }
        )
        clock = SystemClock()
        async with open_desk(alone, log, clock) as desk:
            job, _ = await desk.submit(account, operation, params)
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                daemon = group.create_task(serve(alone, log, stop=stop))
                seen = -1
                while job.state not in _ENDS and not daemon.done():
                    if job.version != seen:
                        on_change(job)
                        seen = job.version
                    await clock.sleep(0.1)
                    job = await desk.jobs.get(job.id) or job
                stop.set()
            if daemon.result() == EXIT_FAILED:
                raise RunBrokenError("the run broke off on a fault of Tidewaiter; the log says which")
            on_change(job)
            return job, await desk.jobs.artifacts(job.id)


def _desk(
    config: Config, accounts: Mapping[str, BoundAccount], database: Database, clock: Clock, log: EventLog
) -> Desk:
    return Desk(
        accounts,
        JobStore(database),
        LaneStore(database),
        shards={name: account.shards for name, account in config.accounts.items()},
        clock=clock,
        rand=SystemRandom(),
        log=log,
    )


async def _prepare(config: Config) -> None:
    """A new SQLite file gets its schema at once; any other database waits for ``tidewaiter db upgrade``."""
    file = Address.parse(config.database.url).file
    if file is not None and not file.exists():
        await asyncio.to_thread(migrate.upgrade, config.database.url)


@asynccontextmanager
async def _daemon_lock(
    config: Config, database: Database, clock: Clock, log: EventLog, stop: asyncio.Event
) -> AsyncIterator[bool]:
    """Hold the database's daemon lock, standing by while another daemon has it; ``False`` when asked to stop first."""
    lock = DaemonLock.of(config.database.url)
    if lock is None:
        yield True
        return
    if not lock.try_acquire():
        log.emit("daemon.waited", database=database.name)
        while not lock.try_acquire():
            if stop.is_set():
                yield False
                return
            await clock.sleep(_STANDBY_S)
    try:
        yield True
    finally:
        lock.release()


@contextlib.contextmanager
def _signals(stop: asyncio.Event, config: Config, log: EventLog) -> Iterator[None]:
    """SIGTERM, SIGINT and a terminal that hangs up ask the daemon to drain; the second one ends it at once."""
    loop = asyncio.get_running_loop()

    def ask(number: signal.Signals) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        log.emit("daemon.stopping", signal=number.name, grace_s=config.worker.drain_s)
        stop.set()

    for number in _STOPPING:
        loop.add_signal_handler(number, ask, number)
    try:
        yield
    finally:
        for number in _STOPPING:
            loop.remove_signal_handler(number)


def _secrets_of(accounts: Mapping[str, BoundAccount]) -> set[str]:
    return {secret for account in accounts.values() for secret in account.secrets}


def _leaves(group: BaseExceptionGroup[Exception]) -> list[BaseException]:
    """The exceptions inside a group, however deep."""
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return leaves

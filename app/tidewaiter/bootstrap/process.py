"""The process of a daemon: signals, health and metrics, the daemon lock, and the exit code."""

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from random import SystemRandom
from typing import Literal

from tidewaiter import __version__
from tidewaiter.bootstrap.account_binding import read_schedules, secrets_of
from tidewaiter.bootstrap.daemon_assembly import assemble
from tidewaiter.bootstrap.database_wait import wait_for_database
from tidewaiter.bootstrap.live_config import LiveConfig, Reloadable, bind, log_faulty_accounts
from tidewaiter.bootstrap.open_services import prepare_database
from tidewaiter.bootstrap.reload import Reloader
from tidewaiter.bootstrap.seams import Seams
from tidewaiter.bootstrap.served_file import keeping_mark
from tidewaiter.bootstrap.service_manager import reporting
from tidewaiter.bootstrap.start_checks import check_machine, configured_storage
from tidewaiter.bootstrap.web_listener import web_listener
from tidewaiter.clock import Clock, SystemClock
from tidewaiter.config import Config, ConfigError, host_and_port
from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.database.dashboard_store import DashboardStore
from tidewaiter.database.engine import Database
from tidewaiter.database.errors import DatabaseFileError
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.change_feed import ChangeFeed
from tidewaiter.log import EventLog
from tidewaiter.metrics.account_limit import AccountLimit
from tidewaiter.metrics.process_metrics import Metrics
from tidewaiter.recurrence import Schedule
from tidewaiter.services.export_health import ExportHealth
from tidewaiter.storage.open_storage import FreeSpace
from tidewaiter.transport.address_guard import OwnListeners
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.web.health_routes import CachedProbes, HealthRoutes, Phase, ProcessStatus

_STOPPING = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def handle_signals(
    stop: asyncio.Event, reload: asyncio.Event | None, on_stop: Callable[[signal.Signals], None]
) -> Iterator[None]:
    """Handle signals while the block runs.

    Args:
        stop: set by SIGTERM and SIGINT; the second of them ends the process at once. If other code sets it, that does
            not count as a first signal.
        reload: set by SIGHUP; without it SIGHUP works as SIGTERM does.
        on_stop: called with the first signal that asks the process to end.
    """
    loop = asyncio.get_running_loop()
    has_asked = False

    def ask(number: signal.Signals) -> None:
        nonlocal has_asked
        if has_asked:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            # Still running: the kernel applies no default action to the first process of a container.
            os._exit(128 + number)
        has_asked = True
        on_stop(number)
        stop.set()

    for number in _STOPPING:
        loop.add_signal_handler(number, ask, number)
    if reload is None:
        loop.add_signal_handler(signal.SIGHUP, ask, signal.SIGHUP)
    else:
        loop.add_signal_handler(signal.SIGHUP, reload.set)
    try:
        yield
    finally:
        for number in (*_STOPPING, signal.SIGHUP):
            loop.remove_signal_handler(number)


def metrics_of_process(clock: Clock, log: EventLog, most_accounts: int = 1000) -> Metrics:
    """The metrics of this process, which begins now; they count what it logs."""
    metrics = Metrics(AccountLimit(most_accounts, lambda others: log.emit("metrics.limited", accounts=others)))
    metrics.set_start(__version__, clock.now())
    log.observe(metrics.observe)
    return metrics


def health_of(
    config: Config,
    status: ProcessStatus,
    metrics: Metrics,
    database: Database,
    *,
    clock: Clock,
    log: EventLog,
    schedules: Callable[[], Mapping[str, Schedule]] = dict,
) -> HealthRoutes:
    """The routes ``/healthz``, ``/readyz`` and ``/metrics``; ``schedules`` are those of the current configuration."""
    readers = database.for_readers
    jobs = JobStore(readers)
    probes = CachedProbes(
        database.check_schema,
        check_writes=database.check_writable,
        jobs=jobs,
        overview=DashboardStore(jobs),
        lanes=LaneStore(readers),
        free_bytes=FreeSpace(None if config.storage.url else config.storage.root),
        exports=ExportHealth(schedules, readers, clock).reading,
        clock=clock,
    )
    return HealthRoutes(status, metrics, probes, version=__version__, lines_lost=lambda: log.lost, clock=clock)


_STANDBY_S = 1.0
# After this time a database thread gets its turn beside an event loop that is busy with polls. A query needs several
# turns, and Python's own 5 ms would be long for that.
_SWITCH_S = 0.001
EXIT_OK = 0
EXIT_FAILED = 1
EXIT_DATABASE_LOST = 74


async def serve(
    config: Config,
    log: EventLog,
    *,
    stop: asyncio.Event | None = None,
    environ: Mapping[str, str] | None = None,
    refresh_tokens: Database | None = None,
    wait_s: float = 0.0,
) -> int:
    """Run the daemon until a signal, or ``stop``, asks it to end.

    Args:
        config: the configuration at the start.
        log: takes its lines.
        stop: asks it to end.
        environ: on SIGHUP the configuration is read again, from its file and this environment. Without it SIGHUP ends
            the daemon.
        refresh_tokens: the database that has them, if it is not the configured one.
        wait_s: how long to wait for a PostgreSQL server that cannot be used yet.

    Returns:
        The exit code: 0 after a drain, 1 when a part of the daemon died, 74 when the database file was
        deleted or replaced.

    Raises:
        ConfigError, StoreUnavailableError, SchemaError: as :func:`open_job_service` and :func:`check_machine`;
            nothing was started.
    """
    stop, reload = stop or asyncio.Event(), asyncio.Event()
    running = LiveConfig(bind(config))
    log.add_secrets(secrets_of(running.bound.config, running.bound.accounts))
    log_faulty_accounts(running.bound, log)

    def stopping(number: signal.Signals) -> None:
        log.emit("daemon.stopping", signal=number.name, grace_s=running.bound.config.worker.drain_s)

    with handle_signals(stop, None if environ is None else reload, stopping), configured_storage(config) as storage:
        clock = SystemClock()
        await asyncio.to_thread(check_machine, config)
        await prepare_database(config)
        database = Database.open(config.database.url, clock)
        reloader = Reloader(running, environ or {}, database, clock, log)
        try:
            if not await wait_for_database(database, wait_s, stop=stop, clock=clock, log=log):
                return EXIT_OK
            own = OwnListeners()
            with listening_socket(config, "http") as web_socket, own.listening(web_socket):
                status = ProcessStatus(stop)
                metrics = metrics_of_process(clock, log, config.http.metrics_accounts)
                running.join(
                    Reloadable(metrics.accounts, lambda bound: bound.config.http.metrics_accounts),
                    Reloadable(log, lambda bound: bound.config.log),
                    Reloadable(metrics, lambda bound: bound.operations),
                )
                health = health_of(
                    config,
                    status,
                    metrics,
                    database,
                    clock=clock,
                    log=log,
                    schedules=lambda: read_schedules(running.bound.config, running.bound.accounts),
                )
                change_feed = ChangeFeed(log.follower_failed)
                async with AiohttpWire(own, connections=running.bound.connections) as wire:
                    running.join(Reloadable(wire, lambda bound: bound.connections))
                    seams = Seams(
                        clock, SystemRandom(), wire, database, storage, metrics, change_feed.publish, refresh_tokens
                    )
                    site = web_listener(
                        running,
                        health,
                        status,
                        seams,
                        log,
                        change_feed=change_feed,
                        listening=web_socket,
                        stop=stop,
                    )
                    reports = reporting(environ or {}, status, metrics, stop, clock)
                    async with reports, site as serving, reloader.on_request(reload, stop) as reloads:
                        code = await _take_over(running, reloader, seams, log, stop=stop, status=status, own=own)
                        has_died = [_has_died(task, log) for task in (*serving, reloads)]
                        return EXIT_FAILED if any(has_died) else code
        finally:
            await database.close()


@contextlib.contextmanager
def listening_socket(config: Config, table: Literal["callbacks", "http"]) -> Iterator[socket.socket | None]:
    """The socket of a listener, bound before anything is started; ``None`` if none is configured.

    Raises:
        ConfigError: nothing can listen at the address.
        OSError: another process listens there, perhaps not for long.
    """
    listen = config.callbacks.listen if table == "callbacks" else config.http.listen
    if listen is None:
        yield None
        return
    host, port = host_and_port(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family)
    except OSError as error:
        reason = (
            f"cannot be listened on: {error.strerror or error}; use another address, or stop the program that uses it"
        )
        if error.errno == errno.EADDRINUSE:
            raise OSError(error.errno, f"{listen} {reason}", f"{table}.listen") from error
        raise ConfigError.of([config.fault_at(table, "listen", reason=reason)]) from error
    with contextlib.closing(bound):
        yield bound


async def _take_over(
    running: LiveConfig,
    reloader: Reloader,
    seams: Seams,
    log: EventLog,
    *,
    stop: asyncio.Event,
    status: ProcessStatus,
    own: OwnListeners,
) -> int:
    """Serve when no other daemon uses the database."""
    config = running.bound.config
    async with _daemon_lock(config, seams.database, seams.clock, log, stop=stop, status=status) as locked:
        if not locked:
            return EXIT_OK
        with listening_socket(config, "callbacks") as listening, own.listening(listening):
            return await _serve(running, reloader, seams, log, stop=stop, listening=listening, status=status)


def _has_died(task: asyncio.Task[None], log: EventLog) -> bool:
    """Whether a task that should run on has died; if so, it is logged."""
    if not task.done() or task.cancelled():
        return False
    error = task.exception()
    log.emit("daemon.failed", reason=f"{type(error).__name__}: {error}")
    return True


async def _serve(
    running: LiveConfig,
    reloader: Reloader,
    seams: Seams,
    log: EventLog,
    *,
    stop: asyncio.Event,
    listening: socket.socket | None,
    status: ProcessStatus,
) -> int:
    async with running.changing:
        assembled = await assemble(running.bound, seams, log, listening)
        reloader.begin(assembled)
    _relieve_garbage_collector()
    sys.setswitchinterval(_SWITCH_S)
    status.enter(Phase.SERVING)
    try:
        await assembled.daemon.run(stop)
    except* Exception as group:  # noqa: BLE001  # the last stop before the exit code
        return_code = EXIT_FAILED
        for error in _single_exceptions(group):
            if isinstance(error, DatabaseFileError):
                log.emit("store.lost", reason=str(error))
                return_code = EXIT_DATABASE_LOST
            else:
                log.emit("daemon.failed", reason=f"{type(error).__name__}: {error}")
    else:
        return_code = EXIT_OK
    return return_code


def _relieve_garbage_collector() -> None:
    """Exclude what is loaded from garbage collection: walking over it costs more than a poll does.

    Reference counts free what a step leaves behind; the collector is only for rare cycles, and may run seldom.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@asynccontextmanager
async def _daemon_lock(
    config: Config,
    database: Database,
    clock: Clock,
    log: EventLog,
    *,
    stop: asyncio.Event,
    status: ProcessStatus,
) -> AsyncIterator[bool]:
    """Hold the database's daemon lock, waiting while another daemon holds it; ``False`` if asked to stop first."""
    lock = DaemonLock.of(config.database.url)
    if lock is None:
        yield True
        return
    if not lock.try_acquire():
        log.emit("daemon.waited", database=database.name)
        status.enter(Phase.STANDBY)
        while not lock.try_acquire():
            if stop.is_set():
                yield False
                return
            await clock.sleep(_STANDBY_S)
    try:
        async with keeping_mark(config.database.url, lock, clock):
            yield True
    finally:
        lock.release()


def _single_exceptions(group: BaseExceptionGroup[Exception]) -> list[BaseException]:
    """The exceptions inside a group, however deep."""
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves.extend(_single_exceptions(error) if isinstance(error, BaseExceptionGroup) else [error])
    return leaves

"""Serving: a daemon on the real seams, from its signals to its exit code."""

import asyncio
import contextlib
import errno
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from random import SystemRandom
from typing import Literal

from app.bootstrap.accounts import secrets_of
from app.bootstrap.bound import Reloadable, Running, bind
from app.bootstrap.daemon import assemble
from app.bootstrap.desk import prepare
from app.bootstrap.health import health_of, metrics_of_process
from app.bootstrap.reloading import Reloading
from app.bootstrap.seams import Seams
from app.bootstrap.signals import signals
from app.bootstrap.website import website
from app.clock import Clock, SystemClock
from app.config import Config, ConfigError, host_and_port
from app.domain.change import News
from app.log import EventLog
from app.storage.base import Storage, StorageSetupError
from app.storage.choice import open_storage
from app.store.engine import Database
from app.store.lock import DaemonLock
from app.transport.aiohttp_wire import AiohttpWire
from app.transport.own import OwnListeners
from app.web.vitals import Phase, Vitals

_STANDBY_S = 1.0
# After that a thread of the database gets its turn beside an event loop that is busy with polls. A query takes several
# turns, and Python's own 5 ms are long for that.
_SWITCH_S = 0.001
EXIT_OK = 0
EXIT_FAILED = 1


async def serve(
    config: Config,
    log: EventLog,
    *,
    stop: asyncio.Event | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Run the daemon until a signal, or ``stop``, asks it to end.

    Args:
        config: what it begins with.
        log: takes its lines.
        stop: asks it to end.
        environ: on SIGHUP the configuration is read anew, from its file and this environment. Without it SIGHUP asks
            the daemon to end.

    Returns:
        The exit code: 0 after a drain, 1 when a part of the daemon died.

    Raises:
        ConfigError, StoreUnavailableError, SchemaError: as :func:`open_desk`; nothing was started.
    """
    stop, reload = stop or asyncio.Event(), asyncio.Event()
    running = Running(bind(config))
    log.add_secrets(secrets_of(running.bound.accounts))

    def stopping(number: signal.Signals) -> None:
        log.emit("daemon.stopping", signal=number.name, grace_s=running.bound.config.worker.drain_s)

    with signals(stop, None if environ is None else reload, stopping), _storage(config) as storage:
        clock = SystemClock()
        await prepare(config)
        database = Database.open(config.database.url, clock)
        reloading = Reloading(running, environ or {}, database, clock, log)
        try:
            await database.check_schema()
            own = OwnListeners()
            with listening_socket(config, "http") as web_socket, own.listening(web_socket):
                vitals = Vitals(stop)
                metrics = metrics_of_process(clock, log)
                running.join(
                    Reloadable(log, lambda bound: bound.config.log), Reloadable(metrics, lambda bound: bound.operations)
                )
                health = health_of(config, vitals, metrics, database, clock=clock, log=log)
                news = News(log.follower_failed)
                async with AiohttpWire(own) as wire:
                    seams = Seams(clock, SystemRandom(), wire, database, storage, metrics, news.tell)
                    site = website(running, health, vitals, seams, log, news=news, listening=web_socket, stop=stop)
                    async with site as serving, reloading.on_request(reload, stop) as reloads:
                        code = await _take_over(running, reloading, seams, log, stop=stop, vitals=vitals, own=own)
                        has_died = [_has_died(task, log) for task in (serving, reloads)]
                        return EXIT_FAILED if any(has_died) else code
        finally:
            await database.close()


@contextlib.contextmanager
def listening_socket(config: Config, table: Literal["callbacks", "http"]) -> Iterator[socket.socket | None]:
    """The socket of a listener, bound before anything is started; ``None`` where none is wanted.

    Raises:
        ConfigError: nothing can listen at the address.
        OSError: somebody else listens there, who may be gone in a while.
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
        reason = f"cannot be listened on: {error.strerror or error}; name another address, or stop what holds this one"
        if error.errno == errno.EADDRINUSE:
            raise OSError(error.errno, f"{listen} {reason}", f"{table}.listen") from error
        raise ConfigError.of([config.fault_at(table, "listen", reason=reason)]) from error
    with contextlib.closing(bound):
        yield bound


async def _take_over(
    running: Running,
    reloading: Reloading,
    seams: Seams,
    log: EventLog,
    *,
    stop: asyncio.Event,
    vitals: Vitals,
    own: OwnListeners,
) -> int:
    """Serve once no other daemon has the database."""
    config = running.bound.config
    async with _daemon_lock(config, seams.database, seams.clock, log, stop=stop, vitals=vitals) as locked:
        if not locked:
            return EXIT_OK
        with listening_socket(config, "callbacks") as listening, own.listening(listening):
            return await _serve(running, reloading, seams, log, stop=stop, listening=listening, vitals=vitals)


def _has_died(serving: asyncio.Task[None] | None, log: EventLog) -> bool:
    """Whether what should have gone on ended by itself; said in the log."""
    if serving is None or not serving.done() or serving.cancelled():
        return False
    error = serving.exception()
    log.emit("daemon.failed", reason=f"{type(error).__name__}: {error}")
    return True


async def _serve(
    running: Running,
    reloading: Reloading,
    seams: Seams,
    log: EventLog,
    *,
    stop: asyncio.Event,
    listening: socket.socket | None,
    vitals: Vitals,
) -> int:
    async with running.changing:
        assembled = await assemble(running.bound, seams, log, listening)
        reloading.begin(assembled)
    _spare_the_collector()
    sys.setswitchinterval(_SWITCH_S)
    vitals.enter(Phase.SERVING)
    try:
        await assembled.daemon.run(stop)
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


@asynccontextmanager
async def _daemon_lock(
    config: Config, database: Database, clock: Clock, log: EventLog, *, stop: asyncio.Event, vitals: Vitals
) -> AsyncIterator[bool]:
    """Hold the database's daemon lock, standing by while another daemon has it; ``False`` when asked to stop first."""
    lock = DaemonLock.of(config.database.url)
    if lock is None:
        yield True
        return
    if not lock.try_acquire():
        log.emit("daemon.waited", database=database.name)
        vitals.enter(Phase.STANDBY)
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
def _storage(config: Config) -> Iterator[Storage]:
    with contextlib.ExitStack() as stack:
        try:
            opened = open_storage(config.storage.root, config.storage.url, config.storage.options.given)
            storage = stack.enter_context(opened)
        except StorageSetupError as error:
            raise ConfigError.of([config.fault_at("storage", "url", reason=str(error))]) from None
        yield storage


def _leaves(group: BaseExceptionGroup[Exception]) -> list[BaseException]:
    """The exceptions inside a group, however deep."""
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return leaves

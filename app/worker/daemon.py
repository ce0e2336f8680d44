"""The daemon: starts every part, ends them in reverse order, and dies whole when one of them dies."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from app.clock import Clock
from app.log import EventLog
from app.store.engine import StoreUnavailableError
from app.worker.calendar import Calendar
from app.worker.chores import Heartbeat, Janitor, LookOut
from app.worker.leases import Leases
from app.worker.recorder import Recorder
from app.worker.storage_gate import StorageGate


@dataclass(frozen=True, slots=True)
class Parts:
    """What a daemon is made of; ``beside`` runs along without being the worker's own, such as a listener."""

    recorder: Recorder
    leases: Leases
    look_out: LookOut
    heartbeat: Heartbeat
    janitor: Janitor
    storage_gate: StorageGate
    calendar: Calendar
    beside: tuple[Callable[[], Coroutine[None, None, None]], ...] = ()


class Daemon:
    """Runs the parts under one task group.

    Args:
        parts: the parts.
        clock: the time.
        log: told of the start and the end.
        drain_s: seconds that steps under way are given when the daemon is asked to stop.
    """

    def __init__(self, parts: Parts, clock: Clock, log: EventLog, drain_s: float) -> None:
        self._parts = parts
        self._clock = clock
        self._log = log
        self._drain_s = drain_s

    async def run(self, stop: asyncio.Event) -> bool:
        """Serve until ``stop`` is set, then drain and give the lanes back.

        Returns:
            Whether every step under way ended within the grace.

        Raises:
            ExceptionGroup: a part died. The rest was stopped with it: half a daemon is worse than none.
        """
        started_at = self._clock.monotonic()
        parts = self._parts
        tasks: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as group:
            runs: tuple[Callable[[], Coroutine[None, None, None]], ...] = (
                parts.recorder.run,
                parts.leases.run,
                parts.look_out.run,
                parts.heartbeat.run,
                parts.janitor.run,
                parts.storage_gate.run,
                parts.calendar.run,
                *parts.beside,
            )
            tasks.extend(group.create_task(run()) for run in runs)
            await stop.wait()
            clean = await parts.leases.end(self._drain_s)
            try:
                await parts.leases.give_back()
            except StoreUnavailableError as error:
                self._log.emit("store.unavailable", reason=str(error), waiting=0)
            for task in tasks:
                task.cancel()
        self._log.emit("daemon.stopped", clean=clean, uptime_s=round(self._clock.monotonic() - started_at, 1))
        return clean

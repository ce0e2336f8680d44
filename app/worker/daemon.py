"""The daemon: starts every part, ends them in reverse order, and dies whole when one of them dies."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from typing import Protocol

from app.clock import Clock
from app.domain.jsonvalue import Json
from app.log import EventLog
from app.store.engine import StoreUnavailableError
from app.store.lanes import LaneRow
from app.worker.calendar import Calendar
from app.worker.chores import Heartbeat, Janitor, LookOut
from app.worker.hold import Hold
from app.worker.lane import Lane
from app.worker.leases import Leases
from app.worker.notifier import Notifier
from app.worker.pauses import Pauses
from app.worker.recorder import Recorder
from app.worker.storage_gate import StorageGate

_STORE_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class LanePlan:
    """The settings of every account, secrets included, and what builds a lane of any of them."""

    accounts: Mapping[str, Mapping[str, Json]]
    make_lane: Callable[[LaneRow, Hold], Lane]


class DaemonSettings(Protocol):
    """How many seconds steps under way get to end when the daemon is asked to stop."""

    @property
    def drain_s(self) -> float: ...  # noqa: D102  # a key of the configuration


@dataclass(frozen=True, slots=True)
class Parts:
    """What a daemon is made of; ``beside`` runs along without being the worker's own, such as a listener."""

    recorder: Recorder
    leases: Leases
    pauses: Pauses
    look_out: LookOut
    heartbeat: Heartbeat
    janitor: Janitor
    storage_gate: StorageGate
    calendar: Calendar
    notifier: Notifier
    beside: tuple[Callable[[], Coroutine[None, None, None]], ...] = ()


class Daemon:
    """Runs the parts under one task group.

    Args:
        parts: the parts.
        clock: the time.
        log: told of the start and the end.
        settings: how long a drain lasts at most.
    """

    def __init__(self, parts: Parts, clock: Clock, log: EventLog, settings: DaemonSettings) -> None:
        self._parts = parts
        self._clock = clock
        self._log = log
        self._settings = settings

    def reconfigure(self, settings: DaemonSettings) -> None:
        """Use these settings for the next drain, of a lane or of the whole daemon."""
        self._settings = settings

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
                parts.notifier.run,
                *parts.beside,
            )
            tasks.extend(group.create_task(run()) for run in runs)
            await stop.wait()
            clean = await parts.leases.end(self._settings.drain_s)
            try:
                await parts.leases.give_back()
            except StoreUnavailableError as error:
                self._log.emit("store.unavailable", reason=str(error), waiting=0)
            for task in tasks:
                task.cancel()
        self._log.emit("daemon.stopped", clean=clean, uptime_s=round(self._clock.monotonic() - started_at, 1))
        return clean

    async def replace_lanes(self, plan: LanePlan, changed: Collection[str]) -> int:
        """Serve the accounts of another configuration; may be cancelled at any moment when the daemon has to end.

        Args:
            plan: the accounts, and what builds their lanes.
            changed: the accounts whose lanes have to be built anew: their lanes end their steps, as in a drain, and
                new ones begin; those of accounts that are gone are given back. All other lanes go on.

        Returns:
            How many lanes were drained.
        """
        leases = self._parts.leases
        await leases.hold_back(changed, self._settings.drain_s)
        await self._adopt(plan.accounts)
        return leases.go_on(plan.accounts, plan.make_lane)

    async def _adopt(self, accounts: Mapping[str, Mapping[str, Json]]) -> None:
        """Learn which accounts are paused under these settings, as soon as the database can be read."""
        while True:
            try:
                await self._parts.pauses.adopt(accounts)
            except StoreUnavailableError as error:
                self._log.emit("store.unavailable", reason=str(error), waiting=0)
                await self._clock.sleep(_STORE_RETRY_S)
            else:
                return

"""The daemon: starts every part, ends them in reverse order, and dies whole when one of them dies."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass

from app.clock import Clock
from app.domain.jsonvalue import Json
from app.domain.notification import Subscription
from app.log import EventLog
from app.recurrence import Schedule
from app.store.engine import StoreUnavailableError
from app.store.lanes import LaneRow
from app.transport.webhook import Endpoint
from app.worker.calendar import Calendar, Submit
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
class Setup:
    """What a daemon takes out of its configuration, and can be given anew while it runs; durations are in seconds.

    ``settings`` are those of every account, secrets included; ``make_lane`` builds a lane of any of them.
    """

    settings: Mapping[str, Mapping[str, Json]]
    make_lane: Callable[[LaneRow, Hold], Lane]
    schedules: Sequence[Schedule]
    submit: Submit
    drain_s: float
    lookout_s: float
    heartbeat_s: float
    keep_finished_s: float
    keep_parts_s: float
    subscriptions: Sequence[Subscription]
    endpoints: Mapping[str, Endpoint]


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
                parts.notifier.run,
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

    async def swap(self, setup: Setup, changed: Collection[str]) -> int:
        """Go by another setup; may be cancelled at any moment in favour of the daemon's end.

        Args:
            setup: the new one.
            changed: the accounts that it concerns. Their lanes come to rest, as in a drain, and begin anew; those of
                accounts that are gone are given back. All other lanes go on.

        Returns:
            How many lanes came to rest.
        """
        parts = self._parts
        self._drain_s = setup.drain_s
        parts.calendar.follow(setup.schedules, setup.submit)
        parts.recorder.notify(setup.subscriptions)
        parts.notifier.follow(setup.endpoints, setup.lookout_s)
        parts.look_out.look_every(setup.lookout_s)
        parts.heartbeat.beat_every(setup.heartbeat_s)
        parts.janitor.keep(finished_s=setup.keep_finished_s, parts_s=setup.keep_parts_s)
        await parts.leases.hold_back(changed, setup.drain_s)
        await self._adopt(setup.settings)
        return parts.leases.go_on(setup.settings, setup.make_lane)

    async def _adopt(self, settings: Mapping[str, Mapping[str, Json]]) -> None:
        """Learn how the accounts stand under these settings, as soon as the database can tell."""
        while True:
            try:
                await self._parts.pauses.adopt(settings)
            except StoreUnavailableError as error:
                self._log.emit("store.unavailable", reason=str(error), waiting=0)
                await self._clock.sleep(_STORE_RETRY_S)
            else:
                return

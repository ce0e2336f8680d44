"""The daemon: starts every part, drains the lanes at the end, and ends as a whole when one part fails."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Protocol, TypeAlias

from tidewaiter.clock import Clock
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.domain.http_values import Json
from tidewaiter.log import EventLog
from tidewaiter.worker.account_pauses import Pauses
from tidewaiter.worker.lane_ownership import LaneOwnership, LanePlan

_STORE_RETRY_S = 1.0


class DaemonSettings(Protocol):
    """How many seconds steps under way get to end when the daemon is asked to stop."""

    @property
    def drain_s(self) -> float: ...  # noqa: D102  # a key of the configuration


Run: TypeAlias = Callable[[], Coroutine[None, None, None]]
"""Runs a part until it is cancelled."""


class Daemon:
    """Runs the parts under one task group.

    Args:
        leases: the lanes.
        pauses: which accounts are paused.
        runs: one for each part, lanes included, in their order of start.
        clock: the time.
        log: receives the end.
        settings: how long a drain lasts at most.
    """

    def __init__(
        self,
        leases: LaneOwnership,
        pauses: Pauses,
        runs: Sequence[Run],
        *,
        clock: Clock,
        log: EventLog,
        settings: DaemonSettings,
    ) -> None:
        self._leases = leases
        self._pauses = pauses
        self._runs = tuple(runs)
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
            ExceptionGroup: a part failed. The others were stopped with it.
        """
        started_at = self._clock.monotonic()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run()) for run in self._runs]
            await stop.wait()
            clean = await self._leases.end(self._settings.drain_s)
            try:
                await self._leases.give_back()
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
            changed: the accounts whose lanes have to be built again: their lanes end their steps, as in a drain, and
                new ones begin; those of accounts that are gone are given back. All other lanes continue.

        Returns:
            How many lanes were drained.
        """
        suspended = await self._leases.suspend(changed, self._settings.drain_s)
        await self._check_pauses(plan.accounts)
        self._leases.reconfigure(plan)
        return suspended

    async def _check_pauses(self, accounts: Mapping[str, Mapping[str, Json]]) -> None:
        """Read which accounts are paused under these settings, as soon as the database can be read."""
        while True:
            try:
                await self._pauses.apply_settings(accounts)
            except StoreUnavailableError as error:
                self._log.emit("store.unavailable", reason=str(error), waiting=0)
                await self._clock.sleep(_STORE_RETRY_S)
            else:
                return

"""The work watcher: wakes lanes for what other processes have written to the database."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from tidewaiter.clock import Clock
from tidewaiter.database.admin_action_store import AdminActionStore
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.database.job_store import JobStore
from tidewaiter.log import EventLog
from tidewaiter.worker.account_pauses import Pauses
from tidewaiter.worker.lane import Lane


class WorkWatcherSettings(Protocol):
    """How often the watcher reads the database, in seconds."""

    @property
    def lookout_s(self) -> float: ...  # noqa: D102  # a key of the configuration


class WorkWatcher:
    """Reads new jobs, cancel requests and pauses from the database at an interval, and passes them to the lanes.

    It also logs what people did with the command line, because those processes keep no log.

    Args:
        jobs: where new jobs and cancel requests are.
        pauses: which accounts are paused.
        lanes: the lanes of this daemon, by number.
        clock: the time.
        log: receives the actions of people.
        settings: the interval.
    """

    def __init__(
        self,
        jobs: JobStore,
        pauses: Pauses,
        lanes: Mapping[int, Lane],
        *,
        clock: Clock,
        log: EventLog,
        settings: WorkWatcherSettings,
    ) -> None:
        self._jobs = jobs
        self._actions = AdminActionStore(jobs.database)
        self._log = log
        self._pauses = pauses
        self._lanes = lanes
        self._clock = clock
        self._settings = settings

    def reconfigure(self, settings: WorkWatcherSettings) -> None:
        """Use this interval from the next round on."""
        self._settings = settings

    async def run(self) -> None:
        """Watch until cancelled. Goes on while the database is unavailable; the lanes report that themselves."""
        while True:
            await self._clock.sleep(self._settings.lookout_s)
            with suppress(StoreUnavailableError):
                await self._apply_pauses()
            with suppress(StoreUnavailableError):
                for line in await self._actions.take_lines():
                    self._log.emit("admin.acted", **line)
            if not self._lanes:
                continue
            with suppress(StoreUnavailableError):
                await self._wake_lanes()

    async def _apply_pauses(self) -> None:
        await self._pauses.refresh()
        for lane in self._lanes.values():
            # A pause ends in a half-open breaker, which is no closing: so closings are ended first.
            lane.apply_reopening(self._pauses.reopened_at(lane.row.account))
            lane.apply_pause(self._pauses.reason(lane.row.account))

    async def _wake_lanes(self) -> None:
        due = await self._jobs.next_due(list(self._lanes))
        cancel_requested = await self._jobs.cancel_requests(list(self._lanes))
        for (number, track), due_at in due.items():
            if number in self._lanes:
                self._lanes[number].due_by(track, due_at)
        for job in cancel_requested:
            if job.lane in self._lanes:
                self._lanes[job.lane].cancel(job)

"""Retention: deletes old jobs, notifications and trends, and partial files that a dead daemon left behind."""

from typing import Protocol

from tidewaiter.clock import Clock, WakeableTimer
from tidewaiter.database.admin_action_store import AdminActionStore
from tidewaiter.database.delivery_store import DeliveryStore
from tidewaiter.database.duration_store import DurationStore
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.session_store import SessionStore
from tidewaiter.database.trend_store import TrendStore
from tidewaiter.domain.job import State
from tidewaiter.domain.notification import DeliveryStatus
from tidewaiter.log import EventLog
from tidewaiter.storage.base import Storage, StorageError

_ROUND_S = 600.0
_PURGE_GROUP = 500
_HOUR_S = 3600.0
_DAY_S = 86_400.0
_KEEP_DELIVERED_S = 7 * _DAY_S


class RetentionSettings(Protocol):
    """How long ended jobs, and parts of downloads that broke off, are kept."""

    @property
    def finished_days(self) -> float: ...  # noqa: D102  # a key of the configuration

    @property
    def partial_hours(self) -> float: ...  # noqa: D102  # a key of the configuration


class Retention:
    """Deletes what is older than its retention. It is idempotent, so every daemon runs it.

    A notification that could not be delivered is kept as long as a finished job, counted from when it was given up.
    One that was delivered is kept for a week at most.

    Args:
        jobs: the jobs.
        deliveries: the notifications.
        storage: where parts are.
        clock: the time.
        log: receives what was deleted.
        settings: how long things are kept.
    """

    def __init__(
        self,
        jobs: JobStore,
        deliveries: DeliveryStore,
        storage: Storage,
        clock: Clock,
        log: EventLog,
        *,
        settings: RetentionSettings,
    ) -> None:
        self._jobs = jobs
        self._deliveries = deliveries
        self._sessions = SessionStore(jobs.database)
        self._actions = AdminActionStore(jobs.database)
        self._trends = TrendStore(jobs.database)
        self._durations = DurationStore(jobs.database)
        self._storage = storage
        self._clock = clock
        self._log = log
        self._settings = settings
        self._timer = WakeableTimer(clock)

    def reconfigure(self, settings: RetentionSettings) -> None:
        """Use these times. If they have changed, the next round begins at once."""
        before, self._settings = self._settings, settings
        if (settings.finished_days, settings.partial_hours) != (before.finished_days, before.partial_hours):
            self._timer.wake()

    async def run(self) -> None:
        """Delete until cancelled."""
        while True:
            try:
                await self._purge_jobs()
                await self._purge_notifications()
                await self._sessions.delete_expired(self._clock.now())
                await self._actions.delete_old(self._clock.now())
                await self._trends.delete_old(self._clock.now())
                await self._durations.delete_old(self._clock.now())
                await self._sweep_parts()
            except StoreUnavailableError as error:
                self._log.emit("store.unavailable", reason=str(error), waiting=0)
            except StorageError as error:
                self._log.emit("storage.paused", reason=str(error), until_s=_ROUND_S)
            await self._timer.sleep(_ROUND_S)

    async def _purge_jobs(self) -> None:
        before = self._clock.now() - self._settings.finished_days * _DAY_S
        deleted = 0
        while found := await self._jobs.delete_finished(before, _PURGE_GROUP):
            deleted += found
        if deleted:
            self._log.emit("jobs.purged", jobs=deleted)

    async def _purge_notifications(self) -> None:
        keep_finished_s = self._settings.finished_days * _DAY_S
        keep_s = {
            DeliveryStatus.DELIVERED: min(_KEEP_DELIVERED_S, keep_finished_s),
            DeliveryStatus.DEAD: keep_finished_s,
        }
        for status, seconds in keep_s.items():
            while await self._deliveries.delete_ended(status, seconds, _PURGE_GROUP):
                pass

    async def _sweep_parts(self) -> None:
        fetching = await self._jobs.ids_in(State.FETCHING)
        now = self._clock.now()
        # Files have the wall clock's time, which may have been set back since the process began.
        before = min(now, now + self._clock.skew()) - self._settings.partial_hours * _HOUR_S
        swept = await self._storage.sweep(before, keep=fetching)
        if swept:
            self._log.emit("storage.swept", parts=swept)

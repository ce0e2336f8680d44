"""Retention: deletes what has been kept for long enough, and temporary parts that a dead daemon left behind."""

from dataclasses import dataclass

from app.clock import Clock, WakeableTimer
from app.domain.job import State
from app.domain.notification import Status
from app.log import EventLog
from app.storage.base import Storage, StorageError
from app.store.actions import ActionStore
from app.store.deliveries import DeliveryStore
from app.store.engine import StoreUnavailableError
from app.store.jobs import JobStore
from app.store.sessions import SessionStore

_ROUND_S = 600.0
_PURGE_GROUP = 500
_KEEP_DELIVERED_S = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How long finished jobs and parts of downloads are kept, in seconds."""

    keep_finished_s: float
    keep_parts_s: float


class Janitor:
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
        settings: RetentionSettings,
    ) -> None:
        self._jobs = jobs
        self._deliveries = deliveries
        self._sessions = SessionStore(jobs.database)
        self._actions = ActionStore(jobs.database)
        self._storage = storage
        self._clock = clock
        self._log = log
        self._settings = settings
        self._timer = WakeableTimer(clock)

    def reconfigure(self, settings: RetentionSettings) -> None:
        """Keep things that long. If that is a change, what is older is deleted at once."""
        if settings != self._settings:
            self._settings = settings
            self._timer.wake()

    async def run(self) -> None:
        """Delete until cancelled."""
        while True:
            try:
                await self._purge_jobs()
                await self._purge_notifications()
                await self._sessions.forget(self._clock.now())
                await self._actions.forget(self._clock.now())
                await self._sweep_parts()
            except StoreUnavailableError as error:
                self._log.emit("store.unavailable", reason=str(error), waiting=0)
            except StorageError as error:
                self._log.emit("storage.paused", reason=str(error), until_s=_ROUND_S)
            await self._timer.sleep(_ROUND_S)

    async def _purge_jobs(self) -> None:
        before = self._clock.now() - self._settings.keep_finished_s
        deleted = 0
        while found := await self._jobs.delete_finished(before, _PURGE_GROUP):
            deleted += found
        if deleted:
            self._log.emit("jobs.purged", jobs=deleted)

    async def _purge_notifications(self) -> None:
        keep_s = {
            Status.DELIVERED: min(_KEEP_DELIVERED_S, self._settings.keep_finished_s),
            Status.DEAD: self._settings.keep_finished_s,
        }
        for status, seconds in keep_s.items():
            while await self._deliveries.delete_ended(status, seconds, _PURGE_GROUP):
                pass

    async def _sweep_parts(self) -> None:
        fetching = await self._jobs.find(states=(State.FETCHING,), limit=10_000)
        before = self._clock.now() - self._settings.keep_parts_s
        swept = await self._storage.sweep(before, keep={job.id for job in fetching})
        if swept:
            self._log.emit("storage.swept", parts=swept)

"""Chores beside the lanes: the look-out for work from outside, the heartbeat, and the janitor's retention."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from app.clock import Clock
from app.domain.job import State
from app.domain.notification import Status
from app.log import EventLog
from app.storage.base import Storage, StorageError
from app.store.actions import ActionStore
from app.store.deliveries import DeliveryStore
from app.store.engine import StoreUnavailableError
from app.store.jobs import JobStore
from app.store.sessions import SessionStore
from app.worker.lane import Lane
from app.worker.nap import Nap
from app.worker.narrator import Narrator
from app.worker.pauses import Pauses

_LAG_SAMPLE_S = 1.0
_JANITOR_S = 600.0
_PURGE_GROUP = 500
_HOUR_S = 3600.0
_DAY_S = 86_400.0
_KEEP_DELIVERED_S = 7 * _DAY_S


def _uncounted(_seconds: float) -> None:
    pass


class LookOutSettings(Protocol):
    """How often it looks, in seconds."""

    @property
    def lookout_s(self) -> float: ...  # noqa: D102  # a key of the configuration


class LookOut:
    """Wakes lanes for what other processes have put into the database: new jobs, wishes to cancel, pauses.

    It logs what people have done by the command line, too, whose processes keep no log.
    """

    def __init__(
        self,
        jobs: JobStore,
        pauses: Pauses,
        lanes: Mapping[int, Lane],
        *,
        clock: Clock,
        log: EventLog,
        settings: LookOutSettings,
    ) -> None:
        self._jobs = jobs
        self._actions = ActionStore(jobs.database)
        self._log = log
        self._pauses = pauses
        self._lanes = lanes
        self._clock = clock
        self._settings = settings

    def reconfigure(self, settings: LookOutSettings) -> None:
        """Look that often from the next round on."""
        self._settings = settings

    async def run(self) -> None:
        """Look until cancelled. An unavailable database is the lanes' own trouble; looking goes on."""
        while True:
            await self._clock.sleep(self._settings.lookout_s)
            with suppress(StoreUnavailableError):
                await self._heed_pauses()
            with suppress(StoreUnavailableError):
                for line in await self._actions.collect():
                    self._log.emit("admin.acted", **line)
            if not self._lanes:
                continue
            with suppress(StoreUnavailableError):
                await self._look()

    async def _heed_pauses(self) -> None:
        await self._pauses.look()
        for lane in self._lanes.values():
            lane.heed(self._pauses.reason(lane.row.account))
            lane.reopen(self._pauses.reopened_at(lane.row.account))

    async def _look(self) -> None:
        due = await self._jobs.next_due(list(self._lanes))
        wishes = await self._jobs.wishes(list(self._lanes))
        for (number, track), due_at in due.items():
            if number in self._lanes:
                self._lanes[number].due_by(track, due_at)
        for job in wishes:
            if job.lane in self._lanes:
                self._lanes[job.lane].grant(job)


class HeartbeatSettings(Protocol):
    """How often the daemon logs its status, in seconds."""

    @property
    def heartbeat_s(self) -> float: ...  # noqa: D102  # a key of the configuration


class Heartbeat:
    """Says once in a while how the daemon is, and measures how late the event loop runs."""

    def __init__(
        self,
        jobs: JobStore,
        lanes: Mapping[int, Lane],
        narrator: Narrator,
        *,
        clock: Clock,
        log: EventLog,
        settings: HeartbeatSettings,
        lagged: Callable[[float], None] = _uncounted,
    ) -> None:
        self._jobs = jobs
        self._lanes = lanes
        self._narrator = narrator
        self._clock = clock
        self._log = log
        self._settings = settings
        self._lagged = lagged
        self._lag_s = 0.0
        self._nap = Nap(clock)

    def reconfigure(self, settings: HeartbeatSettings) -> None:
        """Beat that often; if that is a change, the next beat comes at once."""
        before, self._settings = self._settings, settings
        if settings.heartbeat_s != before.heartbeat_s:
            self._nap.wake()

    async def run(self) -> None:
        """Beat until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._measure())
            while True:
                await self._nap.sleep(self._settings.heartbeat_s)
                await self._beat()

    async def _measure(self) -> None:
        while True:
            asleep_at = self._clock.monotonic()
            await self._clock.sleep(_LAG_SAMPLE_S)
            lag_s = max(0.0, self._clock.monotonic() - asleep_at - _LAG_SAMPLE_S)
            self._lag_s = max(self._lag_s, lag_s)
            self._lagged(lag_s)

    async def _beat(self) -> None:
        try:
            counts = await self._jobs.counts()
            oldest = await self._jobs.oldest_due()
        except StoreUnavailableError as error:
            self._log.emit("store.unavailable", reason=str(error), waiting=0)
            return
        polls, self._narrator.polls = self._narrator.polls, 0
        landed_bytes, self._narrator.landed_bytes = self._narrator.landed_bytes, 0
        lag_s, self._lag_s = self._lag_s, 0.0
        self._log.emit(
            "heartbeat",
            jobs={state.value: counts[state] for state in State if counts.get(state)},
            oldest_due_s=None if oldest is None else round(max(0.0, self._clock.now() - oldest), 1),
            loop_lag_s=round(lag_s, 3),
            lanes=len(self._lanes),
            in_flight=sum(lane.in_flight for lane in self._lanes.values()),
            polls=polls,
            landed_bytes=landed_bytes,
            breakers={
                lane.row.account: lane.budget.paused or lane.budget.closed_reason or lane.budget.breaker
                for lane in self._lanes.values()
                if lane.budget.breaker != "closed" or lane.budget.closed_until or lane.budget.paused
            },
            clock_skew_s=round(self._clock.skew(), 1),
        )


class JanitorSettings(Protocol):
    """How long ended jobs, and parts of downloads that broke off, are kept."""

    @property
    def finished_days(self) -> float: ...  # noqa: D102  # a key of the configuration

    @property
    def partial_hours(self) -> float: ...  # noqa: D102  # a key of the configuration


class Janitor:
    """Deletes what is past its retention, and parts that a dead daemon has left. Idempotent: every daemon runs one.

    A notification that was not taken is kept as long as a job is, counted from when it was given up; one that was is of
    use to nobody after a week.
    """

    def __init__(
        self,
        jobs: JobStore,
        deliveries: DeliveryStore,
        storage: Storage,
        clock: Clock,
        log: EventLog,
        *,
        settings: JanitorSettings,
    ) -> None:
        self._jobs = jobs
        self._deliveries = deliveries
        self._sessions = SessionStore(jobs.database)
        self._actions = ActionStore(jobs.database)
        self._storage = storage
        self._clock = clock
        self._log = log
        self._settings = settings
        self._nap = Nap(clock)

    def reconfigure(self, settings: JanitorSettings) -> None:
        """Keep things that long; if that is a change, what is older is deleted at once."""
        before, self._settings = self._settings, settings
        if (settings.finished_days, settings.partial_hours) != (before.finished_days, before.partial_hours):
            self._nap.wake()

    @property
    def _keep_finished_s(self) -> float:
        return self._settings.finished_days * _DAY_S

    async def run(self) -> None:
        """Tidy up until cancelled."""
        while True:
            try:
                await self._purge()
                await self._purge_notifications()
                await self._sessions.forget(self._clock.now())
                await self._actions.forget(self._clock.now())
                await self._sweep()
            except StoreUnavailableError as error:
                self._log.emit("store.unavailable", reason=str(error), waiting=0)
            except StorageError as error:
                self._log.emit("storage.paused", reason=str(error), until_s=_JANITOR_S)
            await self._nap.sleep(_JANITOR_S)

    async def _purge(self) -> None:
        before = self._clock.now() - self._keep_finished_s
        deleted = 0
        while found := await self._jobs.delete_finished(before, _PURGE_GROUP):
            deleted += found
        if deleted:
            self._log.emit("jobs.purged", jobs=deleted)

    async def _purge_notifications(self) -> None:
        keep_s = {
            Status.DELIVERED: min(_KEEP_DELIVERED_S, self._keep_finished_s),
            Status.DEAD: self._keep_finished_s,
        }
        for status, seconds in keep_s.items():
            while await self._deliveries.delete_ended(status, seconds, _PURGE_GROUP):
                pass

    async def _sweep(self) -> None:
        fetching = await self._jobs.find(states=(State.FETCHING,), limit=10_000)
        swept = await self._storage.sweep(
            self._clock.now() - self._settings.partial_hours * _HOUR_S, keep={job.id for job in fetching}
        )
        if swept:
            self._log.emit("storage.swept", parts=swept)

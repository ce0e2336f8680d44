"""The heartbeat: one log line at an interval with the state of the daemon."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from tidewaiter.clock import Clock, WakeableTimer
from tidewaiter.database.due_store import DueStore
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.state_counts import StateCounts
from tidewaiter.domain.job import State
from tidewaiter.log import EventLog
from tidewaiter.worker.job_event_log import JobLog
from tidewaiter.worker.lane import Lane

_LAG_SAMPLE_S = 1.0


def _uncounted(_seconds: float) -> None:
    pass


class HeartbeatSettings(Protocol):
    """How often the daemon logs its status, in seconds, and how many jobs of a lane are downloaded at once."""

    @property
    def heartbeat_s(self) -> float: ...  # noqa: D102  # a key of the configuration
    @property
    def downloads(self) -> int: ...  # noqa: D102  # a key of the configuration


class Heartbeat:
    """Logs the daemon's state at an interval, and measures how late the event loop runs.

    Args:
        jobs: where jobs are counted and the longest due is found.
        lanes: the lanes of this daemon, by number.
        job_log: counts polls and landed bytes since the last heartbeat.
        clock: the time.
        log: receives the heartbeat.
        settings: the interval, and how many downloads run at once.
        lagged: called with each measured delay of the event loop, in seconds.
    """

    def __init__(
        self,
        jobs: JobStore,
        lanes: Mapping[int, Lane],
        job_log: JobLog,
        *,
        clock: Clock,
        log: EventLog,
        settings: HeartbeatSettings,
        lagged: Callable[[float], None] = _uncounted,
    ) -> None:
        self._due = DueStore(jobs.database)
        self._counts = StateCounts(jobs.database)
        self._lanes = lanes
        self._job_log = job_log
        self._clock = clock
        self._log = log
        self._settings = settings
        self._lagged = lagged
        self._lag_s = 0.0
        self._timer = WakeableTimer(clock)

    def reconfigure(self, settings: HeartbeatSettings) -> None:
        """Use this interval. If it is a new one, the next heartbeat comes at once."""
        before, self._settings = self._settings, settings
        if settings.heartbeat_s != before.heartbeat_s:
            self._timer.wake()

    async def run(self) -> None:
        """Log heartbeats until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._measure_lag())
            while True:
                await self._timer.sleep(self._settings.heartbeat_s)
                await self._beat()

    async def _measure_lag(self) -> None:
        while True:
            asleep_at = self._clock.monotonic()
            await self._clock.sleep(_LAG_SAMPLE_S)
            lag_s = max(0.0, self._clock.monotonic() - asleep_at - _LAG_SAMPLE_S)
            self._lag_s = max(self._lag_s, lag_s)
            self._lagged(lag_s)

    async def _beat(self) -> None:
        try:
            counts = await self._counts.counts(self._clock.monotonic())
            oldest = await self._due.first_waiting(self._settings.downloads)
        except StoreUnavailableError as error:
            self._log.emit("store.unavailable", reason=str(error), waiting=0)
            return
        polls, self._job_log.polls = self._job_log.polls, 0
        landed_bytes, self._job_log.landed_bytes = self._job_log.landed_bytes, 0
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

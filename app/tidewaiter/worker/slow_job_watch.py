"""The slow job watch: logs jobs that take unusually long, each once."""

from collections.abc import Mapping
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.log import EventLog
from tidewaiter.services.job_pace import JobPace
from tidewaiter.worker.lane import Lane

_ROUND_S: Final = 60.0
_MARGIN_S: Final = 900.0


class SlowJobWatch:
    """Logs ``job.slow`` for a job of this daemon's lanes that takes a quarter of an hour longer than is usual.

    A job of a paused account waits for a person, and is not logged. After a restart a job is logged again.

    Args:
        pace: reads how long jobs run and usually take.
        lanes: the lanes of this daemon, by number.
        clock: the time.
        log: receives the events.
    """

    def __init__(self, pace: JobPace, lanes: Mapping[int, Lane], clock: Clock, log: EventLog) -> None:
        self._pace = pace
        self._lanes = lanes
        self._clock = clock
        self._log = log
        self._logged: set[int] = set()

    async def run(self) -> None:
        """Look once a minute until cancelled."""
        while True:
            await self._clock.sleep(_ROUND_S)
            try:
                await self._look()
            except StoreUnavailableError:
                continue  # the heartbeat says so

    async def _look(self) -> None:
        slow: set[int] = set()
        for one in await self._pace.operations():
            lane = None if one.job is None else self._lanes.get(one.job.lane)
            if one.job is None or lane is None or lane.budget.paused or one.running_s <= one.usual_s + _MARGIN_S:
                continue
            slow.add(one.job.id)
            if one.job.id not in self._logged:
                self._log.emit(
                    "job.slow",
                    job=one.job.id,
                    account=one.account,
                    operation=one.operation,
                    state=one.job.state.value,
                    running_s=round(one.running_s, 1),
                    usual_s=round(one.usual_s, 1),
                )
        self._logged = slow

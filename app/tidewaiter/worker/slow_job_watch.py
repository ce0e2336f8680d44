"""The slow job watch: logs jobs that take unusually long, each once."""

from collections.abc import Mapping
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.log import EventLog
from tidewaiter.services.job_pace import LEAST_RUNS, JobPace
from tidewaiter.worker.lane import Lane

_ROUND_S: Final = 60.0
_MARGIN_S: Final = 900.0
_LEAST_MARGIN_S: Final = 60.0


class SlowJobWatch:
    """Logs ``job.slow`` for a job of this daemon's lanes that takes much longer than is usual.

    For a job that is polled, and with enough jobs of its kind before it, that is twice what 95 % of them took until
    they were ready, and a minute at least; it is never more than a quarter of an hour later. For others it is a quarter
    of an hour longer than the operation's jobs took from beginning to end.

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
            if one.job is None or lane is None or lane.budget.paused:
                continue
            own_s = lane.learned.usual_s(one.job, LEAST_RUNS)
            usual_s = one.usual_s if own_s is None else own_s
            margin_s = _MARGIN_S if own_s is None else min(_MARGIN_S, max(_LEAST_MARGIN_S, own_s))
            if one.running_s <= usual_s + margin_s:
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
                    usual_s=round(usual_s, 1),
                )
        self._logged = slow

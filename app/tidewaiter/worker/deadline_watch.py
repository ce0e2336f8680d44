"""The deadline watch: ends jobs at their deadline while their provider may not be asked."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.database.due_store import DueStore
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.domain.job import Job
from tidewaiter.worker.lane import Lane

_ROUND_S: Final = 1.0
_SHARE: Final = 20.0  # a read of a lane with very many jobs takes long: it gets a twentieth of the time
_MOST: Final = 1000
_LANES: Final = 500
"""So many lanes are read in one statement: where a provider is down, those of all its accounts are closed."""


class DeadlineWatch:
    """Reads the jobs of closed lanes whose deadline has passed, and lets the lanes end them.

    A lane takes one due job after the other, and each waits for its request to be admitted. While a breaker is open or
    the provider throttles, no job comes to its turn, so none would end before the lane opens again.

    Args:
        due: where the jobs are; a reader that commits do not wait for.
        lanes: the lanes of this daemon, by number.
        clock: the time.
    """

    def __init__(self, due: DueStore, lanes: Mapping[int, Lane], clock: Clock) -> None:
        self._due = due
        self._lanes = lanes
        self._clock = clock

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            began = self._clock.monotonic()
            closed = [one for one in self._lanes.items() if one[1].budget.is_closed and one[1].budget.paused is None]
            for start in range(0, len(closed), _LANES):
                with suppress(StoreUnavailableError):  # they are read again a round later
                    await self._look(dict(closed[start : start + _LANES]))
            took_s = self._clock.monotonic() - began
            await self._clock.sleep(max(_ROUND_S, took_s * _SHARE))

    async def _look(self, lanes: Mapping[int, Lane]) -> None:
        found: defaultdict[int, list[Job]] = defaultdict(list)
        with ExitStack() as reading:
            for lane in lanes.values():
                reading.enter_context(lane.under_way.reading())
            most = _MOST + sum(len(lane.under_way) for lane in lanes.values())  # those are found again and again
            for job in await self._due.overdue(list(lanes), self._clock.now(), most):
                found[job.lane].append(job)
            for number, jobs in found.items():
                lanes[number].expire(jobs)

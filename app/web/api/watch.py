"""Waits for jobs to change, for many callers at once, without a query for each of them.

A commit of this process wakes those who wait. For jobs that another process serves, one query looks for all who wait,
about once a second.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from app.clock import Clock
from app.domain.change import Change
from app.domain.job import Job
from app.domain.scope import Scope
from app.store.listing import JobList

MOST_WAITING: Final = 256
"""Callers who may wait at once: half of the connections, so that others are served."""
_LOOK_S: Final = 1.0


class _Waiter:
    def __init__(self, number: int) -> None:
        self.number = number
        self.woken = asyncio.Event()


class Watch:
    """Lets callers wait for jobs.

    Args:
        jobs: reads the jobs.
        clock: the time.
    """

    def __init__(self, jobs: JobList, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock
        self._waiters: dict[int, set[_Waiter]] = {}
        self._turn = asyncio.Lock()
        self._seen: dict[int, Job] = {}
        self._looked_at = float("-inf")
        self._closed = False

    def on_change(self, change: Change) -> None:
        """Wake the callers who wait for the job that has changed."""
        self._wake(change.job.id)

    def close(self) -> None:
        """End all waits: each caller gets the job as it is."""
        self._closed = True
        for number in self._waiters:
            self._wake(number)

    @property
    def is_full(self) -> bool:
        """Whether too many callers wait already."""
        return sum(map(len, self._waiters.values())) >= MOST_WAITING

    async def wait_for(
        self,
        number: int,
        is_enough: Callable[[Job], bool],
        wait_s: float,
        scope: Scope,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> Job | None:
        """The job as soon as it is as expected, or as it is when the time is over; ``None`` if there is none.

        Args:
            number: which job.
            is_enough: whether the job is as the caller expects.
            wait_s: how long to wait, in seconds.
            scope: the accounts that the caller may see; a job of another account counts as none.
            is_gone: whether the caller has disconnected; checked about once a second.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        waiter = _Waiter(number)
        self._waiters.setdefault(number, set()).add(waiter)
        ends_at = self._clock.monotonic() + wait_s
        try:
            job = (await self._jobs.numbered([number])).get(number)
            if job is None or job.account not in scope:
                return None
            while job is not None and not is_enough(job) and not self._closed and not is_gone():
                left_s = ends_at - self._clock.monotonic()
                if left_s <= 0:
                    break
                if await self._is_woken(waiter, min(left_s, _LOOK_S)):
                    job = (await self._jobs.numbered([number])).get(number)
                else:
                    job = await self._look(number)
            return job
        finally:
            self._waiters[number].discard(waiter)
            if not self._waiters[number]:
                del self._waiters[number]

    def _wake(self, number: int) -> None:
        for waiter in self._waiters.get(number, ()):
            waiter.woken.set()

    async def _is_woken(self, waiter: _Waiter, wait_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await waiter.woken.wait()
        was_woken = waiter.woken.is_set()
        waiter.woken.clear()
        return was_woken

    async def _look(self, number: int) -> Job | None:
        """The job from a query shared by all who wait, at most half a second old."""
        async with self._turn:
            if self._clock.monotonic() - self._looked_at >= _LOOK_S / 2 or number not in self._seen:
                self._seen = await self._jobs.numbered(list(self._waiters))
                self._looked_at = self._clock.monotonic()
            return self._seen.get(number)

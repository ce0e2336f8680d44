"""Waiting for jobs to change, many callers at once, without a question to the database for each of them.

Whoever waits is woken by what this process commits. Jobs that another process serves are seen by one look at the
database for all who wait, about once a second.
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
"""Callers who wait at once: half of the connections that are served, so that others get in."""
_LOOK_S: Final = 1.0


class _Waiter:
    def __init__(self, number: int) -> None:
        self.number = number
        self.woken = asyncio.Event()


class Watch:
    """Knows who waits for which job.

    Args:
        jobs: where jobs are looked at.
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

    def heard(self, change: Change) -> None:
        """Wake whoever waits for the job that has changed."""
        self._wake(change.job.id)

    def close(self) -> None:
        """Let everybody go with what there is."""
        self._closed = True
        for number in self._waiters:
            self._wake(number)

    @property
    def is_full(self) -> bool:
        """Whether nobody else should wait."""
        return sum(map(len, self._waiters.values())) >= MOST_WAITING

    async def until(
        self,
        number: int,
        is_enough: Callable[[Job], bool],
        wait_s: float,
        scope: Scope,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> Job | None:
        """The job as soon as it is enough, or as it stands when the time is over; ``None`` where there is none.

        Args:
            number: which job.
            is_enough: whether the caller is content.
            wait_s: how long to wait, in seconds.
            scope: the accounts that the caller may know of; of others there is no job.
            is_gone: whether nobody waits any more; that shows within about a second.

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
        """The job as of a look that all who wait have a part in, at most as old as the pause between two looks."""
        async with self._turn:
            if self._clock.monotonic() - self._looked_at >= _LOOK_S / 2 or number not in self._seen:
                self._seen = await self._jobs.numbered(list(self._waiters))
                self._looked_at = self._clock.monotonic()
            return self._seen.get(number)

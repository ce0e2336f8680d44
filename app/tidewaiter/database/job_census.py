"""The counts of all jobs: how many are in each state, and how many of each lane have not ended.

Only these counts read as many index entries as there are jobs, so that their time grows with the database. Where there
are many jobs they are kept: a look shows the kept counts at once, and new ones are read beside it. See decision 146.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tidewaiter.domain.account_scope import Scope
from tidewaiter.domain.job import State

_STALE_S_PER_JOB: Final = 1e-5  # ten seconds for a million
_FEW_S: Final = 1.0
_OLDEST: Final = 6.0
_MOST_SCOPES: Final = 64


@dataclass(frozen=True, slots=True)
class Census:
    """The counts at one moment, in epoch seconds; ``lives`` are the jobs that have not ended, by lane."""

    at: float
    states: Mapping[State, int]
    lives: Mapping[int, int]

    @property
    def stale_s(self) -> float:
        """After how many seconds new counts are read; 0.0 where there are so few jobs that each look counts them."""
        seconds = sum(self.states.values()) * _STALE_S_PER_JOB
        return seconds if seconds >= _FEW_S else 0.0


class JobCensus:
    """The counts of one scope, for many readers.

    Args:
        read: counts, at a time in epoch seconds.
    """

    def __init__(self, read: Callable[[float], Awaitable[Census]]) -> None:
        self._read = read
        self._kept: Census | None = None
        self._reading: asyncio.Task[Census] | None = None

    async def at(self, now: float) -> Census:
        """The counts at ``now``, or of a minute before for each million jobs.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        kept = self._kept
        if kept is None or not 0.0 <= now - kept.at < _OLDEST * kept.stale_s:
            return await asyncio.shield(self._begin_count(now))
        if now - kept.at >= kept.stale_s:
            _ = self._begin_count(now)
        return kept

    async def count_ahead(self, now: float) -> Census:
        """Count, if a look after a few more seconds would have to wait for it; the counts that are kept now.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        kept = self._kept
        if kept is None or (kept.stale_s and now - kept.at >= _OLDEST * kept.stale_s / 2):
            return await asyncio.shield(self._begin_count(now))
        return kept

    async def close(self) -> None:
        """End the count that is under way."""
        if self._reading is not None and not self._reading.done():
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _begin_count(self, now: float) -> "asyncio.Task[Census]":
        """The count that is under way, for all who want one; else a new one."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._count(now))
            self._reading.add_done_callback(_forget_fault)
        return self._reading

    async def _count(self, now: float) -> Census:
        self._kept = await self._read(now)
        return self._kept


class Censuses:
    """The counts of each scope in use.

    Args:
        read: counts the jobs of a scope, at a time in epoch seconds.
    """

    def __init__(self, read: Callable[[float, Scope], Awaitable[Census]]) -> None:
        self._read = read
        self._made: OrderedDict[Scope, JobCensus] = OrderedDict()

    def of(self, scope: Scope) -> JobCensus:
        """The counts of these accounts; those of the scope that was made first are dropped where there are too many."""
        if scope not in self._made:
            self._made[scope] = JobCensus(lambda now: self._read(now, scope))
            if len(self._made) > _MOST_SCOPES:  # a reload may add scopes
                self._made.popitem(last=False)
        return self._made[scope]

    async def close(self) -> None:
        """End the counts that are under way: nothing may be read when the database is closed."""
        for census in self._made.values():
            await census.close()


def _forget_fault(task: "asyncio.Task[Census]") -> None:
    """Nobody may be waiting for this count: the next look that needs new counts finds out what is wrong."""
    if not task.cancelled():
        task.exception()

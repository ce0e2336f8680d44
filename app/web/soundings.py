"""Probes of the database for monitoring: limited in time, and cached so that they are no burden."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from app.clock import Clock
from app.metrics.live import DatabaseNow
from app.store.errors import SchemaError, StoreUnavailableError
from app.store.jobs import JobStore
from app.store.lanes import LaneStore
from app.store.overview import OverviewStore

T = TypeVar("T")

_PATIENCE_S: Final = 5.0
_CHECKED_S: Final = 2.0
_LOOKED_S: Final = 10.0
_SHARE: Final = 20.0  # counts that took half a second stay valid for ten


@dataclass(slots=True)
class _Kept(Generic[T]):
    """A value, and until when it is valid."""

    value: T
    until: float


class Soundings:
    """Asks the database, one query at a time, and caches each result for a while.

    Args:
        check: checks that the database responds and its schema fits; raises if not.
        jobs: counts jobs by state.
        overview: counts the due jobs of each lane.
        lanes: names the accounts of lanes.
        free_bytes: the free bytes in the storage folder, ``None`` without a folder; may raise ``OSError``.
        clock: the time.
    """

    def __init__(
        self,
        check: Callable[[], Awaitable[None]],
        *,
        jobs: JobStore,
        overview: OverviewStore,
        lanes: LaneStore,
        free_bytes: Callable[[], Awaitable[int | None]],
        clock: Clock,
    ) -> None:
        self._check = check
        self._jobs = jobs
        self._overview = overview
        self._lanes = lanes
        self._free_bytes = free_bytes
        self._clock = clock
        self._turn = asyncio.Lock()
        self._checked: _Kept[str | None] | None = None
        self._counted: _Kept[DatabaseNow | None] | None = None

    async def database_fault(self) -> str | None:
        """Why the database cannot be used, in one sentence; ``None`` if it can."""
        async with self._turn:
            if self._checked is None or self._checked.until <= self._clock.monotonic():
                self._checked = _Kept(await self._fault(), self._clock.monotonic() + _CHECKED_S)
            return self._checked.value

    async def database_counts(self) -> DatabaseNow | None:
        """What the database holds; ``None`` if it does not respond."""
        async with self._turn:
            begun_at = self._clock.monotonic()
            if self._counted is None or self._counted.until <= begun_at:
                found = await self._count()
                ended_at = self._clock.monotonic()
                self._counted = _Kept(found, ended_at + max(_LOOKED_S, _SHARE * (ended_at - begun_at)))
            return self._counted.value

    async def _fault(self) -> str | None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._check()
        except TimeoutError:
            return f"The database has not answered for {_PATIENCE_S:g} seconds."
        except (StoreUnavailableError, SchemaError) as error:
            return str(error)
        return None

    async def _count(self) -> DatabaseNow | None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                now = self._clock.now()
                counts = await self._jobs.counts()
                backlogs = await self._overview.backlogs(now)
                lanes = await self._lanes.every()
        except (TimeoutError, StoreUnavailableError):
            return None
        due, overdue_s = {lane.account: 0 for lane in lanes}, {lane.account: 0.0 for lane in lanes}
        for lane in lanes:
            backlog = backlogs.get(lane.id)
            if backlog is not None and backlog.oldest_due_at is not None:
                due[lane.account] += backlog.due
                overdue_s[lane.account] = max(overdue_s[lane.account], now - backlog.oldest_due_at)
        return DatabaseNow(
            {state.value: count for state, count in counts.items()}, due, overdue_s, await self._free_space()
        )

    async def _free_space(self) -> int | None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._free_bytes()
        except (TimeoutError, OSError):
            return None

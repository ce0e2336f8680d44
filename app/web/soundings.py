"""Looks into the database for whoever watches the daemon: bounded in time, and seldom enough not to burden it."""

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
_SHARE: Final = 20.0  # a look that takes half a second is good for ten


@dataclass(slots=True)
class _Kept(Generic[T]):
    """What was found, and until when it is good."""

    value: T
    until: float


class Soundings:
    """Asks the database, one question at a time; an answer is kept for a while.

    Args:
        check: whether the database answers and its schema fits; raises where not.
        jobs: counted by state.
        overview: counts in each lane those that are due.
        lanes: tell whose those are.
        free_bytes: the room in the storage's folder, ``None`` where there is no folder; may raise ``OSError``.
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
        self._looked: _Kept[DatabaseNow | None] | None = None

    async def fault(self) -> str | None:
        """Why the database cannot be used, in one sentence; ``None`` where it can."""
        async with self._turn:
            if self._checked is None or self._checked.until <= self._clock.monotonic():
                self._checked = _Kept(await self._fault(), self._clock.monotonic() + _CHECKED_S)
            return self._checked.value

    async def look(self) -> DatabaseNow | None:
        """What the database holds; ``None`` where it does not answer."""
        async with self._turn:
            begun_at = self._clock.monotonic()
            if self._looked is None or self._looked.until <= begun_at:
                found = await self._look()
                ended_at = self._clock.monotonic()
                self._looked = _Kept(found, ended_at + max(_LOOKED_S, _SHARE * (ended_at - begun_at)))
            return self._looked.value

    async def _fault(self) -> str | None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._check()
        except TimeoutError:
            return f"The database has not answered for {_PATIENCE_S:g} seconds."
        except (StoreUnavailableError, SchemaError) as error:
            return str(error)
        return None

    async def _look(self) -> DatabaseNow | None:
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
        return DatabaseNow({state.value: count for state, count in counts.items()}, due, overdue_s, await self._room())

    async def _room(self) -> int | None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._free_bytes()
        except (TimeoutError, OSError):
            return None

"""Looks into the database for whoever watches the daemon: bounded in time, and seldom enough not to burden it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from app.clock import Clock
from app.metrics.live import DatabaseNow
from app.store.errors import SchemaError, StoreUnavailableError
from app.store.jobs import JobStore
from app.store.lanes import LaneStore

_PATIENCE_S: Final = 5.0
_CHECKED_S: Final = 2.0
_LOOKED_S: Final = 10.0
_SHARE: Final = 20.0  # a look that takes half a second is good for ten


@dataclass(slots=True)
class _Kept[T]:
    """What was found, and until when it is good."""

    value: T
    until: float


class Soundings:
    """Asks the database, one question at a time; an answer is kept for a while.

    Args:
        check: whether the database answers and its schema fits; raises where not.
        jobs: counted by state, and asked who is late.
        lanes: tell whose jobs those are.
        free_bytes: the room in the storage's folder, ``None`` where there is no folder; may raise ``OSError``.
        clock: the time.
    """

    def __init__(
        self,
        check: Callable[[], Awaitable[None]],
        jobs: JobStore,
        lanes: LaneStore,
        free_bytes: Callable[[], Awaitable[int | None]],
        clock: Clock,
    ) -> None:
        self._check = check
        self._jobs = jobs
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
                counts = await self._jobs.counts()
                owners = {lane.id: lane.account for lane in await self._lanes.every()}
                due = await self._jobs.next_due(list(owners))
        except (TimeoutError, StoreUnavailableError):
            return None
        overdue_s = dict.fromkeys(owners.values(), 0.0)
        for (lane, _), due_at in due.items():
            overdue_s[owners[lane]] = max(overdue_s[owners[lane]], self._clock.now() - due_at)
        return DatabaseNow({state.value: count for state, count in counts.items()}, overdue_s, await self._room())

    async def _room(self) -> int | None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._free_bytes()
        except (TimeoutError, OSError):
            return None

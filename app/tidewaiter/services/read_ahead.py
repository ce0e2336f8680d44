"""Reads in the background what the first look at a page would wait for, where there are many jobs: see decision 146."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.database.dashboard_store import DashboardStore
from tidewaiter.database.errors import StoreUnavailableError
from tidewaiter.database.trend_store import TrendStore
from tidewaiter.domain.account_scope import EVERY_ACCOUNT

_EVERY_S: Final = 15.0
_FIRST_S: Final = 1.0
"""Nobody waits longer than this for the first reading."""


class ReadAhead:
    """Keeps the counts of all jobs, and the trends of past days, where pages find them.

    Args:
        dashboard: has the counts.
        trends: has the trends.
        clock: the time.
        prepare: does once what the first look would do besides, where there are many jobs.
        prepared: called when that is done, cannot be done, or takes longer than a second, and at the end; perhaps more
            than once.
    """

    def __init__(
        self,
        dashboard: DashboardStore,
        trends: TrendStore,
        clock: Clock,
        *,
        prepare: Callable[[], Awaitable[object]],
        prepared: Callable[[], object],
    ) -> None:
        self._census = dashboard.censuses.of(EVERY_ACCOUNT)
        self._trends = trends
        self._clock = clock
        self._prepare: Callable[[], Awaitable[object]] | None = prepare
        self._prepared = prepared

    async def run(self) -> None:
        """Read again whenever something has become old, until cancelled."""
        late = asyncio.get_running_loop().call_later(_FIRST_S, self._prepared)
        try:
            while True:
                await self.read()
                await self._clock.sleep(_EVERY_S)
        finally:
            late.cancel()
            self._prepared()

    async def read(self) -> None:
        """Read what has become old; a database that cannot be reached is the next look's to report."""
        try:
            kept = await self._census.count_ahead(self._clock.now())
            if kept.stale_s and self._prepare is not None:
                await self._prepare()
                self._prepare = None
            self._prepared()
            await self._trends.read_ahead(self._clock.now())
        except StoreUnavailableError:
            self._prepared()

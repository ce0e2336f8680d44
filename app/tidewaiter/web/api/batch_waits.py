"""Wait for a batch to end.

Many callers wait at once: the end of a job of the batch in this process wakes them, and for what other processes commit
one query a second looks for all of them. Those that one event has woken share one query.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.database.batch_store import BatchStore
from tidewaiter.domain.account_scope import Scope
from tidewaiter.domain.batch import Batch
from tidewaiter.domain.change_feed import JobChange
from tidewaiter.domain.job import TERMINAL, State

MOST_WAITING: Final = 64
_LOOK_S: Final = 1.0
_ENDS: Final = TERMINAL | {State.PARKED}


class BatchWatch:
    """Lets callers wait for batches.

    Args:
        batches: reads them.
        clock: the time.
    """

    def __init__(self, batches: BatchStore, clock: Clock) -> None:
        self._batches = batches
        self._clock = clock
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._turn = asyncio.Lock()
        self._seen: dict[str, Batch] = {}
        self._looked_at = float("-inf")
        self._closed = False

    def on_change(self, change: JobChange) -> None:
        """Wake the callers who wait for the batch of a job that has ended, or waits for a person."""
        name = change.job.context.batch
        if name is not None and change.job.state in _ENDS:
            self._wake(name)

    def close(self) -> None:
        """End all waits: each caller gets the batch as it is."""
        self._closed = True
        for name in self._waiting:
            self._wake(name)

    @property
    def is_full(self) -> bool:
        """Whether too many callers wait already."""
        return sum(map(len, self._waiting.values())) >= MOST_WAITING

    async def wait_for(self, name: str, wait_s: float, scope: Scope, is_gone: Callable[[], bool]) -> Batch | None:
        """The batch as soon as it has ended or waits for a person, or as it is when the time is over.

        Args:
            name: which batch.
            wait_s: how long to wait, in seconds.
            scope: the accounts that the caller may see; a batch without jobs of these counts as none.
            is_gone: whether the caller has disconnected; checked about once a second.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        woken = asyncio.Event()
        self._waiting.setdefault(name, set()).add(woken)
        ends_at = self._clock.monotonic() + wait_s
        try:
            if await self._batches.limited_to(scope).get(name) is None:
                return None
            batch = await self._look(name, self._clock.monotonic())
            while batch is not None and not _is_over(batch) and not self._closed and not is_gone():
                left_s = ends_at - self._clock.monotonic()
                if left_s <= 0:
                    break
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left_s, _LOOK_S)):
                        await woken.wait()
                since = self._clock.monotonic() - (0.0 if woken.is_set() else _LOOK_S / 2)
                woken.clear()
                batch = await self._look(name, since)
            return None if batch is None else batch.within(scope)
        finally:
            self._waiting[name].discard(woken)
            if not self._waiting[name]:
                del self._waiting[name]

    def _wake(self, name: str) -> None:
        for woken in self._waiting.get(name, ()):
            woken.set()

    async def _look(self, name: str, since: float) -> Batch | None:
        """The batch from a query that all who wait share, and that began at ``since`` or later."""
        async with self._turn:
            if self._looked_at < since or name not in self._seen:
                begun_at = self._clock.monotonic()
                self._seen = await self._batches.named(list(self._waiting))
                self._looked_at = begun_at
            return self._seen.get(name)


def _is_over(batch: Batch) -> bool:
    return batch.ended_at is not None or batch.waits_for_a_person

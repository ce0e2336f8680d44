"""The storage gate: closed while the storage takes nothing, so that downloads wait instead of failing one by one."""

import asyncio

from tidewaiter.clock import Clock
from tidewaiter.log import EventLog
from tidewaiter.storage.base import Storage, StorageError

_TRY_AGAIN_S = 15.0


class StorageGate:
    """Open until a step finds the storage full or unreachable; opens again by itself when a trial write succeeds.

    ``open`` is set while downloads may begin.
    """

    def __init__(self, storage: Storage, clock: Clock, log: EventLog) -> None:
        self._storage = storage
        self._clock = clock
        self._log = log
        self._closed = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    def close(self, reason: str) -> None:
        """Begin no more downloads."""
        if self.open.is_set():
            self.open.clear()
            self._closed.set()
            self._log.emit("storage.paused", reason=reason, until_s=_TRY_AGAIN_S)

    async def run(self) -> None:
        """Try the storage while the gate is closed, until cancelled."""
        while True:
            await self._closed.wait()
            await self._clock.sleep(_TRY_AGAIN_S)
            try:
                await self._storage.check()
            except StorageError as error:
                self._log.emit("storage.paused", reason=str(error), until_s=_TRY_AGAIN_S)
                continue
            self._closed.clear()
            self.open.set()
            self._log.emit("storage.resumed")

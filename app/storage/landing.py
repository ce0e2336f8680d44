"""One landing in a folder: the file is written and hashed as it arrives, and landed whole or not at all."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from app.storage.base import ChecksumError, Landed, LandingContext, StorageError
from app.storage.files import in_words
from app.storage.partials import Part
from app.storage.places import Place
from app.storage.threads import Run

T = TypeVar("T")

_BLOCK_BYTES = 2**20
_MOST_PIECES = 1000  # writev takes 1024 on Linux; a host may send single bytes


class LocalLanding(LandingContext):
    """A download in progress; see :class:`app.storage.base.Landing`.

    While one block is hashed and written in a thread, the next fills up here.
    """

    def __init__(self, part: Part, final: Place, key: str, run: Run) -> None:
        self.offset = part.size
        self.validator = part.validator
        self.total = part.total
        self._part = part
        self._final = final
        self._key = key
        self._run = run
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._running: asyncio.Future[Any] | None = None

    async def write(self, chunk: bytes) -> None:
        """Write the next bytes of the file."""
        self._pieces.append(chunk)
        self._waiting_bytes += len(chunk)
        if self._waiting_bytes >= _BLOCK_BYTES or len(self._pieces) >= _MOST_PIECES:
            await self._hand_over()

    async def restart(self) -> None:
        """Drop all bytes."""
        self._pieces = []
        self._waiting_bytes = 0
        await self._call("start over", self._part.restart)
        self.offset = 0
        self.validator = None
        self.total = None

    async def checkpoint(self, validator: str | None, total: int | None = None) -> bool:
        """End; with a strong validator the bytes are kept for a later opening."""
        await self._settle()
        if self._part.closed:
            return False
        if validator is None or validator.startswith("W/"):
            await self.discard()
            return False
        await self._flush()
        save = partial(self._part.save, validator, total)
        await self._call("keep the beginning of", save)
        return True

    async def finish(self, *, sha256: str | None = None, size: int | None = None, md5: str | None = None) -> Landed:
        """Verify the file and give it its final name, durably; replaces a file with that name."""
        await self._flush()
        try:
            self._part.verify(sha256=sha256, size=size, md5=md5)
        except ChecksumError:
            await self.discard()
            raise
        return await self._call("land", partial(self._part.land, self._final))

    async def discard(self) -> None:
        """End, and keep nothing; does nothing where the landing has ended."""
        self._pieces = []
        with suppress(StorageError):
            await self._settle()
        if not self._part.closed:
            await self._drop()

    async def _flush(self) -> None:
        if self._pieces:
            await self._hand_over()
        await self._settle()

    async def _hand_over(self) -> None:
        await self._settle()
        pieces, self._pieces = self._pieces, []
        self._waiting_bytes = 0
        self._running = self._begin("write", partial(self._part.append, pieces))

    async def _call(self, doing: str, work: Callable[[], T]) -> T:
        await self._settle()
        running = self._begin(doing, work)
        self._running = running
        await self._settle()
        return running.result()

    def _begin(self, doing: str, work: Callable[[], T]) -> asyncio.Future[T]:
        def spoken() -> T:
            with in_words(f"{doing} {self._key}"):
                return work()

        return asyncio.ensure_future(self._run(spoken))

    async def _settle(self) -> None:
        """Wait until the thread has finished with the file; one call at a time uses it."""
        if self._running is None:
            return
        try:
            await asyncio.shield(self._running)
        except StorageError:
            self._running = None
            await self._drop()
            raise
        self._running = None

    async def _drop(self) -> None:
        running = self._running = self._begin("remove", self._part.drop)
        with suppress(StorageError):
            await asyncio.shield(running)
        self._running = None

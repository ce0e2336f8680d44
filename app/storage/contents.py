"""Reads a landed file from a local file system: with one descriptor, outside the event loop."""

import os
from collections.abc import AsyncIterator
from functools import partial

from app.storage.base import StorageError
from app.storage.files import in_words
from app.storage.threads import Run

_PIECE_BYTES = 2**20


class LocalContent:
    """A landed file; see :class:`app.storage.base.Content`. The opener closes the descriptor."""

    def __init__(self, descriptor: int, key: str, run: Run) -> None:
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor
        self._key = key
        self._run = run

    async def pieces(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes of a range, a piece at a time."""
        while start < stop:
            piece = await self._run(partial(self._read, start, min(_PIECE_BYTES, stop - start)))
            if not piece:
                raise StorageError(f"{self._key} has become shorter while it was read.")
            start += len(piece)
            yield piece

    def _read(self, start: int, size: int) -> bytes:
        with in_words(f"read {self._key}"):
            return os.pread(self._descriptor, size, start)

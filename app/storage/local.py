"""Storage in a folder: whole files under their keys, and unfinished files in a folder beside them."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from app.storage.base import Landed, StorageError, StorageUnavailableError
from app.storage.contents import LocalContent
from app.storage.files import in_words, measure, names_in, open_landed, remove_durably, size_of
from app.storage.keys import parts_of
from app.storage.landing import LocalLanding
from app.storage.partials import Part, Partials
from app.storage.places import Place
from app.storage.threads import Run

T = TypeVar("T")


class LocalStorage:
    """Files below one folder; a key is the path below it. See :class:`app.storage.base.Storage`.

    Args:
        root: the folder; created if it is missing.
        run: runs blocking work, see :class:`app.storage.threads.StorageThreads`.
    """

    def __init__(self, root: Path, run: Run) -> None:
        self._root = root
        self._partials = Partials(root)
        self._run = run

    async def open(self, key: str, job_id: int, number: int, *, md5: bool = False, identity: str = "") -> LocalLanding:
        """Begin to land a file, or continue from its checkpoint, whose bytes are all read again."""
        final = Place.of(self._root, key)
        opening = asyncio.ensure_future(
            self._start(f"open {key}", partial(self._partials.open, job_id, number, md5=md5, identity=identity))
        )
        try:
            part = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_drop_opened)
            raise
        return LocalLanding(part, final, key, self._run)

    async def put(self, key: str, content: bytes) -> Landed:
        """Land a small file as a whole; replaces a file with that name."""
        final = Place.of(self._root, key)
        await self._start(f"write {key}", partial(self._partials.put, final, content))
        return Landed(len(content), hashlib.sha256(content).hexdigest())

    async def copy(self, source: str, key: str) -> Landed:
        """Land a copy of a landed file under another key."""
        there, final = Place.of(self._root, source), Place.of(self._root, key)
        size, sha256 = await self._start(f"copy {source}", partial(self._partials.copy, there, final))
        return Landed(size, sha256)

    async def find(self, key: str) -> int | None:
        """The size of a landed file in bytes, ``None`` if there is none."""
        return await self._start(f"look for {key}", partial(size_of, Place.of(self._root, key)))

    @asynccontextmanager
    async def reading(self, key: str) -> AsyncIterator[LocalContent | None]:
        """Open a landed file for reading."""
        descriptor = await self._start(f"read {key}", partial(open_landed, Place.of(self._root, key)))
        if descriptor is None:
            yield None
            return
        try:
            yield LocalContent(descriptor, key, self._run)
        finally:
            os.close(descriptor)

    async def measure(self, key: str) -> Landed | None:
        """A landed file's present size and newly computed checksum."""
        found = await self._start(f"read {key}", partial(measure, Place.of(self._root, key)))
        return None if found is None else Landed(*found)

    async def list(self, folder: str) -> Sequence[str]:
        """The keys of the landed files of a folder."""
        names = await self._start(f"list {folder}", partial(names_in, self._root, parts_of(folder)))
        return [f"{folder}/{name}" for name in names]

    async def remove(self, key: str) -> None:
        """Remove a landed file, durably."""
        await self._start(f"remove {key}", partial(remove_durably, Place.of(self._root, key)))

    async def drop_partials(self, job_id: int) -> None:
        """Remove all unfinished files of a job."""
        await self._start("remove unfinished files", partial(self._partials.drop, job_id))

    async def sweep(self, older_than: float, keep: Collection[int]) -> int:
        """Remove abandoned unfinished files; returns their number."""
        return await self._start("sweep unfinished files", partial(self._partials.sweep, older_than, keep))

    async def check(self) -> None:
        """Write, sync and remove a small file; returning means that the storage works."""
        await self._start("write a probe", self._partials.probe)

    def _start(self, doing: str, work: Callable[[], T]) -> Awaitable[T]:
        def spoken() -> T:
            try:
                with in_words(doing):
                    return work()
            except StorageUnavailableError:
                raise
            except StorageError as error:
                if self._takes_nothing():
                    raise StorageUnavailableError(str(error)) from error
                raise

        return self._run(spoken)

    def _takes_nothing(self) -> bool:
        """Whether a failure concerns all files: then every job waits, and none is at fault."""
        try:
            self._partials.probe()
        except (OSError, StorageError):
            return True
        return False


def _drop_opened(opening: asyncio.Future[Part]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        with suppress(OSError, StorageError):
            opening.result().drop()

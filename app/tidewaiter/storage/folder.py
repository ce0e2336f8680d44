"""Storage in a folder: whole files under their keys, and landings that hash while they write."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tidewaiter.file_access import why_denied
from tidewaiter.storage.base import (
    ChecksumError,
    Landed,
    LandingContext,
    LandingGroup,
    LandingsByThemselves,
    RunInThread,
    StorageError,
    StorageUnavailableError,
)
from tidewaiter.storage.durable_files import (
    LocalContent,
    as_storage_errors,
    measure,
    names_in,
    open_landed,
    remove_durably,
    size_of,
)
from tidewaiter.storage.folder_group import FolderGroup
from tidewaiter.storage.partial_files import PartialFile, PartialFiles
from tidewaiter.storage.safe_paths import Place, parts_of

T = TypeVar("T")

_BLOCK_BYTES = 2**20
_MOST_PIECES = 1000  # writev accepts 1024 on Linux; a host may send single bytes


class LocalLanding(LandingContext):
    """A download in progress; see :class:`tidewaiter.storage.base.Landing`.

    While one block is hashed and written in a thread, the next fills up here. ``judge`` says whether a failure is one
    of the whole storage.
    """

    def __init__(
        self,
        part: PartialFile,
        final: Place,
        key: str,
        run: RunInThread,
        judge: Callable[[StorageError], StorageError],
    ) -> None:
        self.offset = part.size
        self.validator = part.validator
        self.total = part.total
        self._part = part
        self._final = final
        self._key = key
        self._run = run
        self._judge = judge
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._running: asyncio.Future[Any] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the part is closed, and no thread works on it."""
        return self._running is None and self._part.closed

    def comes_from(self, validator: str | None, total: int | None) -> None:
        """The next bytes belong to what has this strong ETag and this size; of a large file they are kept."""
        self._part.comes_from(validator, total)

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
        with suppress(ChecksumError):
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
        pieces, self._pieces = self._pieces, []

        def land() -> Landed:  # the last block and all that follows in one hand-off
            if pieces:
                with as_storage_errors(f"write {self._key}"):
                    self._part.append(pieces)
            self._part.verify(sha256=sha256, size=size, md5=md5)
            return self._part.land(self._final)

        return await self._call("land", land)

    async def discard(self) -> None:
        """End, and keep nothing; does nothing if the landing has ended."""
        self._pieces = []
        with suppress(StorageError, ChecksumError):
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
        def translated() -> T:
            try:
                with as_storage_errors(f"{doing} {self._key}"):
                    return work()
            except StorageError as error:
                judged = self._judge(error)
                if judged is error:
                    raise
                raise judged from error

        return asyncio.ensure_future(self._run(translated))

    async def _settle(self) -> None:
        """Wait until the thread has finished with the file; one call at a time uses it."""
        if self._running is None:
            return
        try:
            await asyncio.shield(self._running)
        except (StorageError, ChecksumError):
            self._running = None
            await self._drop()
            raise
        self._running = None

    async def _drop(self) -> None:
        running = self._running = self._begin("remove", self._part.drop)
        with suppress(StorageError):
            await asyncio.shield(running)
        self._running = None


class LocalStorage:
    """Files below one folder; a key is the path below it. See :class:`tidewaiter.storage.base.Storage`.

    Args:
        root: the folder; created if it is missing.
        run: runs blocking work, see :class:`tidewaiter.storage.base.StorageThreads`.
    """

    def __init__(self, root: Path, run: RunInThread) -> None:
        self._root = root
        self._partials = PartialFiles(root)
        self._run = run

    async def open(self, key: str, job_id: int, number: int, *, md5: bool = False, identity: str = "") -> LocalLanding:
        """Begin to land a file, or continue from its checkpoint, whose bytes are all read again."""
        return await self._opened(key, partial(self._partials.open, job_id, number, md5=md5, identity=identity))

    def group(self, job_id: int, files: int) -> AbstractAsyncContextManager[LandingGroup]:
        """Land files of a job in one step; a single one needs no folder for the step."""

        async def alone(key: str, number: int, *, md5: bool, identity: str) -> LocalLanding:
            first = partial(self._partials.open, job_id, number, md5=md5, identity=identity, takes_over=True)
            return await self._opened(key, first)

        async def large(
            key: str, number: int, *, md5: bool, identity: str, step: tuple[str, ...] | None
        ) -> LocalLanding:
            if step is None:
                return await self.open(key, job_id, number, md5=md5, identity=identity)
            make = partial(self._partials.make, step, job_id, number, md5=md5, identity=identity)
            return await self._opened(key, make)

        return LandingsByThemselves(alone) if files == 1 else FolderGroup(self._root, job_id, self._begin, large)

    async def _opened(self, key: str, work: Callable[[], PartialFile]) -> LocalLanding:
        final = Place.of(self._root, key)
        opening = self._begin(f"open {key}", work)
        try:
            part = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_drop_opened)
            raise
        return LocalLanding(part, final, key, self._run, self._judged)

    def _begin(self, doing: str, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.ensure_future(self._start(doing, work))

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
        def translated() -> T:
            try:
                with as_storage_errors(doing):
                    return work()
            except StorageError as error:
                judged = self._judged(error)
                if judged is error:
                    raise
                raise judged from error

        return self._run(translated)

    def _judged(self, error: StorageError) -> StorageError:
        """A failure, as one of the whole storage if nothing can be written at all."""
        if isinstance(error, StorageUnavailableError) or not self._is_unusable():
            return error
        denied = why_denied(self._root, os.W_OK | os.X_OK)
        return StorageUnavailableError(f"{error} {denied}." if denied else str(error))

    def _is_unusable(self) -> bool:
        """Whether nothing can be written at all: then every job waits, and no job fails."""
        try:
            self._partials.probe()
        except (OSError, StorageError):
            return True
        return False


def _drop_opened(opening: asyncio.Future[PartialFile]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        with suppress(OSError, StorageError):
            opening.result().drop()

"""Storage on a local file system: whole files under their keys, and the unfinished ones in a folder beside them."""

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from app.storage.base import Landed, StorageError, StorageUnavailableError
from app.storage.contents import LocalContent, open_below
from app.storage.files import copy_whole, create, in_words, path_of, remove, write_all, write_whole
from app.storage.landing import LocalLanding
from app.storage.partials import Part, Partials
from app.storage.threads import Run

T = TypeVar("T")

_PROBE = bytes(64 * 1024)


class LocalStorage:
    """Files below one folder; a key is the path below it. See :class:`app.storage.base.Storage`.

    Args:
        root: the folder; made when it is not there.
        run: runs blocking work, see :class:`app.storage.threads.StorageThreads`.
    """

    def __init__(self, root: Path, run: Run) -> None:
        self._root = root
        self._partials = Partials(root / ".partial")
        self._run = run

    async def open(self, key: str, job_id: int, number: int, *, md5: bool = False, identity: str = "") -> LocalLanding:
        """Begin to land a file, or go on from its checkpoint, of which every byte is read again."""
        final = path_of(self._root, key)
        opening = asyncio.ensure_future(
            self._start(f"open {key}", partial(self._partials.open, job_id, number, md5=md5, identity=identity))
        )
        try:
            part = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_drop_opened)
            raise
        return LocalLanding(part, final, self._partials.checkpoint_path(job_id, number), key, self._run)

    async def put(self, key: str, content: bytes) -> Landed:
        """Land a small file whole, replacing one of that name."""
        final = path_of(self._root, key)
        await self._start(f"write {key}", lambda: write_whole(self._partials.temporary(), final, content))
        return Landed(len(content), hashlib.sha256(content).hexdigest())

    async def copy(self, source: str, key: str) -> Landed:
        """Land a copy of a landed file under another key."""
        path, final = path_of(self._root, source), path_of(self._root, key)
        size, sha256 = await self._start(f"copy {source}", lambda: copy_whole(path, self._partials.temporary(), final))
        return Landed(size, sha256)

    async def find(self, key: str) -> int | None:
        """The size of a landed file in bytes, ``None`` where there is none."""
        return await self._start(f"look for {key}", partial(_size_of, path_of(self._root, key)))

    @asynccontextmanager
    async def reading(self, key: str) -> AsyncIterator[LocalContent | None]:
        """Open a landed file for reading."""
        path = path_of(self._root, key)
        descriptor = await self._start(f"read {key}", partial(open_below, self._root, path))
        if descriptor is None:
            yield None
            return
        try:
            yield LocalContent(descriptor, key, self._run)
        finally:
            os.close(descriptor)

    async def drop_partials(self, job_id: int) -> None:
        """Remove whatever was begun for a job and not landed."""
        await self._start("remove unfinished files", partial(self._partials.drop, job_id))

    async def sweep(self, older_than: float, keep: Collection[int]) -> int:
        """Remove unfinished files that nobody will finish; tells how many."""
        return await self._start("sweep unfinished files", partial(self._partials.sweep, older_than, keep))

    async def check(self) -> None:
        """Write, sync and remove a small file; returning means that the storage works."""
        await self._start("write a probe", self._probe)

    def _probe(self) -> None:
        path = self._partials.temporary()
        descriptor = create(path)
        try:
            write_all(descriptor, [_PROBE])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            remove(path)

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
        """Whether a failure is no matter of one file: then every job waits, and none is to blame."""
        try:
            self._probe()
        except OSError:
            return True
        return False


def _drop_opened(opening: asyncio.Future[Part]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        with suppress(OSError):
            opening.result().drop()


def _size_of(path: Path) -> int | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None

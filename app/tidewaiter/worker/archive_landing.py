"""Unpacking an archive that has been downloaded: every member lands, or none of them is counted."""

import asyncio
import errno
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO, TypeVar, cast

from tidewaiter.clock import Clock
from tidewaiter.domain import outcome as o
from tidewaiter.domain.file_identity import part_number
from tidewaiter.domain.manifest import ArchiveMember, Artifact
from tidewaiter.providers.values.texts import plain, shorten
from tidewaiter.storage.base import Content, Landed, Storage, StorageError
from tidewaiter.worker.archive_reading import (
    ArchiveBrokenError,
    ArchiveLimits,
    ArchiveRefusedError,
    Member,
    open_archive,
)
from tidewaiter.worker.file_download import storage_failure

T = TypeVar("T")

_BUFFER_BYTES = 1_048_576
_LONGEST_LABEL = 255


class _StoppedError(Exception):
    """The step was stopped while a thread was reading."""


class _StoredFile(io.RawIOBase):
    """A landed file as a file of a thread; each read asks the event loop for a range of it."""

    def __init__(self, content: Content, loop: asyncio.AbstractEventLoop) -> None:
        self._content = content
        self._loop = loop
        self._at = 0
        self.stopped = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        at = offset + (0, self._at, self._content.size)[whence]
        if at < 0:
            raise OSError(errno.EINVAL, "a position before the beginning")  # as the system says it of a file
        self._at = at
        return at

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # what it is given
        if self.stopped:
            raise _StoppedError
        stop = min(self._at + len(buffer), self._content.size)
        if stop <= self._at:
            return 0
        data = asyncio.run_coroutine_threadsafe(self._range(self._at, stop), self._loop).result()
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    async def _range(self, start: int, stop: int) -> bytes:
        return b"".join([piece async for piece in self._content.pieces(start, stop)])


@dataclass(frozen=True, slots=True)
class PackedArchive:
    """An archive that has landed under ``key``, for a while: its kind, its name, its identity and its checksum."""

    kind: str
    key: str
    name: str
    identity: str
    landed: Landed


class ArchiveLanding:
    """Lands the members of archives.

    Args:
        storage: has the archive, and gets its members.
        clock: the time.
        without_secrets: hides the secrets in the paths of members.
    """

    def __init__(self, storage: Storage, clock: Clock, without_secrets: Callable[[str], str]) -> None:
        self._storage = storage
        self._clock = clock
        self._without_secrets = without_secrets

    async def land(
        self,
        job_id: int,
        archive: PackedArchive,
        limits: ArchiveLimits,
        place_of: Callable[[Member, int, int], tuple[int, str]],
        *,
        media_type: str | None,
        may_remove: Callable[[], bool],
    ) -> list[Artifact] | o.Outcome:
        """Land every member, and remove the archive; if one of them fails, those before it are removed.

        Args:
            job_id: whose files they are.
            archive: the archive.
            limits: of its members.
            place_of: the number and the key of a member, from its place in the archive and the number of members.
            media_type: of the members; ``None`` if it is not known.
            may_remove: whether files may be removed, because the lease is held.

        Returns:
            The artifacts of all members, or why there are none.
        """
        landed: list[Artifact] = []
        whole = False
        try:
            async with self._storage.reading(archive.key) as content:
                if content is None:
                    return o.Retry("the archive was removed before it was unpacked")
                await self._members(job_id, archive, content, limits, place_of, media_type, landed)
            whole = True
            return landed
        except ArchiveRefusedError as error:
            return o.Refused(str(error))
        except ArchiveBrokenError as error:
            return o.Retry(str(error))
        except StorageError as error:
            return storage_failure(error)
        finally:
            if may_remove():
                unwanted = [archive.key, *(() if whole else (one.key for one in landed))]
                await asyncio.shield(asyncio.ensure_future(self._remove(unwanted)))

    async def _remove(self, keys: Sequence[str]) -> None:
        for key in keys:
            with suppress(StorageError):
                await self._storage.remove(key)

    async def _members(  # noqa: PLR0917  # called in one place
        self,
        job_id: int,
        archive: PackedArchive,
        content: Content,
        limits: ArchiveLimits,
        place_of: Callable[[Member, int, int], tuple[int, str]],
        media_type: str | None,
        landed: list[Artifact],
    ) -> None:
        stored = _StoredFile(content, asyncio.get_running_loop())
        file = cast(BinaryIO, io.BufferedReader(stored, _BUFFER_BYTES))
        limits = replace(limits, without_secrets=self._without_secrets)
        opened = await _in_thread(stored, partial(open_archive, archive.kind, file, content.size, limits))
        pieces = opened.pieces()
        for place, found in enumerate(opened.members):
            member = replace(found, path=self._without_secrets(found.path))
            number, key = place_of(member, place, len(opened.members))
            named = ArchiveMember(
                archive.identity, place, len(opened.members), archive.landed.size, archive.landed.sha256, archive.name
            )
            got = await self._one(job_id, key, named.identity, stored, pieces)
            landed.append(
                Artifact(
                    number=number,
                    name=key.rsplit("/", 1)[-1],
                    label=shorten(plain(member.path), _LONGEST_LABEL),
                    key=key,
                    size=got.size,
                    sha256=got.sha256,
                    media_type=media_type or "application/octet-stream",
                    landed_at=self._clock.now(),
                    identity=named.identity,
                )
            )
        await _in_thread(stored, partial(next, pieces, None))  # the end of the archive is read, too

    async def _one(
        self, job_id: int, key: str, identity: str, stored: _StoredFile, pieces: Iterator[tuple[int, bytes]]
    ) -> Landed:
        async with await self._storage.open(key, job_id, part_number(identity), identity=identity) as landing:
            if landing.offset:
                await landing.restart()
            while True:
                _, piece = await _in_thread(stored, partial(next, pieces, (0, b"")))
                if not piece:
                    return await landing.finish()
                await landing.write(piece)


async def _in_thread(stored: _StoredFile, work: Callable[[], T]) -> T:
    """The result of blocking work, which may read ``stored``; a thread never outlives the step."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stored.stopped = True
        running.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait([running])
        raise

"""What every storage does, what it answers with, and how it fails. ``str()`` of each error is one sentence."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class Landed:
    """One file that is durable under its final name. ``size`` in bytes, ``sha256`` lower-case hex of its bytes."""

    size: int
    sha256: str


class StorageError(Exception):
    """The storage failed, for a reason of its own."""


class StorageUnavailableError(StorageError):
    """The storage as a whole takes nothing for now: no job is to blame, and downloads had better wait."""


class StorageFullError(StorageUnavailableError):
    """The storage has no room, or the quota is spent."""


class StorageSetupError(Exception):
    """The storage cannot even be opened, as it is configured."""


class ChecksumError(Exception):
    """What was received is not what was announced; nothing of it is kept."""


class LandingContext:
    """A landing as a context: leaving it discards what was neither finished nor kept, whatever happened meanwhile."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # In a task of its own, which ends also where the step that waits for it is cancelled.
        await asyncio.shield(asyncio.ensure_future(self.discard()))

    @abstractmethod
    async def discard(self) -> None:
        """End, and keep nothing; does nothing where the landing has ended."""


class Landing(AbstractAsyncContextManager["Landing"], Protocol):
    """A download in progress; a context that always ends it.

    It ends in one of :meth:`finish`, :meth:`checkpoint` and :meth:`discard`; where the storage or a checksum fails, it
    has ended and nothing of it is left. Ending it again does nothing. Being cancelled ends nothing: what runs goes on,
    and whichever call comes next waits for it.
    """

    @property
    def offset(self) -> int:
        """How many bytes are here already from an earlier checkpoint."""

    @property
    def validator(self) -> str | None:
        """The strong ETag that they came with."""

    @property
    def total(self) -> int | None:
        """How many bytes the whole file has, where a reply has named it."""

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes of the file; a storage slower than the network makes this wait.

        Raises:
            StorageFullError: there is no room.
            StorageError: the storage failed otherwise.
        """

    async def restart(self) -> None:
        """Forget every byte: the remote sends the file from its beginning, or it is another one by now."""

    async def checkpoint(self, validator: str | None, total: int | None = None) -> bool:
        """End for now, and keep what is here for a later opening, where the storage can.

        Args:
            validator: the strong ETag that the bytes came with. Without one nobody could tell later whether the rest
                belongs to them, so nothing is kept.
            total: how many bytes the whole file has; ``None`` where no reply has named it.

        Returns:
            Whether it is kept.
        """

    async def finish(self, *, sha256: str | None = None, size: int | None = None, md5: str | None = None) -> Landed:
        """Verify the file and give it its final name, durably; one of that name is replaced.

        Args:
            sha256: what was announced, in hex; ``None`` where nothing was.
            size: the same, in bytes.
            md5: the same, in hex; the landing must have been opened with ``md5``.

        Raises:
            ChecksumError: it is not what was announced.
            StorageError: as for :meth:`write`.
        """

    async def discard(self) -> None:
        """End, and keep nothing; does nothing where the landing has ended."""


class Content(Protocol):
    """A landed file that is being read: the same from its first byte to its last, whatever lands meanwhile."""

    @property
    def size(self) -> int:
        """Its size in bytes."""

    def pieces(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to ``stop``, a piece of a few megabytes at most at a time.

        Raises:
            StorageError: not all of them are there any more.
        """


class Storage(Protocol):
    """Where finished files are kept, each under a key: a path with forward slashes.

    Every method raises ``StorageFullError`` where there is no room, ``StorageUnavailableError`` where nothing can be
    stored for now, and ``StorageError`` where the storage fails otherwise or a key would lead elsewhere.
    """

    async def open(self, key: str, job_id: int, number: int, *, md5: bool = False, identity: str = "") -> Landing:
        """Begin to land a file, or go on from its checkpoint.

        Args:
            key: the file's final name.
            job_id: whose file it is.
            number: which of the job's files.
            md5: whether an MD5 was announced too, and must be reckoned along.
            identity: which remote file it is. A checkpoint of another one is not gone on from: an entity tag says
                nothing about another file.
        """

    async def put(self, key: str, content: bytes) -> Landed:
        """Land a small file whole, replacing one of that name."""

    async def copy(self, source: str, key: str) -> Landed:
        """Land a copy of a landed file under another key, with its checksum reckoned anew."""

    async def find(self, key: str) -> int | None:
        """The size of a landed file in bytes, ``None`` where there is none."""

    def reading(self, key: str) -> AbstractAsyncContextManager[Content | None]:
        """Open a landed file for reading, ``None`` where there is none."""

    async def drop_partials(self, job_id: int) -> None:
        """Remove whatever was begun for a job and is not landed."""

    async def sweep(self, older_than: float, keep: Collection[int]) -> int:
        """Remove unfinished files that nobody will finish.

        Args:
            older_than: only what was last written before, in epoch seconds.
            keep: the jobs whose files stay.

        Returns:
            How many files were removed.
        """

    async def check(self) -> None:
        """Write and remove a small file; returning means that the storage works."""

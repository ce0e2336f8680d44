"""What every storage does, what it returns, and how it fails; the hashes and the threads that all storages use.

``str()`` of each error is one sentence.
"""

import asyncio
import hashlib
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, TypeVar


@dataclass(frozen=True, slots=True)
class Landed:
    """A file that is durable under its final name. ``size`` in bytes, ``sha256`` lower-case hex of its bytes."""

    size: int
    sha256: str


class StorageError(Exception):
    """The storage failed."""


class StorageUnavailableError(StorageError):
    """The whole storage accepts no files now: it is not the job's fault, and downloads should wait."""


class StorageFullError(StorageUnavailableError):
    """The storage has no space or no quota left."""


class StorageSetupError(Exception):
    """The storage cannot be opened with this configuration."""


class ChecksumError(Exception):
    """The received bytes are not those that were announced; none of them are kept."""


class LandingContext:
    """A landing as a context manager: leaving it discards a file that was neither finished nor kept."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.has_ended:
            return
        # In a separate task, which also ends when the step that waits for it is cancelled.
        await asyncio.shield(asyncio.ensure_future(self.discard()))

    @property
    def has_ended(self) -> bool:
        """Whether nothing is left to discard; ``False`` if that is not known."""
        return False

    @abstractmethod
    async def discard(self) -> None:
        """End, and keep nothing; does nothing if the landing has ended."""


class Landing(AbstractAsyncContextManager["Landing"], Protocol):
    """A download in progress; a context manager that always ends it.

    One of :meth:`finish`, :meth:`checkpoint` and :meth:`discard` ends it. If the storage or a checksum fails, it has
    ended and nothing is left. To end it again does nothing. A cancelled call does not end it: its work continues, and
    the next call waits for it.
    """

    @property
    def offset(self) -> int:
        """How many bytes an earlier checkpoint has kept."""

    @property
    def validator(self) -> str | None:
        """The strong ETag of these bytes."""

    @property
    def total(self) -> int | None:
        """The size of the whole file in bytes, if a reply has named it."""

    def comes_from(self, validator: str | None, total: int | None) -> None:
        """The next bytes belong to what has this strong ETag and this size; ``None`` if that is not known."""

    async def write(self, chunk: bytes) -> None:
        """Write the next bytes of the file; waits if the storage is slower than the network.

        Raises:
            StorageFullError: there is no space.
            StorageError: the storage failed for another reason.
        """

    async def restart(self) -> None:
        """Drop all bytes: the remote sends the file from its beginning, or has another file now."""

    async def checkpoint(self, validator: str | None, total: int | None = None) -> bool:
        """End, and keep the bytes for a later opening, if the storage can.

        Args:
            validator: the strong ETag of the bytes. Without one it is unknown later whether the rest belongs to them,
                so nothing is kept.
            total: the size of the whole file in bytes; ``None`` if no reply has named it.

        Returns:
            Whether it is kept.
        """

    async def finish(self, *, sha256: str | None = None, size: int | None = None, md5: str | None = None) -> Landed:
        """Verify the file and give it its final name, durably; replaces a file with that name.

        Args:
            sha256: the announced checksum in hex; ``None`` if none was announced.
            size: the announced size in bytes, or ``None``.
            md5: the announced MD5 in hex, or ``None``; the landing must have been opened with ``md5``.

        Raises:
            ChecksumError: the file differs from what was announced.
            StorageError: as for :meth:`write`.
        """

    async def discard(self) -> None:
        """End, and keep nothing; does nothing if the landing has ended."""


class LandingGroup(AbstractAsyncContextManager["LandingGroup"], Protocol):
    """The landings of one step of a job; several can be in progress. All must have ended when the context is left."""

    async def open(self, key: str, number: int, *, md5: bool = False, identity: str = "") -> Landing:
        """Begin to land a file, or continue from its checkpoint; the rest is as for :meth:`Storage.open`."""

    async def sync(self) -> None:
        """Make the names of all files durable that have landed so far; before, a power failure may lose them.

        Raises:
            StorageError: it is not known of any of them whether it is durable.
        """


class Content(Protocol):
    """A landed file that is being read: the same file from its first byte to its last, even if another one lands."""

    @property
    def size(self) -> int:
        """Its size in bytes."""

    def pieces(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to ``stop``, in pieces of a few megabytes at most.

        Raises:
            StorageError: some of them are no longer there.
        """


class Storage(Protocol):
    """Where finished files are kept, each under a key: a path with forward slashes.

    Every method raises ``StorageFullError`` without space, ``StorageUnavailableError`` if nothing can be stored now,
    and ``StorageError`` if the storage fails otherwise or a key is not below the root.
    """

    async def open(self, key: str, job_id: int, number: int, *, md5: bool = False, identity: str = "") -> Landing:
        """Begin to land a file, or continue from its checkpoint.

        Args:
            key: the file's final name.
            job_id: whose file it is.
            number: which of the job's files.
            md5: whether an MD5 was announced too, and must be computed.
            identity: which remote file it is. A checkpoint of another file is not used, because an entity tag says
                nothing about another file.
        """

    def group(self, job_id: int, files: int) -> AbstractAsyncContextManager[LandingGroup]:
        """Land so many files of a job in one step; what its earlier steps have not finished, they cannot finish."""

    async def put(self, key: str, content: bytes) -> Landed:
        """Land a small file as a whole; replaces a file with that name."""

    async def copy(self, source: str, key: str) -> Landed:
        """Land a copy of a landed file under another key, with a newly computed checksum."""

    async def find(self, key: str) -> int | None:
        """The size of a landed file in bytes, ``None`` if there is none."""

    def reading(self, key: str) -> AbstractAsyncContextManager[Content | None]:
        """Open a landed file for reading, ``None`` if there is none."""

    async def measure(self, key: str) -> Landed | None:
        """A landed file's present size and newly computed checksum; ``None`` if there is none."""

    async def list(self, folder: str) -> Sequence[str]:
        """The keys of the landed files of a folder, without those of folders below it."""

    async def remove(self, key: str) -> None:
        """Remove a landed file, durably; one that is not there is no error."""

    async def drop_partials(self, job_id: int) -> None:
        """Remove all unfinished files of a job."""

    async def sweep(self, older_than: float, keep: Collection[int]) -> int:
        """Remove abandoned unfinished files.

        Args:
            older_than: only files that were last written before this time, in epoch seconds.
            keep: the jobs whose files stay.

        Returns:
            How many files were removed.
        """

    async def check(self) -> None:
        """Write and remove a small file; returning means that the storage works."""


class LandingsByThemselves(nullcontext["LandingsByThemselves"]):
    """Landings that have nothing in common; see :class:`LandingGroup`. Each is durable when it is finished.

    Args:
        opening: :meth:`Storage.open` for the files of the job.
    """

    def __init__(self, opening: Callable[..., Awaitable[Landing]]) -> None:
        super().__init__(self)
        self._opening = opening

    async def open(self, key: str, number: int, *, md5: bool = False, identity: str = "") -> Landing:
        """See :meth:`LandingGroup.open`."""
        return await self._opening(key, number=number, md5=md5, identity=identity)

    async def sync(self) -> None:
        """Do nothing."""


class ContentHash:
    """Counts and hashes the bytes of one file as they arrive; computes an MD5 too if one was announced."""

    def __init__(self, *, md5: bool) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None

    def update(self, piece: bytes) -> None:
        """Count and hash the next bytes."""
        self._sha256.update(piece)
        if self._md5 is not None:
            self._md5.update(piece)
        self.size += len(piece)

    @property
    def landed(self) -> Landed:
        """The size and the checksum of the received bytes."""
        return Landed(self.size, self._sha256.hexdigest())

    def verify(self, *, sha256: str | None, size: int | None, md5: str | None) -> None:
        """Raise ``ChecksumError`` unless the bytes are those that were announced; ``None`` was not announced."""
        if size is not None and size != self.size:
            raise ChecksumError(f"{self.size} bytes came where {size} were announced.")
        if sha256 is not None and sha256.lower() != self._sha256.hexdigest():
            raise ChecksumError("The SHA-256 of what came is not the one announced.")
        if md5 is not None and (self._md5 is None or md5.lower() != self._md5.hexdigest()):
            raise ChecksumError("The MD5 of what came is not the one announced.")


T = TypeVar("T")


class RunInThread(Protocol):
    """Runs blocking work, starting at once, and returns its result."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """The result of ``work()``, or what it raised."""


class StorageThreads:
    """A few threads for storage only, so that slow disks block no name lookup; leaving waits for their work."""

    def __init__(self, count: int = 4) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="storage")

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """See :class:`Run`."""
        return asyncio.get_running_loop().run_in_executor(self._executor, work)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown()

"""The files of one step in a folder: small ones take one hand-off to a thread, and their folder is synced for many."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

from tidewaiter.storage.base import ChecksumError, Landed, Landing, LandingContext, StorageError
from tidewaiter.storage.safe_paths import Place
from tidewaiter.storage.step_folder import StepFolder

T = TypeVar("T")

_SMALL_BYTES = 2**20
_MOST_PIECES = 1000  # writev accepts 1024 on Linux


class BeginWork(Protocol):
    """Begins blocking work in a thread; a failure names what was done, and says whether the whole storage fails."""

    def __call__(self, doing: str, work: Callable[[], T], /) -> asyncio.Future[T]:
        """The result of ``work()``."""


class OpenLarge(Protocol):
    """Opens a file that is larger, or of which something was kept."""

    async def __call__(
        self, key: str, number: int, *, md5: bool, identity: str, step: tuple[str, ...] | None
    ) -> Landing:
        """The landing; with ``step`` a new one in the folder of the step."""


class FolderGroup:
    """The landings of one step; see :class:`tidewaiter.storage.base.LandingGroup`.

    Args:
        root: of the storage.
        job_id: whose files they are.
        begin: begins blocking work.
        open_large: opens the files that are not small.
    """

    def __init__(self, root: Path, job_id: int, begin: BeginWork, open_large: OpenLarge) -> None:
        self.root = root
        self.begin = begin
        self.open_large = open_large
        self._job_id = job_id
        self._folder: StepFolder | None = None
        self._landings: set[asyncio.Future[Landed]] = set()

    @property
    def folder(self) -> StepFolder:
        """Of the step; it is there within the context."""
        if self._folder is None:
            raise ValueError("the group is not open")
        return self._folder

    async def __aenter__(self) -> Self:
        making = self.begin("make a folder for unfinished files", partial(StepFolder, self.root, self._job_id))
        try:
            self._folder = await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(_end_made)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # No thread may use the folder's descriptors any more, also not for a landing that nobody waits for.
        ending = asyncio.ensure_future(self._end_after_landings()) if self._landings else self._end()
        with suppress(StorageError):
            await asyncio.shield(ending)

    async def _end_after_landings(self) -> None:
        await asyncio.wait(self._landings)
        await self._end()

    def _end(self) -> asyncio.Future[None]:
        return self.begin("remove a folder of unfinished files", self.folder.end)

    def land(self, doing: str, work: Callable[[], Landed]) -> asyncio.Future[Landed]:
        """Begin to land a small file; the folder stays until that is done."""
        landing = self.begin(doing, work)
        self._landings.add(landing)
        landing.add_done_callback(self._landings.discard)
        return landing

    async def open(self, key: str, number: int, *, md5: bool = False, identity: str = "") -> Landing:
        """Begin to land a file, or continue from its checkpoint."""
        if number in self.folder.unfinished:
            self.folder.unfinished.discard(number)
            return await self.open_large(key, number, md5=md5, identity=identity, step=None)
        return SmallLanding(self, key, number, md5=md5, identity=identity)

    async def sync(self) -> None:
        """Make the names of all files durable that have landed so far."""
        await asyncio.shield(self.begin("sync the folder of the files", self.folder.sync))


class SmallLanding(LandingContext):
    """A download that needs no thread while it is small; see :class:`tidewaiter.storage.base.Landing`.

    Nothing is on the disk before it is finished, or has become large.
    """

    def __init__(self, group: FolderGroup, key: str, number: int, *, md5: bool, identity: str) -> None:
        self._final = Place.of(group.root, key)
        self._group = group
        self._key = key
        self._number = number
        self._with_md5 = md5
        self._identity = identity
        self._pieces: list[bytes] = []
        self._size = 0
        self._large: Landing | None = None
        self._source: tuple[str | None, int | None] = (None, None)
        self._landing: asyncio.Future[Landed] | None = None

    @property
    def offset(self) -> int:
        """How many bytes an earlier checkpoint has kept: none."""
        return 0

    @property
    def validator(self) -> str | None:
        """The strong ETag of these bytes: none."""
        return None

    @property
    def total(self) -> int | None:
        """The size of the whole file: not known."""
        return None

    @property
    def has_ended(self) -> bool:
        """Whether it has landed, or failed to."""
        return self._large is None and self._landing is not None and self._landing.done()

    def comes_from(self, validator: str | None, total: int | None) -> None:
        """The next bytes belong to what has this strong ETag and this size."""
        self._source = validator, total
        if self._large is not None:
            self._large.comes_from(validator, total)

    async def write(self, chunk: bytes) -> None:
        """Write the next bytes of the file."""
        if self._large is not None:
            await self._large.write(chunk)
            return
        self._pieces.append(chunk)
        self._size += len(chunk)
        if self._size >= _SMALL_BYTES or len(self._pieces) >= _MOST_PIECES:
            await self._grow()

    async def _grow(self) -> Landing:
        large = await self._group.open_large(
            self._key, self._number, md5=self._with_md5, identity=self._identity, step=self._group.folder.folders
        )
        self._large, pieces, self._pieces = large, self._pieces, []
        large.comes_from(*self._source)
        for piece in pieces:
            await large.write(piece)
        return large

    async def restart(self) -> None:
        """Drop all bytes."""
        self._pieces, self._size, self._source = [], 0, (None, None)
        if self._large is not None:
            await self._large.restart()

    async def checkpoint(self, validator: str | None, total: int | None = None) -> bool:
        """End; with a strong validator the bytes are kept for a later opening."""
        if self._landing is not None or validator is None or validator.startswith("W/"):
            await self.discard()
            return False
        large = self._large or await self._grow()
        return await large.checkpoint(validator, total)

    async def finish(self, *, sha256: str | None = None, size: int | None = None, md5: str | None = None) -> Landed:
        """Verify the file and give it its final name; the group's sync makes the name durable."""
        if self._large is not None:
            return await self._large.finish(sha256=sha256, size=size, md5=md5)
        pieces, self._pieces = self._pieces, []
        land = partial(self._group.folder.land, self._final, pieces, sha256=sha256, size=size, md5=md5)
        self._landing = self._group.land(f"land {self._key}", land)
        return await asyncio.shield(self._landing)

    async def discard(self) -> None:
        """End, and keep nothing; does nothing if the landing has ended."""
        self._pieces = []
        if self._landing is not None:
            with suppress(StorageError, ChecksumError):
                await asyncio.shield(self._landing)
        if self._large is not None:
            await self._large.discard()


def _end_made(making: asyncio.Future[StepFolder]) -> None:
    if not making.cancelled() and making.exception() is None:
        with suppress(OSError):
            making.result().end()

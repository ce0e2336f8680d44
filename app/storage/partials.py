"""Files that are not whole yet: one per opening, their checkpoints, and what dead owners left.

A part is named ``<job>-<number>-<token>.part``, with a token of its own for every opening. A stale owner that wakes
up after its lease has passed on therefore never writes into the file of its successor, and has nothing to publish once
the successor has removed its part. A checkpoint is ``<job>-<number>.json`` beside it, and belongs to whoever manages
to rename it first.
"""

import json
import os
import re
import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from app.storage.base import Landed
from app.storage.files import create, make_folders, publish, remove, write_all, write_whole
from app.storage.tally import Tally

_READ_BYTES = 2**20
_OURS = re.compile(r"(?:(\d+)-\d+(?:-[0-9a-f]+)?|put-[0-9a-f]+)\.(?:part|json|tmp)")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How much of which part is durable: ``sha256`` is of those bytes, ``validator`` the strong ETag they came with.

    ``total`` is how many bytes the whole file has, where that is known, and ``identity`` says which remote file it is.
    Earlier versions wrote neither.
    """

    part: str
    offset: int
    validator: str
    sha256: str
    total: int | None = None
    identity: str = ""

    @classmethod
    def read(cls, path: Path) -> "Checkpoint | None":
        """The checkpoint in a file; ``None`` for one that is torn."""
        try:
            raw = json.loads(path.read_bytes())
            return cls(
                str(raw["part"]),
                int(raw["offset"]),
                str(raw["validator"]),
                str(raw["sha256"]),
                None if raw.get("total") is None else int(raw["total"]),
                str(raw.get("identity", "")),
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


class Part:
    """One unfinished file and the hashes of what it holds. Blocking; used by one thread at a time."""

    def __init__(self, path: Path, descriptor: int, *, md5: bool, identity: str) -> None:
        self.path = path
        self._descriptor: int | None = descriptor
        self._with_md5 = md5
        self._identity = identity
        self._begin()

    def _begin(self) -> None:
        self.validator: str | None = None
        self.total: int | None = None
        self._tally = Tally(md5=self._with_md5)

    @property
    def size(self) -> int:
        """How many bytes it holds."""
        return self._tally.size

    @property
    def closed(self) -> bool:
        """Whether it has landed, was saved, or was dropped."""
        return self._descriptor is None

    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise ValueError("the part is closed")
        return self._descriptor

    def keep(self, checkpoint: Checkpoint) -> bool:
        """Go on from a checkpoint; tells whether the part still holds what was durable then."""
        descriptor = self._open_descriptor()
        while self.size < checkpoint.offset:
            piece = os.read(descriptor, min(_READ_BYTES, checkpoint.offset - self.size))
            if not piece:
                return False
            self._tally.take(piece)
        os.ftruncate(descriptor, self.size)
        self.validator = checkpoint.validator
        self.total = checkpoint.total
        return self._tally.landed.sha256 == checkpoint.sha256

    def append(self, pieces: Sequence[bytes]) -> None:
        """Hash and write."""
        for piece in pieces:
            self._tally.take(piece)
        write_all(self._open_descriptor(), pieces)

    def restart(self) -> None:
        """Begin anew, with nothing."""
        os.ftruncate(self._open_descriptor(), 0)
        os.lseek(self._open_descriptor(), 0, os.SEEK_SET)
        self._begin()

    def save(self, path: Path, validator: str, total: int | None) -> None:
        """Make what is here durable, then say so in a checkpoint at ``path``, and close."""
        os.fsync(self._open_descriptor())
        self._close()
        sha256 = self._tally.landed.sha256
        checkpoint = Checkpoint(self.path.name, self.size, validator, sha256, total, self._identity)
        write_whole(self.path.with_suffix(".tmp"), path, json.dumps(asdict(checkpoint)).encode())

    def verify(self, *, sha256: str | None, size: int | None, md5: str | None) -> None:
        """Raise ``ChecksumError`` unless what is here is what was announced; ``None`` was not announced."""
        self._tally.verify(sha256=sha256, size=size, md5=md5)

    def land(self, final: Path) -> Landed:
        """Make it durable under its final name, and close."""
        os.fsync(self._open_descriptor())
        self._close()
        publish(self.path, final)
        return self._tally.landed

    def drop(self) -> None:
        """Close and remove; harmless when that is done already."""
        self._close()
        remove(self.path)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class Partials:
    """The folder of unfinished files below a storage root. Blocking."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def temporary(self) -> Path:
        """A name for a small file that is about to be written whole."""
        make_folders(self._folder)
        return self._folder / f"put-{secrets.token_hex(8)}.tmp"

    def checkpoint_path(self, job_id: int, number: int) -> Path:
        """Where the checkpoint of a job's file is kept."""
        return self._folder / f"{job_id}-{number}.json"

    def open(self, job_id: int, number: int, *, md5: bool, identity: str = "") -> Part:
        """The part to go on with: from its checkpoint where there is one that holds, else a new one.

        Whatever else was begun for this file is removed: its owner has gone, or is stale.
        """
        make_folders(self._folder)
        part = self._claim(job_id, number, md5=md5, identity=identity)
        for path in self._of(f"{job_id}-{number}-"):
            if part is None or path != part.path:
                remove(path)
        if part is None:
            path = self._folder / f"{job_id}-{number}-{secrets.token_hex(8)}.part"
            part = Part(path, create(path), md5=md5, identity=identity)
        return part

    def _claim(self, job_id: int, number: int, *, md5: bool, identity: str) -> Part | None:
        claimed = self._folder / f"{job_id}-{number}-{secrets.token_hex(8)}.json"
        try:
            self.checkpoint_path(job_id, number).rename(claimed)
            checkpoint = Checkpoint.read(claimed)
            remove(claimed)
            if checkpoint is None or not re.fullmatch(rf"{job_id}-{number}-[0-9a-f]+\.part", checkpoint.part):
                return None
            if checkpoint.identity != identity:
                return None
            path = self._folder / checkpoint.part
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        part = Part(path, descriptor, md5=md5, identity=identity)
        try:
            holds = part.keep(checkpoint)
        except BaseException:  # whatever it was, the descriptor must not be left open
            part.drop()
            raise
        if not holds:
            part.drop()
            return None
        return part

    def drop(self, job_id: int) -> None:
        """Remove whatever was begun for a job."""
        for path in self._of(f"{job_id}-"):
            remove(path)

    def sweep(self, older_than: float, keep: Collection[int]) -> int:
        """Remove what was last written before ``older_than`` (epoch seconds) for no job in ``keep``; tells how many."""
        removed = 0
        for path in self._of(""):
            match = _OURS.fullmatch(path.name)
            if match is None or (match[1] is not None and int(match[1]) in keep):
                continue
            try:
                old = path.stat().st_mtime < older_than
            except FileNotFoundError:
                continue
            removed += old and remove(path)
        return removed

    def _of(self, prefix: str) -> Iterator[Path]:
        try:
            paths = list(self._folder.iterdir())
        except FileNotFoundError:
            return
        yield from (path for path in paths if path.name.startswith(prefix) and _OURS.fullmatch(path.name))

"""Partial files: one for each opening, their checkpoints, and those that dead owners left.

A part is named ``<job>-<number>-<token>.part``, with a new token for every opening. So a former owner that wakes up
after its lease never writes into the file of its successor, and has nothing to publish after the successor has removed
its part. A checkpoint is ``<job>-<number>.json`` beside it, and belongs to the process that renames it first.

A large download writes a checkpoint every 64 MiB, so that a killed process loses no more. Its owner may live and go on
writing: so its successor copies the bytes of such a checkpoint into a part of its own, and removes the other one.
"""

import os
import re
import secrets
import stat
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path

from tidewaiter.storage.base import ContentHash, Landed
from tidewaiter.storage.checkpoints import Checkpoint, content_of
from tidewaiter.storage.durable_files import copy_whole, publish, remove, write_all, write_whole
from tidewaiter.storage.safe_paths import (
    FILE_MODE,
    PRIVATE_FILE_MODE,
    PRIVATE_FOLDER_MODE,
    LinkError,
    Place,
    create,
    folder_of,
    made_folder,
    names_at,
    open_file,
    set_mode,
)
from tidewaiter.storage.step_folder import PARTIAL, clear_step, clear_steps, is_step, newest_in, take_over

_FOLDER = PARTIAL
_PROBE = bytes(64 * 1024)
_READ_BYTES = 2**20
CHECKPOINT_BYTES = 64 * 2**20
_PART_NAME = re.compile(r"(?:(\d+)-\d+(?:-[0-9a-f]+)?|put-[0-9a-f]+)\.(?:part|json|tmp)")


class PartialFile:
    """One unfinished file and the hashes of its bytes. Blocking; used by one thread at a time.

    Args:
        place: where it is.
        descriptor: of it; this object closes it.
        checkpoint: where its checkpoint is written.
        md5: whether an MD5 is computed too.
        identity: which remote file it is.
    """

    def __init__(self, place: Place, descriptor: int, checkpoint: Place, *, md5: bool, identity: str) -> None:
        self.place = place
        self._descriptor: int | None = descriptor
        self._checkpoint = checkpoint
        self._with_md5 = md5
        self._identity = identity
        self._begin()

    def _begin(self) -> None:
        self.validator: str | None = None
        self.total: int | None = None
        self._checkpoint_at = CHECKPOINT_BYTES
        self._has_checkpoint = False
        self._hash = ContentHash(md5=self._with_md5)

    @property
    def size(self) -> int:
        """How many bytes it holds."""
        return self._hash.size

    @property
    def closed(self) -> bool:
        """Whether it has landed, was saved, or was dropped."""
        return self._descriptor is None

    def comes_from(self, validator: str | None, total: int | None) -> None:
        """The next bytes belong to what has this ETag and this size; they are kept if the ETag is strong."""
        self.validator = None if validator is None or validator.startswith("W/") else validator
        self.total = total

    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise ValueError("the part is closed")
        return self._descriptor

    def resume(self, checkpoint: Checkpoint) -> bool:
        """Continue from a checkpoint; returns whether the part still has the bytes that were durable then."""
        descriptor = self._open_descriptor()
        while self.size < checkpoint.offset:
            piece = os.read(descriptor, min(_READ_BYTES, checkpoint.offset - self.size))
            if not piece:
                return False
            self._hash.update(piece)
        os.ftruncate(descriptor, self.size)
        return self._goes_on(checkpoint)

    def copy(self, descriptor: int, checkpoint: Checkpoint) -> bool:
        """Begin with a copy of the bytes of another part; returns whether they are those that were durable then."""
        while self.size < checkpoint.offset:
            piece = os.read(descriptor, min(_READ_BYTES, checkpoint.offset - self.size))
            if not piece:
                return False
            self._hash.update(piece)
            write_all(self._open_descriptor(), [piece])
        return self._goes_on(checkpoint)

    def _goes_on(self, checkpoint: Checkpoint) -> bool:
        """Whether the bytes are those of a checkpoint; it was taken away, so it is written again."""
        self.validator = checkpoint.validator
        self.total = checkpoint.total
        if self._hash.landed.sha256 != checkpoint.sha256:
            return False
        self._save_live(checkpoint.validator)
        return True

    def append(self, pieces: Sequence[bytes]) -> None:
        """Hash and write; every 64 MiB also write a checkpoint, which survives the end of the process."""
        for piece in pieces:
            self._hash.update(piece)
        write_all(self._open_descriptor(), pieces)
        if self.size >= self._checkpoint_at and self.validator is not None:
            self._save_live(self.validator)

    def _save_live(self, validator: str) -> None:
        self._checkpoint_at = self.size + CHECKPOINT_BYTES
        os.fsync(self._open_descriptor())
        self._has_checkpoint = True
        self._write_checkpoint(validator, self.total, live=True)

    def _forget_checkpoint(self) -> None:
        """Remove the checkpoint that this part has written on its way, and not one of a successor."""
        if not self._has_checkpoint:
            return
        self._has_checkpoint = False
        with suppress(FileNotFoundError), folder_of(self.place.root, self._checkpoint.folders) as folder:
            found = Checkpoint.read(content_of(folder, self._checkpoint))
            if found is not None and found.part == self.place.name:
                remove(folder, self._checkpoint.name)

    def restart(self) -> None:
        """Begin again with no bytes."""
        self._forget_checkpoint()
        os.ftruncate(self._open_descriptor(), 0)
        os.lseek(self._open_descriptor(), 0, os.SEEK_SET)
        self._begin()

    def save(self, validator: str, total: int | None) -> None:
        """Make the bytes durable, then write a checkpoint, and close."""
        os.fsync(self._open_descriptor())
        self._close()
        self._write_checkpoint(validator, total, live=False)

    def _write_checkpoint(self, validator: str, total: int | None, *, live: bool) -> None:
        sha256 = self._hash.landed.sha256
        checkpoint = Checkpoint(self.place.name, self.size, validator, sha256, total, self._identity, live)
        with self._folder() as folder:
            checkpoint.write(folder, self._checkpoint)

    def verify(self, *, sha256: str | None, size: int | None, md5: str | None) -> None:
        """Raise ``ChecksumError`` unless the bytes are those that were announced; ``None`` was not announced."""
        self._hash.verify(sha256=sha256, size=size, md5=md5)

    def land(self, final: Place) -> Landed:
        """Make it durable under its final name, and close."""
        set_mode(self._open_descriptor(), FILE_MODE)
        os.fsync(self._open_descriptor())
        self._close()
        with self._folder() as folder:
            publish(folder, self.place.name, final)
        self._forget_checkpoint()
        return self._hash.landed

    def drop(self) -> None:
        """Close and remove; does nothing the second time."""
        self._close()
        self._forget_checkpoint()
        with suppress(FileNotFoundError), self._folder() as folder:
            remove(folder, self.place.name)

    def _folder(self) -> AbstractContextManager[int]:
        return folder_of(self.place.root, self.place.folders)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class PartialFiles:
    """The folder of unfinished files below a storage root, which no other user may enter. Blocking."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, final: Place, content: bytes) -> None:
        """Write a small file as a whole at ``final``."""
        with self._made() as folder:
            write_whole(folder, _temporary(), final, content)

    def copy(self, source: Place, final: Place) -> tuple[int, str]:
        """Copy a landed file as a whole to ``final``; returns its size, and its SHA-256 in hex."""
        with self._made() as folder:
            return copy_whole(source, folder, _temporary(), final)

    def probe(self) -> None:
        """Write, sync and remove a small file."""
        with self._made() as folder:
            name = _temporary()
            descriptor = create(folder, name)
            try:
                write_all(descriptor, [_PROBE])
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
                remove(folder, name)

    def open(self, job_id: int, number: int, *, md5: bool, identity: str = "", takes_over: bool = False) -> PartialFile:
        """The part to continue: from its checkpoint if there is a valid one, otherwise a new one.

        All other parts of this file are removed: their owners are dead or have lost the lane. If it ``takes_over`` the
        job, nothing of the job's earlier steps can be published any more.
        """
        checkpoint = self._place(f"{job_id}-{number}.json")
        with self._made() as folder:
            part = None
            if any(name.startswith(f"{job_id}-") for name in names_at(folder)):  # mostly there is nothing of the job
                if takes_over:
                    take_over(self._root, folder, job_id)
                part = self._claim(folder, checkpoint, md5=md5, identity=identity)
                for name in _parts_in(folder, f"{job_id}-{number}-"):
                    if part is None or name != part.place.name:
                        remove(folder, name)
            if part is None:
                place = self._place(f"{job_id}-{number}-{secrets.token_hex(8)}.part")
                part = PartialFile(place, create(folder, place.name), checkpoint, md5=md5, identity=identity)
        return part

    def make(self, step: Sequence[str], job_id: int, number: int, *, md5: bool, identity: str = "") -> PartialFile:
        """A new part in the folder of a step; raises ``FileNotFoundError`` if that is gone."""
        place = Place(self._root, tuple(step), f"{job_id}-{number}-{secrets.token_hex(8)}.part")
        checkpoint = self._place(f"{job_id}-{number}.json")
        with folder_of(self._root, step) as folder:
            return PartialFile(place, create(folder, place.name), checkpoint, md5=md5, identity=identity)

    def _claim(self, folder: int, checkpoint: Place, *, md5: bool, identity: str) -> PartialFile | None:
        stem = checkpoint.name.removesuffix(".json")
        claimed = self._place(f"{stem}-{secrets.token_hex(8)}.json")
        try:
            os.replace(checkpoint.name, claimed.name, src_dir_fd=folder, dst_dir_fd=folder)
            found = Checkpoint.read(content_of(folder, claimed))
            remove(folder, claimed.name)
            if found is None or not re.fullmatch(rf"{stem}-[0-9a-f]+\.part", found.part):
                return None
            if found.identity != identity:
                return None
            place = self._place(found.part)
            descriptor = _open_part(folder, place)
        except FileNotFoundError:
            return None
        if descriptor is None:
            return None
        if not found.live:
            part = PartialFile(place, descriptor, checkpoint, md5=md5, identity=identity)
            return _if_it_holds(part, partial(part.resume, found))
        try:
            copy = self._place(f"{stem}-{secrets.token_hex(8)}.part")
            part = PartialFile(copy, create(folder, copy.name), checkpoint, md5=md5, identity=identity)
            return _if_it_holds(part, partial(part.copy, descriptor, found))
        finally:
            os.close(descriptor)

    def drop(self, job_id: int) -> None:
        """Remove all parts of a job."""
        with suppress(FileNotFoundError), folder_of(self._root, _FOLDER) as folder:
            for name in _parts_in(folder, f"{job_id}-"):
                remove(folder, name)
            clear_steps(folder, job_id)

    def sweep(self, older_than: float, keep: Collection[int]) -> int:
        """Remove parts written before ``older_than`` (epoch seconds), except for jobs in ``keep``; return how many."""
        removed = 0
        with suppress(FileNotFoundError), folder_of(self._root, _FOLDER) as folder:
            for name in _parts_in(folder, ""):
                match = _PART_NAME.fullmatch(name)
                if match is None or (match[1] is not None and int(match[1]) in keep):
                    continue
                try:
                    old = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime < older_than
                except FileNotFoundError:
                    continue
                removed += old and remove(folder, name)
            for name in names_at(folder):
                if (job := is_step(name)) is None or job in keep:
                    continue
                with suppress(FileNotFoundError):
                    if newest_in(folder, name) < older_than:
                        removed += clear_step(folder, name)
        return removed

    def _made(self) -> AbstractContextManager[int]:
        return made_folder(self._root, _FOLDER, PRIVATE_FOLDER_MODE)

    def _place(self, name: str) -> Place:
        return Place(self._root, _FOLDER, name)


def _if_it_holds(part: PartialFile, go_on: Callable[[], bool]) -> PartialFile | None:
    """The part, if it goes on; otherwise nothing of it is left."""
    try:
        holds = go_on()
    except BaseException:  # close the descriptor after any error
        part.drop()
        raise
    if not holds:
        part.drop()
        return None
    return part


def _temporary() -> str:
    """A name for a small temporary file."""
    return f"put-{secrets.token_hex(8)}.tmp"


def _parts_in(folder: int, prefix: str) -> list[str]:
    return [name for name in names_at(folder) if name.startswith(prefix) and _PART_NAME.fullmatch(name)]


def _open_part(folder: int, place: Place) -> int | None:
    """A descriptor of a part; ``None`` if it may also be another file: a symbolic or a hard link.

    To continue from a checkpoint cuts off the bytes behind it, and these must never belong to another file.
    """
    try:
        descriptor = open_file(folder, place, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except LinkError:
        return None
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
        set_mode(descriptor, PRIVATE_FILE_MODE)
        return descriptor
    os.close(descriptor)
    return None

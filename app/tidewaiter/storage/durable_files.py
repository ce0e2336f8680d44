"""Durable operations on a local file system: whole writes, reads of landed files, and errors as sentences."""

import errno
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from tidewaiter.storage.base import RunInThread, StorageError, StorageFullError
from tidewaiter.storage.safe_paths import (
    FILE_MODE,
    LinkError,
    Place,
    create,
    folder_of,
    made_folder,
    open_file,
    refuse_link,
    set_mode,
)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_COPIED_BYTES = 2**20
_PIECE_BYTES = 2**20


@contextmanager
def as_storage_errors(doing: str) -> Iterator[None]:
    """Turn an ``OSError`` into a ``StorageError`` that says what failed, or into a ``StorageFullError``."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        if error.errno in _FULL:
            raise StorageFullError(f"The storage is full: could not {doing} ({reason}).") from error
        raise StorageError(f"Could not {doing}: {reason}.") from error


def write_all(descriptor: int, pieces: Sequence[bytes]) -> None:
    """Write every byte at the descriptor's position."""
    left = sum(map(len, pieces)) - os.writev(descriptor, pieces)
    if left:
        rest = memoryview(b"".join(pieces))[-left:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def write_whole(folder: int, temporary: str, final: Place, content: bytes, mode: int = FILE_MODE) -> None:
    """Write a file that appears at ``final``, whole and durable, or not at all.

    Args:
        folder: a descriptor of the folder of unfinished files.
        temporary: a name in it; it must not exist.
        final: where the file appears.
        content: its bytes.
        mode: its permissions, for any umask.
    """
    try:
        descriptor = create(folder, temporary)
        try:
            write_all(descriptor, [content])
            set_mode(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        publish(folder, temporary, final)
    except BaseException:  # a program that is ended in the middle leaves nothing behind either
        remove(folder, temporary)
        raise


def copy_whole(source: Place, folder: int, temporary: str, final: Place) -> tuple[int, str]:
    """Copy a file in the same way as `write_whole`; returns its size, and its SHA-256 in hex."""
    digest, size = hashlib.sha256(), 0
    reader = _open_regular(source)
    if reader is None:
        raise StorageError(f"{source.path} is no regular file.")
    try:
        with os.fdopen(reader, "rb") as opened:
            descriptor = create(folder, temporary)
            try:
                while piece := opened.read(_COPIED_BYTES):
                    digest.update(piece)
                    size += len(piece)
                    write_all(descriptor, [piece])
                set_mode(descriptor, FILE_MODE)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        publish(folder, temporary, final)
    except BaseException:  # a program that is ended in the middle leaves nothing behind either
        remove(folder, temporary)
        raise
    return size, digest.hexdigest()


def publish(folder: int, temporary: str, final: Place) -> None:
    """Give a durable file its final name, durably; replaces a file with that name.

    Args:
        folder: a descriptor of the folder that the file is in.
        temporary: its name there.
        final: where it appears. A symbolic link with that name is neither followed nor replaced.
    """
    with made_folder(final.root, final.folders) as final_folder:
        # For the message to the operator only: a rename never follows a link.
        refuse_link(final_folder, final.name, final.path)
        os.replace(temporary, final.name, src_dir_fd=folder, dst_dir_fd=final_folder)
        os.fsync(final_folder)


def open_landed(place: Place) -> int | None:
    """A descriptor of a landed file, ``None`` if there is none.

    Raises:
        LinkError: it, or a folder on the way to it, is a symbolic link.
        StorageError: it is no regular file.
    """
    try:
        descriptor = _open_regular(place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if descriptor is None:
        raise StorageError(f"{place.path} is no regular file.")
    return descriptor


def _open_regular(place: Place) -> int | None:
    with folder_of(place.root, place.folders) as folder:
        descriptor = open_file(folder, place)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def size_of(place: Place) -> int | None:
    """The size of a file in bytes; ``None`` if there is none. A symbolic link raises ``LinkError``."""
    try:
        with folder_of(place.root, place.folders) as folder:
            status = os.stat(place.name, dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(status.st_mode):
        raise LinkError(place.path)
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def measure(place: Place) -> tuple[int, str] | None:
    """The size of a file, and its SHA-256 in hex; ``None`` if there is none.

    Raises:
        LinkError: it, or a folder on the way to it, is a symbolic link.
    """
    try:
        descriptor = _open_regular(place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if descriptor is None:
        return None
    digest, size = hashlib.sha256(), 0
    with os.fdopen(descriptor, "rb") as reader:
        while piece := reader.read(_COPIED_BYTES):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()


def names_in(root: Path, folders: Sequence[str]) -> list[str]:
    """The names of the files and links in a folder, in order; none if there is no such folder."""
    try:
        with folder_of(root, folders) as folder, os.scandir(folder) as entries:
            return sorted(one.name for one in entries if one.is_symlink() or one.is_file(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []


def remove_durably(place: Place) -> None:
    """Remove a file, durably; a symbolic link itself and not its target."""
    with suppress(FileNotFoundError), folder_of(place.root, place.folders) as folder:
        if remove(folder, place.name):
            os.fsync(folder)


def remove(folder: int, name: str) -> bool:
    """Remove a file from a folder; returns whether it was there."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


class LocalContent:
    """A landed file; see :class:`tidewaiter.storage.base.Content`. The opener closes the descriptor."""

    def __init__(self, descriptor: int, key: str, run: RunInThread) -> None:
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
        with as_storage_errors(f"read {self._key}"):
            return os.pread(self._descriptor, size, start)

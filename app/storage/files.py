"""Durable steps on a local file system: whole writes, folders, and errors in words."""

import errno
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from app.storage.base import StorageError, StorageFullError
from app.storage.keys import parts_of

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FILE_MODE = 0o640  # less the umask
_FOLDER_MODE = 0o750
_LONGEST_PART = 255
_COPIED_BYTES = 2**20
# Whoever finds a folder there relies on its name being durable: not while another thread is still about it.
_making_folders = threading.Lock()


@contextmanager
def in_words(doing: str) -> Iterator[None]:
    """Turn an ``OSError`` into a ``StorageError`` that says what failed, and into ``StorageFullError`` where it is."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        if error.errno in _FULL:
            raise StorageFullError(f"The storage is full: could not {doing} ({reason}).") from error
        raise StorageError(f"Could not {doing}: {reason}.") from error


def path_of(root: Path, key: str) -> Path:
    """The path of a key below ``root``; a ``StorageError`` where it would lead elsewhere."""
    return root.joinpath(*parts_of(key))


def create(path: Path) -> int:
    """A descriptor of a new file, for reading and writing; the file must not exist."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)


def write_all(descriptor: int, pieces: Sequence[bytes]) -> None:
    """Write every byte at the descriptor's position."""
    left = sum(map(len, pieces)) - os.writev(descriptor, pieces)
    if left:
        rest = memoryview(b"".join(pieces))[-left:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def write_whole(temporary: Path, final: Path, content: bytes) -> None:
    """Write a file that appears under ``final`` whole and durable, or not at all; ``temporary`` must not exist."""
    try:
        descriptor = create(temporary)
        try:
            write_all(descriptor, [content])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        publish(temporary, final)
    except BaseException:  # a program that is ended in the middle leaves nothing behind either
        remove(temporary)
        raise


def copy_whole(source: Path, temporary: Path, final: Path) -> tuple[int, str]:
    """Copy a file that appears under ``final`` whole and durable, or not at all; its size, and its SHA-256 in hex."""
    digest, size = hashlib.sha256(), 0
    try:
        with source.open("rb") as reader:
            descriptor = create(temporary)
            try:
                while piece := reader.read(_COPIED_BYTES):
                    digest.update(piece)
                    size += len(piece)
                    write_all(descriptor, [piece])
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        publish(temporary, final)
    except BaseException:  # a program that is ended in the middle leaves nothing behind either
        remove(temporary)
        raise
    return size, digest.hexdigest()


def publish(temporary: Path, final: Path) -> None:
    """Give a durable file its final name, durably, replacing whatever bears it."""
    make_folders(final.parent)
    temporary.replace(final)
    sync_folder(final.parent)


def make_folders(folder: Path) -> None:
    """Make a folder and those above it; each new name is durable in its parent before the next is made."""
    with _making_folders:
        missing = [folder]
        while not missing[-1].is_dir():
            missing.append(missing[-1].parent)
        for each in reversed(missing[:-1]):
            with suppress(FileExistsError):
                each.mkdir(_FOLDER_MODE)
            sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def measure(path: Path) -> tuple[int, str] | None:
    """The size of a file, and its SHA-256 in hex; ``None`` where there is none."""
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as reader:
            while piece := reader.read(_COPIED_BYTES):
                digest.update(piece)
                size += len(piece)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    return size, digest.hexdigest()


def names_in(folder: Path) -> list[str]:
    """The names of the files in a folder, in order; none where there is no such folder."""
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_symlink() or path.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return []


def remove_durably(path: Path) -> None:
    """Remove a file, and make that durable."""
    if remove(path):
        sync_folder(path.parent)


def remove(path: Path) -> bool:
    """Remove a file; tells whether it was there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True

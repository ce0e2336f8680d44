"""Durable steps on a local file system: whole writes, folders, and errors in words."""

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from app.storage.base import StorageError, StorageFullError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FILE_MODE = 0o640  # less the umask
_FOLDER_MODE = 0o750
_LONGEST_PART = 255
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
    """The path of a key below ``root``.

    Raises:
        StorageError: the key would lead elsewhere or names nothing. Keys are made safe long before; this is the
            second lock.
    """
    parts = key.split("/")
    for part in parts:
        if part in {"", ".", ".."} or "\\" in part or not part.isprintable() or len(part.encode()) > _LONGEST_PART:
            raise StorageError(f"The key {key[:200]!r} is not a path below the storage root.")
    if parts[0].startswith("."):
        raise StorageError(f"The key {key[:200]!r} lies in a folder of the storage's own.")
    return root.joinpath(*parts)


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
    except BaseException:
        remove(temporary)
        raise


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


def remove(path: Path) -> bool:
    """Remove a file; tells whether it was there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True

"""Keys of files, and files below the storage root, opened from folder to folder so that no symbolic link is followed.

Each folder is opened in the one above it (``openat(2)`` with ``O_NOFOLLOW``), and a file is opened, renamed or removed
in the descriptor of its folder. No path is looked up twice, so it changes nothing when another program replaces a
folder by a link. The root itself belongs to the operator, and may be a link.
"""

import os
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidewaiter.storage.base import StorageError

_LONGEST_PART = 255


FILE_MODE: Final = 0o640
"""Of a landed file."""
FOLDER_MODE: Final = 0o750
"""Of a folder of landed files."""
PRIVATE_FILE_MODE: Final = 0o600
"""Of a file that has not landed."""
PRIVATE_FOLDER_MODE: Final = 0o700
"""Of the folder of these."""

_ROOT: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FOLDER: Final = _ROOT | os.O_NOFOLLOW
# Without O_NONBLOCK, opening a pipe without a writer would block.
_TO_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PERMISSIONS: Final = 0o777
# A thread that finds a folder relies on its name being durable, so only one thread at a time creates folders.
_making_folders = threading.Lock()


def parts_of(key: str) -> list[str]:
    """The parts of a key.

    Raises:
        StorageError: the key is empty or not below the root. Keys are made safe before; this is a second check.
    """
    parts = key.split("/")
    for part in parts:
        if part in {"", ".", ".."} or "\\" in part or not part.isprintable() or len(part.encode()) > _LONGEST_PART:
            raise StorageError(f"The key {key[:200]!r} is not a path below the storage root.")
    if parts[0].startswith("."):
        raise StorageError(f"The key {key[:200]!r} lies in a folder that the storage reserves.")
    return parts


class LinkError(StorageError):
    """There is a symbolic link below the storage root.

    Args:
        path: of the link.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is a symbolic link, and links below the storage root are not followed: put a folder or a file in "
            "its place (a bind mount where the files must lie elsewhere), or set storage.root to that place."
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file is or will be: the storage root, the names of the folders below it, and the file's name."""

    root: Path
    folders: tuple[str, ...]
    name: str

    @classmethod
    def of(cls, root: Path, key: str) -> "Place":
        """The place of a key; raises ``StorageError`` if it is not below the root."""
        *folders, name = parts_of(key)
        return cls(root, tuple(folders), name)

    @property
    def path(self) -> Path:
        """For messages only; no file is opened with it."""
        return self.root.joinpath(*self.folders, self.name)


@contextmanager
def folder_of(root: Path, folders: Sequence[str]) -> Iterator[int]:
    """A descriptor of a folder below ``root``.

    Raises:
        LinkError: there is a symbolic link on the way.
        OSError: there is no such folder, or it cannot be opened.
    """
    descriptor = _walk(root, folders, make_mode=None)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def made_folder(root: Path, folders: Sequence[str], mode: int = FOLDER_MODE) -> Iterator[int]:
    """The same, and create missing folders; each new name is durable in its parent before the next is created.

    Args:
        root: the storage root, which is created too, with mode `FOLDER_MODE`.
        folders: the names of the folders below it.
        mode: of the new folders, for any umask. If it is `PRIVATE_FOLDER_MODE`, an existing folder of this user
            loses all other permissions.
    """
    with _making_folders:
        _make_root(root)
        descriptor = _walk(root, folders, make_mode=mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _walk(root: Path, folders: Sequence[str], *, make_mode: int | None) -> int:
    descriptor = os.open(root, _ROOT)
    path = root
    for name in folders:
        above, path = descriptor, path / name
        try:
            descriptor = _enter(above, name, path) if make_mode is None else _make(above, name, path, make_mode)
        finally:
            os.close(above)
    return descriptor


def open_folder(above: int, name: str) -> int:
    """A descriptor of a folder in another one; raises ``OSError`` if it is none, or a symbolic link."""
    return os.open(name, _FOLDER, dir_fd=above)


def names_at(folder: int) -> list[str]:
    """The names in a folder, by its descriptor."""
    return os.listdir(folder)


def _enter(above: int, name: str, path: Path) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=above)
    except FileNotFoundError:
        raise
    except OSError:
        refuse_link(above, name, path)
        raise


def _make(above: int, name: str, path: Path, mode: int) -> int:
    try:
        descriptor = _enter(above, name, path)
    except FileNotFoundError:
        is_new = _make_name(above, name, mode)
        descriptor = _enter(above, name, path)
    else:
        is_new = False
    try:
        if is_new:
            set_mode(descriptor, mode)
            os.fsync(above)
        elif mode == PRIVATE_FOLDER_MODE:
            _make_private(descriptor)
    except BaseException:  # close the descriptor after any error
        os.close(descriptor)
        raise
    return descriptor


def _make_name(above: int, name: str, mode: int) -> bool:
    """Create a folder; ``False`` if another program has created it."""
    try:
        os.mkdir(name, mode, dir_fd=above)
    except FileExistsError:
        return False
    return True


def _make_private(descriptor: int) -> None:
    """Remove other users' permissions that an earlier version, or the owner of a volume, gave them."""
    found = os.fstat(descriptor)
    if found.st_uid == os.geteuid() and found.st_mode & _PERMISSIONS & ~PRIVATE_FOLDER_MODE:
        set_mode(descriptor, PRIVATE_FOLDER_MODE)


def _make_root(root: Path) -> None:
    """Create the storage root and the folders above it, durably. Links are followed here: they are the operator's."""
    missing = [root]
    while not missing[-1].is_dir():
        missing.append(missing[-1].parent)
    for each in reversed(missing[:-1]):
        with suppress(FileExistsError):
            each.mkdir(FOLDER_MODE)
        descriptor = os.open(each, _ROOT)
        try:
            set_mode(descriptor, FOLDER_MODE)
        finally:
            os.close(descriptor)
        sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, _ROOT)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_mode(descriptor: int, mode: int) -> None:
    """Give a file or a folder of this user exactly these permissions; the higher bits (setgid) stay.

    A file system without permissions refuses that. Then its mount options decide, so this is no error.
    """
    found = os.fstat(descriptor).st_mode
    if found & _PERMISSIONS != mode:
        with suppress(OSError):
            os.fchmod(descriptor, stat.S_IMODE(found) & ~_PERMISSIONS | mode)


def create(folder: int, name: str) -> int:
    """A descriptor of a new file, for reading and writing, which no other user may open; it must not exist."""
    descriptor = os.open(name, _NEW, PRIVATE_FILE_MODE, dir_fd=folder)
    try:
        set_mode(descriptor, PRIVATE_FILE_MODE)
    except BaseException:  # close the descriptor after any error
        os.close(descriptor)
        raise
    return descriptor


def open_file(folder: int, place: Place, flags: int = _TO_READ) -> int:
    """A descriptor of a file in its folder.

    Raises:
        LinkError: it is a symbolic link.
        OSError: there is none, or it cannot be opened.
    """
    try:
        return os.open(place.name, flags | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError:
        refuse_link(folder, place.name, place.path)
        raise


def refuse_link(folder: int, name: str, path: Path) -> None:
    """Raise ``LinkError`` if a name in a folder is a symbolic link; ``path`` is for the message."""
    with suppress(OSError):
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise LinkError(path)

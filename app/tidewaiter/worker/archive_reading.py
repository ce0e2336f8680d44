"""Archives: their members, checked before anything of them lands, and the bytes of each. Blocking, for a thread.

An archive comes from a stranger. It is refused as a whole if one of its members leads out of it, is a link or a device,
has the name of another one, or if it unpacks to more than the limits allow.
"""

import io
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol, TypeAlias

from tidewaiter.providers.values.texts import plain, shorten
from tidewaiter.transport.reply_bodies import BombError, CodingLevel, UnpackError

_PIECE_BYTES: Final = 262_144
_LARGEST_RATIO: Final = 300
_RATIO_COUNTS_FROM_BYTES: Final = 64 * 1_048_576
_BLOCK: Final = 512
_END: Final = bytes(_BLOCK)
_LONGEST_HEADER: Final = 16_384  # the library searches headers in a time that grows with the square of their length
_DIRECTORY_BYTES: Final = 1_048_576
_DIRECTORY_BYTES_PER_MEMBER: Final = 512
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ENCRYPTED: Final = 0x2041  # encryption, strong encryption, masked headers: APPNOTE.TXT, 4.4.4
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_LONGEST_NAME: Final = 100

_FAULTS: Final = (
    ArithmeticError, EOFError, LookupError, NotImplementedError, OSError, RecursionError, ValueError,
    struct.error, tarfile.TarError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What the libraries raise for damaged archives."""


class ArchiveRefusedError(Exception):
    """The archive is not unpacked, and would not be at the next try either; the message is a sentence."""


class ArchiveBrokenError(Exception):
    """The archive is damaged or not whole; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """How many members an archive may have, and how large each may be.

    ``without_secrets`` hides the secrets in the names of members before a message cuts them.
    """

    most_members: int
    largest_bytes: int
    without_secrets: Callable[[str], str] = str

    def shown(self, name: str) -> str:
        """A member's name for a message."""
        return repr(shorten(plain(self.without_secrets(name)), _LONGEST_NAME))


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive: its path, with forward slashes, and its size in bytes."""

    path: str
    size: int


Pieces: TypeAlias = Iterator[tuple[int, bytes]]
"""The place of a member and the next bytes of it; empty bytes are its end. Members come in their order."""


class Archive(Protocol):
    """An open archive."""

    @property
    def members(self) -> Sequence[Member]:
        """Its files, without folders."""

    def pieces(self) -> Pieces:
        """The bytes of all members; raises as :func:`open_archive` does."""


def open_archive(kind: str, file: BinaryIO, size: int, limits: ArchiveLimits) -> Archive:
    """Open an archive, and check every member of it.

    Args:
        kind: ``zip`` or ``tar.gz``.
        file: the archive, from its beginning; it can be positioned.
        size: of the archive in bytes.
        limits: of its members.

    Raises:
        ArchiveRefusedError: it is hostile, too large, encrypted, or packed in a way that is not undone.
        ArchiveBrokenError: it is damaged, or no such archive.
    """
    return _Zip(file, size, limits) if kind == "zip" else _Tar(file, limits)


@contextmanager
def _reading(kind: str, limits: ArchiveLimits) -> Iterator[None]:
    try:
        yield
    except BombError as error:
        raise ArchiveRefusedError(str(error)) from None
    except UnpackError as error:
        raise ArchiveBrokenError(str(error)) from None
    except _FAULTS as error:
        why = shorten(plain(limits.without_secrets(str(error))))
        raise ArchiveBrokenError(f"The file cannot be unpacked as {kind}: {why or type(error).__name__}.") from None


class _Members:
    """Collects and checks members."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self._limits = limits
        self._entries = 0
        self._paths: set[str] = set()
        self.found: list[Member] = []

    def add(self, name: str, size: int, *, is_folder: bool, is_file: bool) -> bool:
        """Add a member; returns whether it is a file."""
        self._entries += 1
        if self._entries > self._limits.most_members:
            raise ArchiveRefusedError(
                f"The archive has more than {self._limits.most_members} members, and bounds.most_files of the account "
                "permits no more files."
            )
        path = _path_in(name, self._limits)
        if is_folder or (size == 0 and name.endswith("\\")):
            return False
        if not is_file:
            raise ArchiveRefusedError(f"The archive has a link or a device as a member: {self._limits.shown(name)}.")
        if size > self._limits.largest_bytes:
            raise ArchiveRefusedError(
                f"The member {self._limits.shown(name)} has {size} bytes, more than the {self._limits.largest_bytes} "
                "of bounds.largest_file_bytes of the account."
            )
        if not path or path in self._paths:
            raise ArchiveRefusedError(
                f"The archive has two members of one name, or one without: {self._limits.shown(name)}."
            )
        self._paths.add(path)
        self.found.append(Member(path, size))
        return True


def _path_in(name: str, limits: ArchiveLimits) -> str:
    """The path of a member; raises ``ArchiveRefusedError`` if it leads out of the archive."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or _DRIVE.match(name) or ".." in parts or "\0" in name:
        raise ArchiveRefusedError(f"The archive has a member whose path leads out of it: {limits.shown(name)}.")
    return "/".join(part for part in parts if part not in ("", "."))


# --- zip --------------------------------------------------------------------------------------------------------------


class _BoundedReads(io.BufferedIOBase):
    """A file whose reads are bounded: the length of a directory of members is a claim of the archive."""

    def __init__(self, file: BinaryIO, size: int, most_bytes: int) -> None:
        self._file = file
        self._size = size
        self._most_bytes = most_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = self._size - self._file.tell() if size is None or size < 0 else size
        if wanted > self._most_bytes:
            raise ArchiveRefusedError(f"The directory of the archive has more than {self._most_bytes} bytes.")
        return self._file.read(wanted)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


class _Zip:
    """A ZIP archive. Source: APPNOTE.TXT 6.3.10 of PKWARE."""

    def __init__(self, file: BinaryIO, size: int, limits: ArchiveLimits) -> None:
        self._limits = limits
        most_bytes = _DIRECTORY_BYTES + _DIRECTORY_BYTES_PER_MEMBER * limits.most_members
        members = _Members(limits)
        with _reading("ZIP", self._limits):
            self._zip = zipfile.ZipFile(_BoundedReads(file, size, most_bytes))
            self._infos = [info for info in self._zip.infolist() if self._is_file(info, members)]
        self.members = tuple(members.found)
        total = sum(one.size for one in self.members)
        if total > max(_RATIO_COUNTS_FROM_BYTES, _LARGEST_RATIO * size):
            raise ArchiveRefusedError(
                f"The archive unpacks to {total} bytes, more than {_LARGEST_RATIO} times its size."
            )

    def _is_file(self, info: zipfile.ZipInfo, members: _Members) -> bool:
        if "\0" in info.orig_filename:
            raise ArchiveRefusedError(
                f"The archive has a member with a null in its name: {self._limits.shown(info.filename)}."
            )
        if info.is_dir() and info.file_size:
            raise ArchiveRefusedError(
                f"The archive has a folder with the content of a file: {self._limits.shown(info.filename)}."
            )
        kind = stat.S_IFMT(info.external_attr >> 16)
        is_file = members.add(info.filename, info.file_size, is_folder=info.is_dir(), is_file=kind in (0, stat.S_IFREG))
        if is_file and info.flag_bits & _ENCRYPTED:
            raise ArchiveRefusedError(
                f"The member {self._limits.shown(info.filename)} is encrypted, and there is no key for a password: ask "
                "the provider for archives without one."
            )
        if is_file and info.compress_type not in _METHODS:
            raise ArchiveRefusedError(
                f"The member {self._limits.shown(info.filename)} is packed by method {info.compress_type}; only "
                "stored and deflated members are unpacked."
            )
        return is_file

    def pieces(self) -> Pieces:
        """See :class:`Archive`; sizes and checksums are verified."""
        for place, info in enumerate(self._infos):
            with _reading("ZIP", self._limits):
                left = info.file_size
                with self._zip.open(info) as member:
                    while piece := member.read(_PIECE_BYTES):
                        left -= len(piece)
                        yield place, piece
                if left:
                    raise ArchiveBrokenError(
                        f"The member {self._limits.shown(info.filename)} is {left} bytes shorter than it says."
                    )
            yield place, b""


# --- tar --------------------------------------------------------------------------------------------------------------


class _Forward:
    """The unpacked bytes of a tar archive, read once from the beginning to the end."""

    def __init__(self, file: BinaryIO) -> None:
        file.seek(0)
        self._file = file
        first = file.read(len(_GZIP_MAGIC))
        file.seek(0)
        # Some servers undo gzip themselves, and others clients on the way do.
        self._gzip = CodingLevel("gzip", 1 << 62) if first == _GZIP_MAGIC else None
        self._buffer = bytearray()
        self._unpacked: Iterator[bytes] = iter(())
        self._at = 0
        self._has_ended = False
        self.last_block = b""

    def read(self, size: int) -> bytes:
        """The next bytes of headers, which are bounded; fewer at the end."""
        if size > _LONGEST_HEADER:
            raise ArchiveRefusedError(f"A header of the archive has more than {_LONGEST_HEADER} bytes.")
        self.last_block = self.data(size)
        return self.last_block

    def data(self, size: int) -> bytes:
        """The next bytes; fewer at the end."""
        while len(self._buffer) < size and not self._has_ended:
            self._fill()
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._at += len(piece)
        return piece

    def _fill(self) -> None:
        for piece in self._unpacked:
            self._buffer += piece
            return
        packed = self._file.read(_PIECE_BYTES)
        self._has_ended = not packed
        if self._gzip is None:
            self._buffer += packed
        else:
            self._unpacked = self._gzip.feed(packed) if packed else self._gzip.finish()

    def tell(self) -> int:
        """How many bytes were read."""
        return self._at

    def seek(self, position: int) -> None:
        """Go forward; at the end it stays there."""
        if position < self._at:
            raise ArchiveBrokenError("The archive names a position before the one at which it is read.")
        while self._at < position and self.data(min(position - self._at, _PIECE_BYTES)):
            pass

    def drain(self) -> None:
        """Read the padding after the archive, so that the checksum of gzip is verified; at most a few megabytes."""
        for _ in range(64):
            piece = self.data(_PIECE_BYTES)
            if not piece:
                return
            if piece.count(0) != len(piece):  # another archive, whose members would be lost
                break
        raise ArchiveRefusedError("The archive goes on after its end.")


class _Tar:
    """A tar archive, packed by gzip or not. It is read twice: nothing lands of one that is not whole."""

    def __init__(self, file: BinaryIO, limits: ArchiveLimits) -> None:
        self._file = file
        self._limits = limits
        members = _Members(limits)
        for _ in self._walk(members.add, lambda _stream, _info: iter(())):
            pass
        self.members = tuple(members.found)

    def pieces(self) -> Pieces:
        """See :class:`Archive`."""

        def read(stream: _Forward, info: tarfile.TarInfo) -> Iterator[bytes]:
            stream.seek(info.offset_data)
            left = info.size
            while left and (piece := stream.data(min(left, _PIECE_BYTES))):
                left -= len(piece)
                yield piece
            if left:
                raise ArchiveBrokenError(f"The member {self._limits.shown(info.name)} breaks off before its end.")
            yield b""

        def is_file(_name: str, _size: int, *, is_folder: bool, is_file: bool) -> bool:
            return is_file and not is_folder

        yield from self._walk(is_file, read)

    def _walk(
        self,
        add: Callable[..., bool],
        read: Callable[[_Forward, tarfile.TarInfo], Iterator[bytes]],
    ) -> Pieces:
        place = 0
        with _reading("tar", self._limits):
            stream = _Forward(self._file)
            archive = tarfile.TarFile(fileobj=stream, mode="r", errorlevel=2)  # type: ignore[arg-type]  # what it uses
            while (info := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # they would all stay in memory
                if info.size < 0:
                    raise ArchiveBrokenError(f"The member {self._limits.shown(info.name)} has a negative size.")
                is_plain = info.isreg() and not info.issparse()
                if add(info.name, info.size, is_folder=info.isdir(), is_file=is_plain):
                    for piece in read(stream, info):
                        yield place, piece
                    place += 1
            # The library takes a damaged header for the end.
            if stream.last_block not in (_END, b""):
                raise ArchiveBrokenError("The archive breaks off, or has a damaged header.")
            stream.drain()

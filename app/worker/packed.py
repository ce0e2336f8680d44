"""Packed files: unpacked while they land, within bounds, and checked against what was announced of the packed file."""

import hashlib
import zlib
from collections.abc import Iterator

from app.domain.wire import Link
from app.storage.base import ChecksumError
from app.transport.unpack import Unpacker

_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_SLICE_BYTES = 8192
_LARGEST_RATIO = 300
_RATIO_COUNTS_FROM_BYTES = 64 * 1_048_576
_MOST_OF_A_SLICE = _SLICE_BYTES * 1100  # deflate packs 1032 to 1 at best


class BombError(Exception):
    """The file unpacks to more than any file does; the message is a sentence."""


class UnpackError(Exception):
    """The file is not what it is said to be packed by, or breaks off; the message is a sentence."""


class Packed:
    """One file that comes packed.

    Args:
        coding: gzip, x-gzip or deflate.
        largest_bytes: a file that unpacks to more is given up.
    """

    def __init__(self, coding: str, largest_bytes: int) -> None:
        self._coding = coding
        self._largest_bytes = largest_bytes
        self._unpacker = Unpacker(coding)
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0
        self._unpacked = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What the next bytes unpack to, in pieces of bounded size.

        Raises:
            BombError: it is more than a file may be, or out of all proportion to what came.
            UnpackError: it is not packed in that way.
        """
        self._sha256.update(piece)
        self._md5.update(piece)
        for start in range(0, len(piece), _SLICE_BYTES):
            part = piece[start : start + _SLICE_BYTES]
            try:
                out = self._unpacker.feed(part, _MOST_OF_A_SLICE)
            except zlib.error as error:
                raise UnpackError(f"The file cannot be unpacked by {self._coding}.") from error
            self._size += len(part)
            self._unpacked += len(out)
            self._check()
            if out:
                yield out

    def _check(self) -> None:
        if self._unpacked > self._largest_bytes:
            raise BombError(f"The file unpacks to more than {self._largest_bytes} bytes.")
        if self._unpacked > max(_RATIO_COUNTS_FROM_BYTES, _LARGEST_RATIO * self._size):
            raise BombError(f"The file unpacks to more than {_LARGEST_RATIO} times its size.")

    def finish(self) -> None:
        """See that the file is whole; raises ``UnpackError``."""
        if not self._unpacker.whole:
            raise UnpackError(f"The file breaks off before its end, as {self._coding} has it.")

    def verify(self, link: Link) -> None:
        """Compare the packed bytes with what was announced of them; raises ``ChecksumError``."""
        if link.size is not None and link.size != self._size:
            raise ChecksumError(f"{self._size} bytes came where {link.size} were announced.")
        for name, told, own in (("SHA-256", link.sha256, self._sha256), ("MD5", link.md5, self._md5)):
            if told is not None and told != own.hexdigest():
                raise ChecksumError(f"The {name} of what came is not the one announced.")


def packed_as(coding: str | None, largest_bytes: int) -> Packed | None:
    """What unpacks a body with this Content-Encoding; ``None`` where it is none that can be unpacked."""
    name = (coding or "").strip().lower()
    return Packed(name, largest_bytes) if name in _CODINGS else None

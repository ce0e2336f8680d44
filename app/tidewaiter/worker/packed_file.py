"""A packed file: unpacked while it lands, and every form of it compared with the announced size and digests."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tidewaiter.domain.http_values import Link
from tidewaiter.storage.base import ChecksumError, ContentHash
from tidewaiter.transport.reply_bodies import CodingLevel, UnpackError, Unpacking, UnpackingLevel

_GZIP_MAGIC = b"\x1f\x8b\x08"  # RFC 1952, 2.3.1: two bytes of identification, and the only compression method


class PackedFile:
    """One file as it comes in.

    Args:
        codings: the codings that its reply declares, in the order in which they were applied; all can be undone.
        link: the announced size and digests. If it says ``gzip``, the first bytes decide whether the content is gzip at
            all, and whether it is packed once more below the declared codings.
        largest_bytes: a file that unpacks to more is refused.
    """

    def __init__(self, codings: Sequence[str], link: Link, largest_bytes: int) -> None:
        self._link = link
        levels: list[UnpackingLevel] = [
            _GzipOrPlain(largest_bytes) if link.gzip and coding == "gzip" else CodingLevel(coding, largest_bytes)
            for coding in reversed(codings)
        ]
        if link.gzip:
            levels.append(_GzipOrPlain(largest_bytes))
        self._levels = [_Counted(level, link) for level in levels]
        self._unpacking = Unpacking(self._levels)

    @property
    def is_plain(self) -> bool:
        """Whether the file lands as it comes over the wire, so that a later range can continue it."""
        return not self._levels

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The unpacked form of the next bytes of the body; raises as :class:`Unpacking` does."""
        return self._unpacking.feed(piece)

    def finish(self) -> Iterator[bytes]:
        """The rest at the end of the body; raises the same."""
        return self._unpacking.finish()

    def unmatched(self) -> Link:
        """The link without the size and the digests that a packed form of the file matches.

        The unpacked file has to match the rest: an announced value may be of any form of the file.
        """
        left = self._link
        for level in self._levels:
            left = replace(
                left,
                size=None if level.matches(size=left.size) else left.size,
                sha256=None if level.matches(sha256=left.sha256) else left.sha256,
                md5=None if level.matches(md5=left.md5) else left.md5,
            )
        return left


class _Counted:
    """A level whose packed bytes are counted and hashed."""

    def __init__(self, level: UnpackingLevel, link: Link) -> None:
        self._level = level
        self._hash = ContentHash(md5=link.md5 is not None)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        self._hash.update(piece)
        return self._level.feed(piece)

    def finish(self) -> Iterator[bytes]:
        return self._level.finish()

    def matches(self, *, size: int | None = None, sha256: str | None = None, md5: str | None = None) -> bool:
        try:
            self._hash.verify(sha256=sha256, size=size, md5=md5)
        except ChecksumError:
            return False
        return True


class _GzipOrPlain:
    """A level whose first bytes decide whether it is gzip or the file itself."""

    def __init__(self, largest_bytes: int) -> None:
        self._gzip = CodingLevel("gzip", largest_bytes)
        self._first = b""
        self._is_gzip: bool | None = None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        if self._is_gzip is None:
            piece = self._first = self._first + piece
            if len(piece) < len(_GZIP_MAGIC) and _GZIP_MAGIC.startswith(piece):
                return
            self._is_gzip, self._first = piece.startswith(_GZIP_MAGIC), b""
        if self._is_gzip:
            yield from self._gzip.feed(piece)
        else:
            yield piece

    def finish(self) -> Iterator[bytes]:
        if self._is_gzip:
            yield from self._gzip.finish()
        elif self._first:
            raise UnpackError("The content breaks off within the first bytes of gzip.")

"""Compressed messages: unpacked within a limit, and never taken for whole when they are not."""

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zlib import _Decompress

_GZIP = 31
_ZLIB = 15
_RAW = -15
ACCEPTED = "gzip, deflate"


class Unpacker:
    """Unpacks gzip, of any number of members, and deflate, with its zlib wrapper or without, as some servers send it.

    aiohttp could do it as well, but takes a gzip body that breaks off for a whole one.
    """

    def __init__(self, coding: str) -> None:
        self._gzip = coding != "deflate"
        self._current: _Decompress | None = None

    def feed(self, packed: bytes, most: int) -> bytes:
        """What the next bytes unpack to, up to ``most`` bytes; raises ``zlib.error``.

        Whoever gets that many has reached a limit and stops reading: what is beyond is dropped.
        """
        pieces: list[bytes] = []
        while packed and most > 0:
            if self._current is None:
                self._current = zlib.decompressobj(self._window(packed[0]))
            piece = self._current.decompress(packed, most)
            pieces.append(piece)
            most -= len(piece)
            packed = self._current.unused_data if self._current.eof else b""
            if packed:
                self._current = None
        return b"".join(pieces)

    def _window(self, first: int) -> int:
        if self._gzip:
            return _GZIP
        return _ZLIB if first & 0x0F == 8 else _RAW  # RFC 1950, 2.2: the compression method, in the low bits

    @property
    def whole(self) -> bool:
        """Whether it may end here: at the end of a member, or before there was anything."""
        return self._current is None or self._current.eof


def unpacker_for(coding: str | None) -> Unpacker | None:
    """How to unpack a body with this Content-Encoding; ``None`` leaves it as it is, as it does any other coding."""
    name = (coding or "").strip().lower()
    return Unpacker(name) if name in {"gzip", "x-gzip", "deflate"} else None

"""Bodies of replies: content codings undone within limits, and bodies that are read as they come.

Codings are undone piece by piece, several in a row, and a body that breaks off is never treated as whole.
"""

import zlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from tidewaiter.domain.http_values import WireReply, can_decode, content_codings
from tidewaiter.transport.wire import BrokenBodyError, RawReply

if TYPE_CHECKING:
    from zlib import _Decompress

_GZIP = 31
_ZLIB = 15
_RAW = -15
ACCEPTED = "gzip, deflate"
_SLICE_BYTES = 8192
_LARGEST_RATIO = 300
_RATIO_COUNTS_FROM_BYTES = 64 * 1_048_576
_MOST_OF_A_SLICE = _SLICE_BYTES * 1100  # deflate packs 1032 to 1 at best


@dataclass(frozen=True, slots=True)
class StreamReply:
    """A reply whose headers are here and whose body is still to be read, once.

    ``url`` is where the last redirect led, without credentials. ``own`` says whether that is the provider's origin, at
    an address that no other host chose.
    """

    status: int
    headers: Mapping[str, str]
    url: str
    own: bool
    _raw: RawReply

    @property
    def phrase(self) -> str:
        """The reason phrase of the status line."""
        return self._raw.phrase

    async def read(self, limit: int) -> tuple[bytes, bool]:
        """The body up to ``limit`` bytes, and whether there was more of it; raises ``BrokenBodyError``."""
        return await self._raw.read(limit)

    def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece, as it is stored; raises ``BrokenBodyError``."""
        return self._raw.chunks()

    def already_read(self, body: bytes, truncated: bool) -> "StreamReply":
        """The same reply, with a body that can be read although it was just read."""
        return replace(self, _raw=_ReadReply(self.status, self.headers, self.url, self._raw.phrase, body, truncated))


class ReplyBeginning:
    """A reply of which the beginning has been read.

    Args:
        reply: holds the beginning, with its content coding undone, as an exchange would give it.
        stream: gives the whole body from its first byte, as it came; ``None`` if the reply was read completely, or up
            to the limit.
    """

    __slots__ = ("_stream", "reply")

    def __init__(self, reply: WireReply, stream: StreamReply | None = None) -> None:
        self.reply = reply
        self._stream = stream

    @property
    def stream(self) -> StreamReply:
        """The whole body from its first byte. Only a reply that is a file needs it, so it is made late."""
        if self._stream is None:
            reply = self.reply
            body = _ReadReply(reply.status, reply.headers, reply.url, reply.phrase, reply.body, reply.truncated)
            self._stream = StreamReply(reply.status, reply.headers, reply.url, not reply.foreign, body)
        return self._stream


@dataclass(frozen=True, slots=True)
class _ReadReply:
    """A reply whose body has been read already."""

    status: int
    headers: Mapping[str, str]
    url: str
    phrase: str
    body: bytes
    truncated: bool

    async def read(self, limit: int) -> tuple[bytes, bool]:
        return self.body[:limit], self.truncated or len(self.body) > limit

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.body


@dataclass(frozen=True, slots=True)
class ResumedReply:
    """A reply of which some chunks have been read already."""

    status: int
    headers: Mapping[str, str]
    url: str
    phrase: str
    first: tuple[bytes, ...]
    rest: AsyncIterator[bytes]

    async def read(self, limit: int) -> tuple[bytes, bool]:
        """The body up to ``limit`` bytes, and whether there was more of it."""
        pieces: list[bytes] = []
        size = 0
        async for piece in self.chunks():
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                return b"".join(pieces)[:limit], True
        return b"".join(pieces), False

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body from its first byte."""
        for piece in self.first:
            yield piece
        async for piece in self.rest:
            yield piece


async def read_beginning(
    raw: RawReply, chunks: AsyncIterator[bytes], limit: int
) -> tuple[tuple[bytes, ...], bytes, bool]:
    """Read the beginning of a body: chunks until they, or what they unpack to, exceed ``limit`` bytes.

    Returns:
        The chunks as they came, what they unpack to, and whether there is more of it.

    Raises:
        BrokenBodyError: it broke off, or cannot be unpacked.
    """
    codings = content_codings(raw.headers)
    unpacking = unpacking_of(codings if can_decode(codings) else (), limit)
    first: list[bytes] = []
    unpacked: list[bytes] = []
    came = size = 0
    try:
        async for chunk in chunks:
            first.append(chunk)
            came += len(chunk)
            for piece in unpacking.feed(chunk):
                unpacked.append(piece)
                size += len(piece)
            if max(came, size) > limit:
                return tuple(first), b"".join(unpacked)[:limit], True
        unpacked.extend(unpacking.finish())
    except BombError:
        return tuple(first), b"".join(unpacked)[:limit], True
    except UnpackError as error:
        raise BrokenBodyError(f"The reply cannot be read. {error}") from None
    return tuple(first), b"".join(unpacked), False


class BombError(Exception):
    """The bytes unpack to more than a limit allows; the message is a sentence."""


class UnpackError(Exception):
    """The bytes are not packed by the declared coding, or break off; the message is a sentence."""


class UnpackingLevel(Protocol):
    """Undoes one coding. Both methods yield pieces of bounded size and raise as :class:`Unpacking` does."""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What the next bytes unpack to."""

    def finish(self) -> Iterator[bytes]:
        """What is left at the end of the bytes."""


class Unpacking:
    """Undoes the codings of one body, each level within its own limits.

    Args:
        levels: the one that was applied last comes first; without levels, bytes pass unchanged.
    """

    def __init__(self, levels: Sequence[UnpackingLevel]) -> None:
        self._levels = tuple(levels)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What the next bytes unpack to, in pieces of bounded size.

        Raises:
            BombError: it is more than a limit allows, or far more than the packed bytes.
            UnpackError: it is not packed in that way.
        """
        return self._through(0, piece)

    def finish(self) -> Iterator[bytes]:
        """What is left at the end of the body.

        Raises:
            BombError: as for :meth:`feed`.
            UnpackError: it is not packed in that way, or breaks off.
        """
        for number, level in enumerate(self._levels):
            for piece in level.finish():
                yield from self._through(number + 1, piece)

    def _through(self, number: int, piece: bytes) -> Iterator[bytes]:
        if number == len(self._levels):
            yield piece
            return
        for out in self._levels[number].feed(piece):
            yield from self._through(number + 1, out)


def unpacking_of(codings: Sequence[str], largest_bytes: int) -> Unpacking:
    """Undoes these codings, which must all be known; they are in the order in which they were applied."""
    return Unpacking([CodingLevel(coding, largest_bytes) for coding in reversed(codings)])


class CodingLevel:
    """One level of gzip or deflate.

    Args:
        coding: ``gzip`` or ``deflate``.
        largest_bytes: a body that unpacks to more is refused.
    """

    def __init__(self, coding: str, largest_bytes: int) -> None:
        self._coding = coding
        self._largest_bytes = largest_bytes
        self._unpacker = Unpacker(coding)
        self._packed = 0
        self._unpacked = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """See :class:`UnpackingLevel`."""
        for start in range(0, len(piece), _SLICE_BYTES):
            part = piece[start : start + _SLICE_BYTES]
            most = min(_MOST_OF_A_SLICE, self._largest_bytes - self._unpacked + 1)
            try:
                out = self._unpacker.feed(part, most)
            except zlib.error as error:
                raise UnpackError(f"The content cannot be unpacked by {self._coding}.") from error
            self._packed += len(part)
            self._unpacked += len(out)
            if out:
                yield out
            self._check()

    def _check(self) -> None:
        if self._unpacked > self._largest_bytes:
            raise BombError(f"The content unpacks to more than {self._largest_bytes} bytes.")
        if self._unpacked > max(_RATIO_COUNTS_FROM_BYTES, _LARGEST_RATIO * self._packed):
            raise BombError(f"The content unpacks to more than {_LARGEST_RATIO} times its size.")

    def finish(self) -> Iterator[bytes]:
        """See :class:`UnpackingLevel`."""
        if not self._unpacker.whole:
            raise UnpackError(f"The {self._coding} content breaks off before its end.")
        return iter(())


class Unpacker:
    """Unpacks gzip, of any number of members, and deflate, with its zlib wrapper or without, as some servers send it.

    aiohttp could do it as well, but treats a gzip body that breaks off as whole.
    """

    def __init__(self, coding: str) -> None:
        self._gzip = coding != "deflate"
        self._current: _Decompress | None = None

    def feed(self, packed: bytes, most: int) -> bytes:
        """What the next bytes unpack to, up to ``most`` bytes; raises ``zlib.error``.

        A caller that gets so many bytes has reached a limit and stops reading: the rest is dropped.
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
        """Whether it may end here: at the end of a member, or before the first byte."""
        return self._current is None or self._current.eof

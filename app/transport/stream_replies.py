"""Replies whose bodies are read as they come: whole, or from a beginning that is in memory already."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

from app.domain.codings import can_be_undone, content_codings
from app.domain.wire import WireReply
from app.transport.errors import BrokenBodyError
from app.transport.unpack import BombError, UnpackError, unpacking_of
from app.transport.wire import RawReply


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


@dataclass(frozen=True, slots=True)
class Begun:
    """A reply of which the beginning has been read.

    ``reply`` holds the beginning, with its content coding undone, as an exchange would give it.
    ``stream`` gives the whole body from its first byte, as it came.
    """

    reply: WireReply
    stream: StreamReply

    @classmethod
    def whole(cls, reply: WireReply) -> "Begun":
        """A reply that was read completely, or up to the limit."""
        body = _ReadReply(reply.status, reply.headers, reply.url, reply.phrase, reply.body, reply.truncated)
        return cls(reply, StreamReply(reply.status, reply.headers, reply.url, not reply.foreign, body))


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
class BegunReply:
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


async def beginning_of(
    raw: RawReply, chunks: AsyncIterator[bytes], limit: int
) -> tuple[tuple[bytes, ...], bytes, bool]:
    """The beginning of a body: no more chunks than unpack to ``limit`` bytes or make up as many themselves.

    Returns:
        The chunks as they came, what they unpack to, and whether there is more of it.

    Raises:
        BrokenBodyError: it broke off, or cannot be unpacked.
    """
    codings = content_codings(raw.headers)
    unpacking = unpacking_of(codings if can_be_undone(codings) else (), limit)
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

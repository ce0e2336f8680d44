"""The beginning of a reply that may be a file: read into memory, and still there for whoever streams the whole."""

import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from app.domain.wire import combined_field
from app.transport.errors import BrokenBodyError
from app.transport.unpack import unpacker_for
from app.transport.wire import RawReply


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
    """The first chunks of a body, what they unpack to up to ``limit`` bytes, and whether there is more of it."""
    unpacker = unpacker_for(combined_field(raw.headers, "content-encoding"))
    first: list[bytes] = []
    unpacked: list[bytes] = []
    came = size = 0
    async for piece in chunks:
        first.append(piece)
        came += len(piece)
        try:
            plain = piece if unpacker is None else unpacker.feed(piece, limit + 1 - size)
        except zlib.error:
            raise BrokenBodyError("The reply cannot be unpacked.") from None
        unpacked.append(plain)
        size += len(plain)
        if max(came, size) > limit:
            return tuple(first), b"".join(unpacked)[:limit], True
    if unpacker is not None and not unpacker.whole:
        raise BrokenBodyError("The reply breaks off before its packed end.")
    return tuple(first), b"".join(unpacked), False

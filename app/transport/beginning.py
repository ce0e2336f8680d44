"""The beginning of a reply that may be a file: read into memory, and still there for whoever streams the whole."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from app.domain.codings import can_be_undone, content_codings
from app.transport.errors import BrokenBodyError
from app.transport.unpack import BombError, UnpackError, unpacking_of
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

"""What an emulated server sends: bytes in memory, or a body of any size that is made from a seed while it is sent."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

_BLOCK = 65_536


class Body(Protocol):
    """A sequence of bytes of known size that can be read from any position."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``stop`` (both within the size), in pieces of at most 64 KiB."""


@dataclass(frozen=True, slots=True)
class BytesBody:
    """Bytes that are held in memory."""

    content: bytes

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.content)

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``stop``."""
        for at in range(start, stop, _BLOCK):
            yield self.content[at : min(at + _BLOCK, stop)]


@dataclass(frozen=True, slots=True)
class GeneratedBody:
    """``size`` bytes that follow from ``seed`` alone; each part is made when it is read, and none is kept.

    The bytes look random, so compression does not make them smaller. The same size and seed give the same bytes on
    every machine (SHAKE-128 of seed and block number).
    """

    size: int
    seed: int

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``stop``."""
        at = start
        while at < stop:
            block, offset = divmod(at, _BLOCK)
            piece = self._block(block)[offset : offset + stop - at]
            yield piece
            at += len(piece)

    def sha256(self) -> str:
        """The SHA-256 of the whole body in lower-case hex; reads the whole body once."""
        digest = hashlib.sha256()
        for chunk in self.chunks(0, self.size):
            digest.update(chunk)
        return digest.hexdigest()

    def _block(self, number: int) -> bytes:
        return hashlib.shake_128(f"{self.seed}:{number}".encode()).digest(_BLOCK)


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes of another body from ``start`` up to ``stop``, as a body."""

    whole: Body
    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self.stop - self.start

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``stop``, counted from the beginning of the part."""
        return self.whole.chunks(self.start + start, self.start + stop)


@dataclass(frozen=True, slots=True)
class Joined:
    """Several bodies, one after the other, as one."""

    parts: tuple[Body, ...]

    @property
    def size(self) -> int:
        """How many bytes there are in all."""
        return sum(part.size for part in self.parts)

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``stop``; no piece crosses the end of a part."""
        for part in self.parts:
            yield from part.chunks(min(start, part.size), min(stop, part.size))
            start, stop = max(0, start - part.size), max(0, stop - part.size)


Source: TypeAlias = bytes | GeneratedBody


def as_body(source: Source) -> Body:
    """A stored source as a body that can be sent."""
    return BytesBody(source) if isinstance(source, bytes) else source


def head_of(body: Body, size: int) -> bytes:
    """At most the first ``size`` bytes, in memory."""
    return b"".join(body.chunks(0, min(size, body.size)))

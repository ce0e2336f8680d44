"""What an emulated server sends: bodies of any size, replies, and how a fault changes them on the socket."""

import asyncio
import hashlib
import json
import socket
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Protocol, TypeAlias

from aiohttp import web

from tidewaiter.clock import Clock
from tidewaiter.emulators.controls import FaultKind, InjectedFault

_BLOCK = 65_536


class EmulatedBody(Protocol):
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
class BodySlice:
    """The bytes of another body from ``start`` up to ``stop``, as a body."""

    whole: EmulatedBody
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
class JoinedBody:
    """Several bodies, one after the other, as one."""

    parts: tuple[EmulatedBody, ...]

    @property
    def size(self) -> int:
        """How many bytes there are in all."""
        return sum(part.size for part in self.parts)

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``stop``; no piece crosses the end of a part."""
        for part in self.parts:
            yield from part.chunks(min(start, part.size), min(stop, part.size))
            start, stop = max(0, start - part.size), max(0, stop - part.size)


BodySource: TypeAlias = bytes | GeneratedBody


def as_body(source: BodySource) -> EmulatedBody:
    """A stored source as a body that can be sent."""
    return BytesBody(source) if isinstance(source, bytes) else source


def head_of(body: EmulatedBody, size: int) -> bytes:
    """At most the first ``size`` bytes, in memory."""
    return b"".join(body.chunks(0, min(size, body.size)))


_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_MIB = 1_048_576
_BROKEN_HEAD = 65_536


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply of a route, ``delay_s`` seconds after its effect.

    ``reason`` is the reason phrase, if it has a meaning.
    """

    status: int
    body: EmulatedBody = field(default_factory=lambda: BytesBody(b""))
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None
    delay_s: float = 0.0


def json_reply(payload: object, status: int = 200) -> Reply:
    """A reply with JSON."""
    return Reply(status, BytesBody(json.dumps(payload).encode()), "application/json")


def text_reply(text: str, content_type: str = "text/plain", status: int = 200) -> Reply:
    """A reply with text in UTF-8."""
    return Reply(status, BytesBody(text.encode()), content_type)


def page_reply(status: int, title: str) -> Reply:
    """A page of HTML, like a proxy's for a server that does not answer."""
    page = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return text_reply(page, "text/html; charset=utf-8", status)


def spoiled(reply: Reply, fault: InjectedFault) -> Reply:
    """The reply, changed by a fault of its content or its headers."""
    match fault.kind:
        case FaultKind.MALFORMED:
            broken = head_of(reply.body, min(reply.body.size // 2, _BROKEN_HEAD)) + b'{"'
            return replace(reply, body=BytesBody(broken))
        case FaultKind.WRONG_TYPE:
            return replace(reply, content_type=fault.text or "text/html; charset=utf-8")
        case FaultKind.GZIP_BOMB:
            bomb = _bomb(16 * _MIB if fault.size is None else fault.size)
            return replace(reply, body=BytesBody(bomb), headers={**reply.headers, "Content-Encoding": "gzip"})
        case _:
            return reply


def reset(request: web.Request) -> None:
    """Close the connection with a TCP reset."""
    transport = request.transport
    if transport is None:
        return
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


@dataclass(frozen=True, slots=True)
class Sender:
    """Writes replies with one server's clock and name; ``skew_s`` is how far ahead its dates are."""

    clock: Clock
    software: str
    skew_s: float = 0.0

    async def send(self, request: web.Request, reply: Reply, fault: InjectedFault) -> web.StreamResponse:
        """Send the reply to the request, changed by the fault."""
        size = reply.body.size
        cut = min(size, size // 2 if fault.size is None else fault.size)
        match fault.kind:
            case FaultKind.TRUNCATE:
                return await self._send_part(request, reply, cut, max(size, cut + 1))
            case FaultKind.WRONG_LENGTH:
                declared = max(0, size + (10 if fault.size is None else fault.size))
                return await self._send_part(request, reply, min(size, declared), declared)
            case FaultKind.STALL:
                response = await self._begin(request, reply, max(size, cut + 1))
                await self._write(request, response, reply, cut)
                await asyncio.Event().wait()  # until cancelled
                return response
            case FaultKind.TRICKLE:
                response = await self._begin(request, reply, size)
                await self._drip(request, response, reply, fault)
                return response
            case _:
                response = await self._begin(request, reply, size)
                await self._write(request, response, reply, size)
                return response

    async def _begin(self, request: web.Request, reply: Reply, content_length: int) -> web.StreamResponse:
        headers = {
            **reply.headers,
            "Date": formatdate(self.clock.now() + self.skew_s, usegmt=True),
            "Server": self.software,
        }
        if reply.content_type is not None:
            headers["Content-Type"] = reply.content_type
        response = web.StreamResponse(status=reply.status, reason=reply.reason, headers=headers)
        response.content_length = content_length
        await response.prepare(request)
        return response

    async def _write(self, request: web.Request, response: web.StreamResponse, reply: Reply, size: int) -> None:
        if request.method == "HEAD":
            return
        for chunk in reply.body.chunks(0, size):
            await response.write(chunk)

    async def _send_part(self, request: web.Request, reply: Reply, size: int, declared: int) -> web.StreamResponse:
        response = await self._begin(request, reply, declared)
        await self._write(request, response, reply, size)
        if request.transport is not None:
            request.transport.close()
        return response

    async def _drip(
        self, request: web.Request, response: web.StreamResponse, reply: Reply, fault: InjectedFault
    ) -> None:
        if request.method == "HEAD":
            return
        step = max(1, 16 if fault.size is None else fault.size)
        for start in range(0, reply.body.size, step):
            for piece in reply.body.chunks(start, min(start + step, reply.body.size)):
                await response.write(piece)
            await self.clock.sleep(fault.seconds)


def _bomb(unpacked_size: int) -> bytes:
    """Zeros in gzip form, about a thousandth of their size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = as_body(bytes(min(_MIB, unpacked_size)))
    packed = [packer.compress(head_of(zeros, unpacked_size - at)) for at in range(0, unpacked_size, _MIB)]
    return b"".join([*packed, packer.flush()])

"""The only file that sends requests with aiohttp: byte for byte, once, and never to an address that the guard forbids.

What aiohttp would do by itself is switched off here: following redirects, cookies, proxy variables and ``.netrc``,
quoting addresses anew, and sending a request a second time (see ``_send_once``). There is one pool of connections for
each set of permitted networks, so that no account uses a connection of another set.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from aiohttp import (
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    StreamReader,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver

from tidewaiter import __version__
from tidewaiter.domain.http_values import WireRequest, can_decode, content_codings
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.transport.address_guard import Guard, GuardedResolver, OwnListeners
from tidewaiter.transport.aiohttp_errors import LONGEST_FIELD, MOST_FIELDS, OUTSIDE_ERRORS, before_reply, in_body
from tidewaiter.transport.reply_bodies import ACCEPTED, BombError, UnpackError, unpacking_of
from tidewaiter.transport.request_urls import place_of, request_address
from tidewaiter.transport.trust import Trust
from tidewaiter.transport.wire import BrokenBodyError, OnSend, Timeouts

if TYPE_CHECKING:
    from aiohttp.connector import Connection
from collections.abc import Callable
from typing import TypeAlias

from tidewaiter.domain.networks import Network

_MOST_IDLE: Final = 16
_Key: TypeAlias = tuple[bool | frozenset[Network], bool, int]
_IDLE_S = 30.0
_READ_BUFFER = 2**18
_LARGEST_PLAIN_BODY = 2**20  # above it aiohttp warns about bytes and asks for a file
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
# How the exchange under way reaches the request that aiohttp makes of it, in the same task.
_ON_SEND: Final[ContextVar[OnSend | None]] = ContextVar("on_send", default=None)


class Pool:
    """A session of aiohttp, and how many exchanges use it."""

    __slots__ = ("session", "users")

    def __init__(self, session: ClientSession) -> None:
        self.session = session
        self.users = 0


class Pools:
    """Makes pools when they are needed, and closes unused ones once there are more than a few.

    Args:
        make: makes a session, given which private addresses it may reach, and whether it keeps no connection.
    """

    def __init__(self, make: Callable[[PermittedNetworks, bool], ClientSession]) -> None:
        self._make = make
        self._pools: dict[_Key, Pool] = {}
        self._generation = 0

    def __len__(self) -> int:
        """How many pools there are."""
        return len(self._pools)

    def renew(self) -> None:
        """Make new sessions from now on; exchanges under way end with the session that they have."""
        self._generation += 1

    async def borrow(self, private_ok: PermittedNetworks, *, fresh: bool) -> Pool:
        """The pool of these networks, in any order; the borrower counts ``users`` down at the end."""
        networks = private_ok if isinstance(private_ok, bool) else frozenset(private_ok)
        key = networks or False, fresh, self._generation
        pool = self._pools.pop(key, None)
        if pool is None:
            pool = Pool(self._make(private_ok, fresh))
        # The last in the order is the one that was used last.
        self._pools[key] = pool
        pool.users += 1
        if len(self._pools) > _MOST_IDLE or next(iter(self._pools))[2] != self._generation:
            await self._close_idle()
        return pool

    async def _close_idle(self) -> None:
        idle = [key for key, pool in self._pools.items() if not pool.users]
        idle.sort(key=lambda key: key[2] == self._generation)
        outdated = sum(key[2] != self._generation for key in idle)
        # Removed before anything is awaited, so that no pool is borrowed while it is being closed.
        ended = [self._pools.pop(key) for key in idle[: max(outdated, len(self._pools) - _MOST_IDLE)]]
        for pool in ended:
            await pool.session.close()

    async def close(self) -> None:
        """Close every connection."""
        pools = list(self._pools.values())
        self._pools.clear()
        for pool in pools:
            await pool.session.close()


class AiohttpWire:
    """The wire to the real network; enter it inside the running event loop, leave it to close every connection.

    There is one pool of connections for each set of permitted networks, so that neither a kept-alive connection nor a
    cached lookup of a permitted account ever serves another. A request that asks for a fresh connection goes through a
    pool that keeps none. The callers bound how many connections are open at a time. Certificates are verified
    against the authorities of ``trust``.

    Args:
        own: the daemon's own listeners, which no request may reach.
        resolver: looks up names, in place of the system's.
        trust: the certificate authorities.
    """

    def __init__(
        self,
        own: OwnListeners | None = None,
        resolver: AbstractResolver | None = None,
        trust: Trust | None = None,
    ) -> None:
        self._trust = trust or Trust()
        self._own = own or OwnListeners()
        self._resolver = resolver
        self._pools = Pools(self._session)

    async def __aenter__(self) -> Self:
        self._names = self._resolver or ThreadedResolver()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pools.close()

    def reconfigure(self, trust: Trust) -> None:
        """Trust these authorities from now on; no connection that was made before serves another request."""
        if trust != self._trust:
            self._trust = trust
            self._pools.renew()

    def open(
        self, request: WireRequest, *, private_ok: PermittedNetworks, timeouts: Timeouts, stream: bool
    ) -> "_Exchange":
        """See :class:`tidewaiter.transport.wire.Wire`."""
        return _Exchange(self._pools, private_ok, request, timeouts, stream)

    def _session(self, private_ok: PermittedNetworks, fresh: bool) -> ClientSession:
        guard = Guard(private_ok, self._own)
        connector = TCPConnector(
            ssl=self._trust.context,
            resolver=GuardedResolver(self._names, guard),
            socket_factory=guard.socket,
            limit=0,
            force_close=fresh,
            keepalive_timeout=None if fresh else _IDLE_S,
        )
        return ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            headers={"User-Agent": f"tidewaiter/{__version__}", "Accept-Encoding": ACCEPTED},
            max_line_size=LONGEST_FIELD,
            max_field_size=LONGEST_FIELD,
            max_headers=MOST_FIELDS,
            read_bufsize=_READ_BUFFER,
            auto_decompress=False,
            middlewares=(_send_once,),
            request_class=_Request,
            trust_env=False,
        )


async def _send_once(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
    """Turn errors into our own before aiohttp sees them, so that it repeats nothing.

    Where a kept-alive connection breaks before a reply, aiohttp sends GET, PUT and DELETE again on another one,
    although it cannot know whether the first was read: the budget would count one request, the provider two. It does
    so for certain exceptions of its own; a middleware runs between them and the loop that repeats.
    """
    try:
        return await send(request)
    except OUTSIDE_ERRORS as error:
        raise before_reply(error, place_of(request.url)) from None


class _Request(ClientRequest):
    """A request that reports when it leaves: after name lookup, connecting and TLS."""

    async def send(self, conn: "Connection") -> ClientResponse:
        """Write the request."""
        on_send = _ON_SEND.get()
        if on_send is None:
            return await super().send(conn)
        on_send(True)
        try:
            return await super().send(conn)
        except ValueError:  # a header that cannot be written, before the first byte was
            on_send(False)
            raise


class _Exchange:
    """One request and its reply: entering sends, leaving gives the connection back or closes it."""

    __slots__ = (
        "_on_send",
        "_pool",
        "_pools",
        "_private_ok",
        "_request",
        "_response",
        "_stream",
        "_timeouts",
        "headers",
        "phrase",
        "status",
        "url",
    )

    def __init__(
        self, pools: Pools, private_ok: PermittedNetworks, request: WireRequest, timeouts: Timeouts, stream: bool
    ) -> None:
        self._pools = pools
        self._private_ok = private_ok
        self._request = request
        self._timeouts = timeouts
        self._stream = stream
        self._on_send: OnSend | None = None
        self.url = request.url

    def at_departure(self, on_send: OnSend) -> None:
        """See :class:`tidewaiter.transport.wire.Departing`."""
        self._on_send = on_send

    async def __aenter__(self) -> Self:
        pool = self._pool = await self._pools.borrow(self._private_ok, fresh=self._request.fresh)
        try:
            if self._stream:
                async with asyncio.timeout(self._timeouts.overall_s):
                    response = await self._send(pool)
            else:
                response = await self._send(pool)
        except BaseException as error:
            pool.users -= 1
            if isinstance(error, OUTSIDE_ERRORS):
                raise before_reply(error, place_of(self.url)) from None
            raise
        self._response = response
        self.status: int = response.status
        self.phrase: str = response.reason or ""
        self.headers: Mapping[str, str] = response.headers
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A body that was not read to its end takes its connection with it.
        try:
            self._response.release()
            if self._request.body is not None:
                await self._response.wait_for_close()
        finally:
            self._pool.users -= 1

    async def _send(self, pool: Pool) -> ClientResponse:
        request = self._request
        headers = request.headers
        if self._stream:
            headers = {"Accept-Encoding": "identity", **headers}
        skipped = None
        if request.method in _WITH_BODY and not any(name.lower() == "content-type" for name in headers):
            skipped = ("Content-Type",)
        token = _ON_SEND.set(self._on_send)
        try:
            return await pool.session.request(
                request.method,
                request_address(request.url),
                headers=headers,
                skip_auto_headers=skipped,
                data=_payload(request.body),
                allow_redirects=False,
                timeout=_client_timeout(self._timeouts, self._stream),
            )
        finally:
            _ON_SEND.reset(token)

    async def read(self, limit: int) -> tuple[bytes, bool]:
        """See :class:`tidewaiter.transport.wire.RawReply`."""
        content = self._response.content
        # A reply to HEAD has the fields of the body that it leaves out (RFC 9110, section 9.3.2). What cannot be
        # undone stays as it came: its status may still be of use.
        codings = () if self._request.method == "HEAD" else content_codings(self.headers)
        unpacking = unpacking_of(codings if can_decode(codings) else (), limit)
        pieces: list[bytes] = []
        size = 0
        try:
            while not content.at_eof():
                for piece in unpacking.feed(await content.readany()):
                    pieces.append(piece)
                    size += len(piece)
                    if size > limit:
                        return b"".join(pieces)[:limit], True
            pieces.extend(unpacking.finish())
        except OUTSIDE_ERRORS as error:
            raise in_body(error, place_of(self.url)) from None
        except BombError:
            return b"".join(pieces)[:limit], True
        except UnpackError as error:
            raise BrokenBodyError(f"The reply of {place_of(self.url)} cannot be read. {error}") from None
        return b"".join(pieces), False

    def chunks(self) -> AsyncIterator[bytes]:
        """See :class:`tidewaiter.transport.wire.RawReply`."""
        return _Chunks(self._response.content, self._timeouts, self.url)


class _Chunks:
    """A body as it comes in, with a minimum rate over the time in which it is read."""

    __slots__ = ("_content", "_now", "_received", "_timeouts", "_url", "_waited_s")

    def __init__(self, content: StreamReader, timeouts: Timeouts, url: str) -> None:
        self._content = content
        self._timeouts = timeouts
        self._url = url
        self._now = asyncio.get_running_loop().time
        self._waited_s = 0.0
        self._received = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        asked_at = self._now()
        try:
            # Not aiohttp's sock_read: a malformed chunk stops that clock, and the reader waits for ever.
            async with asyncio.timeout(self._timeouts.read_s):
                chunk = await self._content.readany()
        except OUTSIDE_ERRORS as error:
            raise in_body(error, place_of(self._url)) from None
        if not chunk:
            raise StopAsyncIteration
        self._waited_s += self._now() - asked_at
        self._received += len(chunk)
        if self._waited_s >= self._timeouts.rate_window_s:
            self._check_rate()
        return chunk

    def _check_rate(self) -> None:
        if self._received < self._timeouts.slowest_bytes_per_s * self._waited_s:
            raise BrokenBodyError(
                f"The reply of {place_of(self._url)} trickles: {self._received} bytes came in {self._waited_s:.0f} s."
            )
        self._waited_s = 0.0
        self._received = 0


@lru_cache
def _client_timeout(timeouts: Timeouts, stream: bool) -> ClientTimeout:
    return ClientTimeout(
        total=None if stream else timeouts.overall_s,
        connect=timeouts.connect_s,
        sock_connect=timeouts.connect_s,
    )


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    if body is None or len(body) <= _LARGEST_PLAIN_BODY:
        return body
    return io.BytesIO(body)

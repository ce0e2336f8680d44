"""The only file that sends requests with aiohttp: byte for byte, once, and never to an address that the guard forbids.

What aiohttp would do by itself is switched off here: following redirects, cookies, proxy variables and ``.netrc``,
quoting addresses anew, and sending a request a second time (see ``_send_once``). There is one pool of connections for
each set of permitted networks, so that no account uses a connection of another set; and one for each proxy.

A request through a proxy is checked by its host's name, because the proxy looks the name up. What fails before the
request itself has left, the proxy's own answer included, is an error of the kind that says: nothing was sent.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from aiohttp import (
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from tidewaiter import __version__
from tidewaiter.domain.http_values import WireRequest, can_decode, content_codings
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.transport.address_guard import AddressRefusedError, Guard, GuardedResolver, OwnListeners
from tidewaiter.transport.aiohttp_errors import (
    LONGEST_FIELD,
    MOST_FIELDS,
    OUTSIDE_ERRORS,
    at_proxy,
    before_reply,
    in_body,
    refused_by_proxy,
)
from tidewaiter.transport.connection_pools import Pool, Pools
from tidewaiter.transport.connection_settings import ConnectionSettings
from tidewaiter.transport.proxies import Proxy
from tidewaiter.transport.reply_bodies import ACCEPTED, BombError, UnpackError, unpacking_of
from tidewaiter.transport.request_urls import place_of, request_address
from tidewaiter.transport.streamed_body import StreamedBody
from tidewaiter.transport.wire import BlockedAddressError, BrokenBodyError, OnSend, Timeouts

if TYPE_CHECKING:
    from aiohttp.connector import Connection

_IDLE_S = 30.0
_READ_BUFFER = 2**18
_LARGEST_PLAIN_BODY = 2**20  # above it aiohttp warns about bytes and asks for a file
_PROXY_REFUSES: Final = 407  # only a proxy answers so, and does not pass the request on (RFC 9110, section 15.5.8)
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
# How the exchange under way reaches the request that aiohttp makes of it, in the same task.
_ON_SEND: Final[ContextVar[OnSend | None]] = ContextVar("on_send", default=None)


class AiohttpWire:
    """The wire to the real network; enter it inside the running event loop, leave it to close every connection.

    There is one pool of connections for each set of permitted networks, so that neither a kept-alive connection nor a
    cached lookup of a permitted account ever serves another. A request that asks for a fresh connection goes through a
    pool that keeps none. The callers bound how many connections are open at a time.

    Args:
        own: the daemon's own listeners, which no request may reach.
        resolver: looks up names, in place of the system's.
        connections: which certificates are trusted, and how connections are made.
    """

    def __init__(
        self,
        own: OwnListeners | None = None,
        resolver: AbstractResolver | None = None,
        connections: ConnectionSettings | None = None,
    ) -> None:
        self._connections = connections or ConnectionSettings()
        self._own = own or OwnListeners()
        self._resolver = resolver
        self._pools = Pools(self._session)
        self._last_limits: tuple[Timeouts | None, bool, ClientTimeout] = None, False, ClientTimeout()

    async def __aenter__(self) -> Self:
        self._names = self._resolver or ThreadedResolver()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pools.close()

    def reconfigure(self, connections: ConnectionSettings) -> None:
        """Make connections this way from now on; none that was made before serves another request."""
        if connections != self._connections:
            self._connections = connections
            self._pools.renew()

    def open(
        self, request: WireRequest, *, private_ok: PermittedNetworks, timeouts: Timeouts, stream: bool
    ) -> "_Exchange":
        """See :class:`tidewaiter.transport.wire.Wire`."""
        return _Exchange(self, private_ok, request, timeouts, stream)

    async def borrow(self, address: URL, private_ok: PermittedNetworks, *, fresh: bool) -> tuple[Pool, Proxy | None]:
        """The pool for an address, and the proxy that its requests go through.

        Raises:
            BlockedAddressError: the host may not be reached, as far as its name tells.
        """
        host = address.raw_host or ""
        proxy = self._connections.proxies.through(address.scheme, host)
        if proxy is not None:
            try:
                Guard(private_ok, self._own).check_behind_proxy(host, address.port or 0)
            except AddressRefusedError as error:
                place = through(place_of(address), proxy)
                raise BlockedAddressError(f"Refused to connect to {place}: {error.refusal}.") from None
        return await self._pools.borrow(private_ok, fresh=fresh, proxy=proxy), proxy

    def limits(self, timeouts: Timeouts, *, stream: bool) -> ClientTimeout:
        """What aiohttp is told about the timeouts; most requests have those of the request before."""
        last, was_stream, same = self._last_limits
        if timeouts is last and stream is was_stream:
            return same
        made = _client_timeout(timeouts, stream)
        self._last_limits = timeouts, stream, made
        return made

    def _session(self, private_ok: PermittedNetworks, fresh: bool, proxy: Proxy | None) -> ClientSession:
        # The operator has named the proxy, and its pool connects to nothing else.
        guard = Guard(private_ok if proxy is None else True, self._own)
        connector = TCPConnector(
            ssl=self._connections.trust.context,
            local_addr=self._connections.local_address,
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
        place = place_of(request.url)
        if request.proxy is None:
            raise before_reply(error, place) from None
        proxy = place_of(request.proxy)
        # A request that was not sent is one of ours; aiohttp's own one asks the proxy for a tunnel.
        if isinstance(request, _Request) and not request.departed:
            raise at_proxy(error, place, proxy, (request.proxy.raw_host, request.proxy.port)) from None
        raise before_reply(error, f"{place} (through the proxy {proxy})") from None


class _Request(ClientRequest):
    """A request that reports when it leaves: after name lookup, connecting, the tunnel of a proxy, and TLS."""

    departed = False

    async def send(self, conn: "Connection") -> ClientResponse:
        """Write the request."""
        on_send = _ON_SEND.get()
        if on_send is None:
            self.departed = True
            return await super().send(conn)
        on_send(True)
        self.departed = True
        try:
            return await super().send(conn)
        except ValueError:  # a header that cannot be written, before the first byte was
            on_send(False)
            raise


class _Exchange:
    """One request and its reply: entering sends, leaving gives the connection back or closes it."""

    __slots__ = (
        "_address",
        "_on_send",
        "_pool",
        "_private_ok",
        "_proxy",
        "_request",
        "_response",
        "_stream",
        "_timeouts",
        "_wire",
        "headers",
        "phrase",
        "status",
        "url",
    )

    def __init__(
        self, wire: AiohttpWire, private_ok: PermittedNetworks, request: WireRequest, timeouts: Timeouts, stream: bool
    ) -> None:
        self._wire = wire
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
        address = request_address(self.url)
        pool, proxy = await self._wire.borrow(address, self._private_ok, fresh=self._request.fresh)
        self._address, self._pool, self._proxy = address, pool, proxy
        try:
            if self._stream:
                async with asyncio.timeout(self._timeouts.overall_s):
                    response = await self._send(pool, address, proxy)
            else:
                response = await self._send(pool, address, proxy)
        except BaseException as error:
            pool.users -= 1
            if isinstance(error, OUTSIDE_ERRORS):
                raise before_reply(error, self._place) from None
            raise
        self._response = response
        self.status: int = response.status
        self.phrase: str = response.reason or ""
        self.headers: Mapping[str, str] = response.headers
        return self

    @property
    def _place(self) -> str:
        """What errors name: only they need it."""
        return through(place_of(self._address), self._proxy)

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

    async def _send(self, pool: Pool, address: URL, proxy: Proxy | None) -> ClientResponse:
        request = self._request
        headers = request.headers
        if self._stream:
            headers = {"Accept-Encoding": "identity", **headers}
        # aiohttp adds proxy_headers only to CONNECT; without a tunnel the proxy reads the request itself.
        is_read = proxy is not None and address.scheme == "http"
        if proxy is not None and is_read:
            headers = {**headers, **proxy.headers}
        skipped = None
        if request.method in _WITH_BODY and not any(name.lower() == "content-type" for name in headers):
            skipped = ("Content-Type",)
        token = _ON_SEND.set(self._on_send)
        try:
            response = await pool.session.request(
                request.method,
                address,
                headers=headers,
                skip_auto_headers=skipped,
                data=_payload(request.body),
                allow_redirects=False,
                timeout=self._wire.limits(self._timeouts, stream=self._stream),
                proxy=None if proxy is None else proxy.url,
                proxy_headers=None if proxy is None or is_read else proxy.headers,
            )
        finally:
            _ON_SEND.reset(token)
        if proxy is not None and is_read and response.status == _PROXY_REFUSES:
            response.close()
            if self._on_send is not None:
                self._on_send(False)
            raise refused_by_proxy(place_of(address), proxy.url, _PROXY_REFUSES, response.headers)
        return response

    async def read(self, limit: int) -> tuple[bytes, bool]:
        """See :class:`tidewaiter.transport.wire.RawReply`."""
        content = self._response.content
        # A reply to HEAD has the fields of the body that it leaves out (RFC 9110, section 9.3.2). What cannot be
        # undone stays as it came: its status may still be of use.
        codings = () if self._request.method == "HEAD" else content_codings(self.headers)
        if not codings:
            return await self._read_plain(limit)
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
            raise in_body(error, self._place) from None
        except BombError:
            return b"".join(pieces)[:limit], True
        except UnpackError as error:
            raise BrokenBodyError(f"The reply of {self._place} cannot be read. {error}") from None
        return b"".join(pieces), False

    async def _read_plain(self, limit: int) -> tuple[bytes, bool]:
        """The same for a body without a coding, as most are."""
        content = self._response.content
        pieces: list[bytes] = []
        size = 0
        try:
            while not content.at_eof():
                piece = await content.readany()
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    return b"".join(pieces)[:limit], True
        except OUTSIDE_ERRORS as error:
            raise in_body(error, self._place) from None
        return b"".join(pieces), False

    def chunks(self) -> AsyncIterator[bytes]:
        """See :class:`tidewaiter.transport.wire.RawReply`."""
        return StreamedBody(self._response.content, self._timeouts, self._place)


def through(place: str, proxy: Proxy | None) -> str:
    """A remote as errors name it, with the proxy on the way."""
    return place if proxy is None else f"{place} (through the proxy {proxy.url})"


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

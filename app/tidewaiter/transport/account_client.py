"""Sends an account's requests: asks the budget first, follows redirects, gives credentials to the provider only."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from random import Random, SystemRandom
from types import MappingProxyType, TracebackType
from typing import Final, TypeAlias

from tidewaiter.clock import Clock, SystemClock
from tidewaiter.domain.http_values import Credentials, WireReply, WireRequest
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.domain.own_origins import AuthChoice, DeclaredOrigin
from tidewaiter.domain.request_signing import SigningMoment
from tidewaiter.transport.cookies import Cookies
from tidewaiter.transport.machine_keys import MachineKeySource
from tidewaiter.transport.reply_bodies import ReplyBeginning, ResumedReply, StreamReply, read_beginning
from tidewaiter.transport.request_budget import Budget, Permit
from tidewaiter.transport.request_credentials import AccountCredentials
from tidewaiter.transport.request_urls import (
    MOST_HOPS,
    UrlOrigins,
    headers_for_other_origin,
    leads_on,
    location_of,
    next_address,
    redirected,
)
from tidewaiter.transport.wire import (
    BrokenBodyError,
    LeaseOverError,
    OnSend,
    RawReply,
    RedirectRefusedError,
    Timeouts,
    Wire,
    at_departure,
)

_NONCE_BITS: Final = 128
_USUAL_TIMEOUTS: Final = Timeouts()
_SECURE: Final = SystemRandom()  # each has the state of a Random, which it does not use: 2.5 kB
OnReply: TypeAlias = Callable[[int, Mapping[str, str]], None]


def _ignore(_status: int, _headers: Mapping[str, str]) -> None:
    pass


def _always() -> bool:
    return True


def ignore_departure(_sent: bool) -> None:
    """For requests whose departure does not matter."""


def any_host(_url: str) -> None:
    """For requests that may go to any host."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Where the requests of an account go, and the bounds of each.

    ``origin`` is the provider's scheme, host and port; ``declared`` are more of its origins. ``private_ok`` says which
    private addresses may be reached. ``body_limit`` is the most bytes of a reply that are buffered. ``timeouts`` are
    those of each hop.
    """

    origin: str
    private_ok: PermittedNetworks
    body_limit: int
    timeouts: Timeouts = _USUAL_TIMEOUTS
    declared: Sequence[DeclaredOrigin] = ()


class AccountClient:
    """Exchanges of one account with its provider, and downloads from any host that the provider names.

    GET and HEAD follow at most five redirects, never from https to http; so do downloads with another method, which
    goes to no other origin. A redirect of any other request is the reply.
    Credentials are added on each hop to one of the provider's origins, until the chain has left them: a hop that comes
    back was chosen by another host. Which credentials, the request and the origin say; a chain that began without the
    account's own never gets them. On any other hop only headers without account data are sent. Every hop to the
    provider's origins takes a permit.

    Cookies live until the chain ends or leaves the origin; those of a login, as long as its credentials are used.

    Args:
        wire: carries one hop.
        settings: where requests go, and their bounds.
        credentials: of the account; see :meth:`use`.
        named: other credentials, for requests and origins that name them.
        budget: of this account.
        on_reply: called with status and headers of each reply of the provider's origin, unless another host led there.
        may_send: called before every request to any host: ``False`` if the account may belong to another daemon by
            now. Then ``LeaseOverError`` is raised and nothing is sent.
        clock: decides when cookies end; its wall time is in signatures.
        rand: makes the nonces of signatures.
    """

    def __init__(
        self,
        wire: Wire,
        settings: ClientSettings,
        credentials: Credentials,
        budget: Budget,
        *,
        named: Mapping[str, Credentials] = MappingProxyType({}),
        on_reply: OnReply = _ignore,
        may_send: Callable[[], bool] = _always,
        clock: Clock | None = None,
        rand: Random | None = None,
    ) -> None:
        self._wire = wire
        self._settings = settings
        self._origins = UrlOrigins(settings.origin, settings.declared)
        self._named = {name: AccountCredentials(one) for name, one in named.items()}
        self._budget = budget
        self._on_reply = on_reply
        self._may_send: Final = may_send
        self._clock = clock or SystemClock()
        self._rand = rand or _SECURE
        self._machine = MachineKeySource()
        self._set_by_login = Cookies(self._clock)
        self._cookies = Cookies(self._clock)
        self.use(credentials)

    def use(self, credentials: Credentials) -> None:
        """Use these credentials from the next hop on, and the cookies of the last login: a token was renewed."""
        self._cookies, self._set_by_login = self._set_by_login, Cookies(self._clock)
        self._credentials = AccountCredentials(credentials)

    def owns(self, url: str) -> bool:
        """Whether an address lies within one of the provider's origins."""
        return self._origins.covers(url)

    def auth_of(self, request: WireRequest) -> AuthChoice:
        """Which credentials a request gets: what its origin says, else what the request itself says."""
        there = self._origins.auth_for(request.url)
        return request.auth if there is True or request.auth is False else there

    async def exchange(
        self, request: WireRequest, permit: Permit | None = None, on_send: OnSend = ignore_departure
    ) -> WireReply:
        """Send ``request`` and read the whole reply, up to the body limit.

        Args:
            request: without credentials.
            permit: one that was taken already, for the first hop.
            on_send: called before each hop; if it raises, nothing is sent and the error comes out here.

        Raises:
            TransportError: one of its kinds; see :mod:`tidewaiter.transport.wire`.
            LeaseOverError: the account may belong to another daemon by now.
        """
        hops = _Hops(self, request, permit, send_auth=True, stream=False, on_send=on_send)
        async with hops as raw:
            body, truncated = await raw.read(self._settings.body_limit)
        return WireReply(raw.status, raw.headers, body, hops.url, truncated, raw.phrase, foreign=not hops.own)

    @asynccontextmanager
    async def open_reply(
        self, request: WireRequest, permit: Permit | None = None, on_send: OnSend = ignore_departure
    ) -> AsyncIterator[ReplyBeginning]:
        """Send ``request`` and read the reply up to the body limit; what is longer can be streamed within the block.

        For a reply that may be a file. Arguments and errors are as for :meth:`exchange`.
        """
        hops = _Hops(self, request, permit, send_auth=True, stream=True, on_send=on_send)
        async with hops as raw:
            chunks = raw.chunks()
            try:
                async with asyncio.timeout(self._settings.timeouts.overall_s):
                    first, body, truncated = await read_beginning(raw, chunks, self._settings.body_limit)
            except TimeoutError:
                raise BrokenBodyError("The reply did not come within the time allowed.") from None
            reply = WireReply(raw.status, raw.headers, body, hops.url, truncated, raw.phrase, foreign=not hops.own)
            rest = ResumedReply(raw.status, raw.headers, hops.url, raw.phrase, first, chunks)
            yield ReplyBeginning(reply, StreamReply(raw.status, raw.headers, hops.url, hops.own, rest))

    async def sign_in(self, request: WireRequest, permit: Permit | None = None) -> WireReply:
        """Send a login unchanged: it contains its credentials.

        It takes a permit even if it goes to another host: it is a request to the provider. No redirect is followed.

        Raises:
            TransportError: one of its kinds; see :mod:`tidewaiter.transport.wire`.
        """
        with permit or await self._budget.admit() as admitted:
            async with self._open(request, ignore_departure, stream=False) as raw:
                admitted.done()
                self._set_by_login = Cookies(self._clock)
                self._set_by_login.take(request.url, raw.headers)
                if self.owns(request.url):
                    self._on_reply(raw.status, raw.headers)
                body, truncated = await raw.read(self._settings.body_limit)
        return WireReply(raw.status, raw.headers, body, request.url, truncated, raw.phrase)

    def stream(
        self,
        request: WireRequest,
        *,
        send_auth: bool,
        permit: Permit | None = None,
        may_ask: Callable[[str], None] = any_host,
    ) -> AbstractAsyncContextManager[StreamReply]:
        """Send ``request`` and give the reply as a stream; leaving the block ends it.

        Args:
            request: without credentials; it must do no harm if it is repeated, so redirects of a POST are followed.
            send_auth: whether credentials go along on hops to the provider's origin.
            permit: one that was taken already, for the first hop.
            may_ask: called with the URL before each hop to another origin; if it raises, nothing is sent.

        Raises:
            TransportError: one of its kinds; see :mod:`tidewaiter.transport.wire`.
        """
        hops = _Hops(
            self,
            request,
            permit,
            send_auth=send_auth,
            stream=True,
            on_send=ignore_departure,
            may_ask=may_ask,
            repeatable=True,
        )
        return self._stream(hops)

    def _open(self, request: WireRequest, on_send: OnSend, *, stream: bool) -> AbstractAsyncContextManager[RawReply]:
        """One hop: the only place where this client sends a request.

        The lease is checked before anything is done, and again at the last moment, when the connection is open.
        """

        def leaving(sent: bool) -> None:
            self._leaving(sent)
            on_send(sent)

        self._check_lease()
        settings = self._settings
        opened = self._wire.open(request, private_ok=settings.private_ok, timeouts=settings.timeouts, stream=stream)
        at_departure(opened, self._leaving if on_send is ignore_departure else leaving)
        return opened

    def _leaving(self, sent: bool) -> None:
        if sent:
            self._check_lease()

    def _check_lease(self) -> None:
        if not self._may_send():
            raise LeaseOverError("the lane's lease ran out before the request was sent")

    @asynccontextmanager
    async def _stream(self, hops: "_Hops") -> AsyncIterator[StreamReply]:
        async with hops as raw:
            yield StreamReply(raw.status, raw.headers, hops.url, hops.own, raw)

    def _prepared(self, request: WireRequest, *, own: bool, auth: AuthChoice, cookies: Cookies) -> WireRequest:
        """``request`` as it is sent: with credentials to the provider (``own``), else without data of the account.

        Cookies go to the origin that set them. Fields that a reply named for the address replace no other field.
        """
        whole = self._with_credentials(request, own=own, auth=auth).with_headers(dict(request.named_headers))
        return _with_cookies(whole, cookies)

    def _with_credentials(self, request: WireRequest, *, own: bool, auth: AuthChoice) -> WireRequest:
        if own:
            chosen = self._chosen(auth)
            return request if chosen is None else chosen.added_to(request)
        if not self.owns(request.url) and self._carries_credentials(request.url):
            raise RedirectRefusedError("An address of another origin carries the account's credentials in its query.")
        return replace(request, headers=headers_for_other_origin(request.headers))

    def _chosen(self, auth: AuthChoice) -> AccountCredentials | None:
        return self._credentials if auth is True else self._named.get(str(auth))

    async def _signed(self, request: WireRequest, auth: AuthChoice) -> WireRequest:
        """``request`` with its signature, if these credentials sign: the last change before it is sent."""
        chosen = self._chosen(auth)
        if chosen is None or (signer := chosen.signer) is None:
            return request
        machine = await self._machine.keys() if signer.uses_machine else None
        # A clock that was set right while the daemon runs counts: a wrong one spoils every signature.
        now, nonce = self._clock.now() + self._clock.skew(), f"{self._rand.getrandbits(_NONCE_BITS):032x}"
        return signer.sign(request, SigningMoment(now, nonce, machine)).request

    def _carries_credentials(self, url: str) -> bool:
        return any(one.appear_in(url) for one in (self._credentials, *self._named.values()))


def _with_cookies(request: WireRequest, cookies: Cookies) -> WireRequest:
    kept = cookies.header_for(request.url)
    if kept is None:
        return request
    # A Cookie of the spec, or of the credentials, comes first and goes in the same field (RFC 6265, section 5.4).
    given = [value for name, value in request.headers.items() if name.lower() == "cookie"]
    others = {name: value for name, value in request.headers.items() if name.lower() != "cookie"}
    return replace(request, headers={**others, "Cookie": "; ".join([*given, kept])})


class _Hops:
    """A request and its redirects; entering gives the last reply. ``own``: every hop went to the provider's origins."""

    __slots__ = (
        "_auth", "_client", "_cookies", "_is_first", "_may_ask", "_on_send", "_opened", "_permit", "_repeatable",
        "_request", "_send_auth", "_stream", "own", "url",
    )  # fmt: skip

    def __init__(
        self,
        client: AccountClient,
        request: WireRequest,
        permit: Permit | None,
        *,
        send_auth: bool,
        stream: bool,
        on_send: OnSend,
        may_ask: Callable[[str], None] = any_host,
        repeatable: bool = False,
    ) -> None:
        self._repeatable = repeatable
        self._client = client
        self._may_ask = may_ask
        self._request = request
        self._permit = permit
        self._send_auth = send_auth
        self._stream = stream
        self._on_send = on_send
        self._auth = client.auth_of(request) if send_auth else False
        self._is_first = True
        # The cookies of a login are credentials of the account.
        self._cookies = Cookies(client._clock, client._cookies if self._auth is True else None)
        self.own = True
        self.url = request.url

    async def __aenter__(self) -> RawReply:
        try:
            for _ in range(MOST_HOPS + 1):
                raw = await self._ask()
                if not leads_on(self._request.method, raw.status, raw.headers, repeatable=self._repeatable):
                    return raw
                await self._opened.__aexit__(None, None, None)
                self._go_to(raw.status, location_of(self.url, raw.headers))
        finally:
            if self._permit is not None:
                self._permit.done()
        raise RedirectRefusedError(f"More than {MOST_HOPS} redirects followed each other.")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.__aexit__(kind, error, trace)

    async def _ask(self) -> RawReply:
        client = self._client
        to_provider = client.owns(self.url)
        if self.own and not to_provider:
            self.own, self._cookies = False, Cookies(client._clock)  # another host chooses what follows
        if not to_provider:
            self._may_ask(self.url)
        elif self._permit is None:
            self._permit = await client._budget.admit()
        auth = self._auth if self._is_first else self._auth_here()
        self._is_first = False
        request = client._prepared(self._request, own=self.own, auth=auth, cookies=self._cookies)
        if self.own:
            request = await client._signed(request, auth)
        self._opened = client._open(request, self._on_send, stream=self._stream)
        try:
            raw = await self._opened.__aenter__()
        finally:
            if to_provider and self._permit is not None:
                self._permit.done()
                self._permit = None
        if "set-cookie" in raw.headers:
            self._cookies.take(self.url, raw.headers)
            if self.own and self._auth is True:
                client._cookies.take(self.url, raw.headers, known_only=True)
        if self.own:
            client._on_reply(raw.status, raw.headers)
        return raw

    def _auth_here(self) -> AuthChoice:
        """Which credentials this hop gets: a chain that began without the account's own never gets them later."""
        if not self._send_auth:
            return False
        here = self._client.auth_of(self._request)
        return False if here is True and self._auth is not True else here

    def _go_to(self, status: int, location: str) -> None:
        url = next_address(self.url, location)
        self._request = redirected(self._request, url, status, own=self._client.owns(url))
        self.url = url

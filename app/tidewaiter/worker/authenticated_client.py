"""The authenticated client: sends requests to the provider, with a session's token if the account needs one.

One login at a time: any other request that finds the token missing or refused waits for that login and shares its
result. So a wrong password is sent once, and not by every step under way. A waiting request gives its permit back
first: the login needs one, and an account with spaced requests has only one. Large replies are read in a
thread.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Protocol, TypeVar

from tidewaiter.clock import Clock
from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import WireReply, WireRequest
from tidewaiter.log import EventLog
from tidewaiter.providers.credentials.login_replies import LoginSession, NotSignedIn, SignedSession, Token, TokenSession
from tidewaiter.providers.credentials.login_values import secret_values
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.results.named_headers import secrets_of
from tidewaiter.transport.account_client import AccountClient, any_host, ignore_departure
from tidewaiter.transport.reply_bodies import ReplyBeginning, StreamReply
from tidewaiter.transport.request_budget import Budget, Permit
from tidewaiter.transport.wire import AccountPausedError, OnSend, TlsError, TransportError
from tidewaiter.worker.account_observer import AccountObserver
from tidewaiter.worker.uploads import Uploads

T = TypeVar("T")
LARGE_BYTES = 65_536
"""A longer reply is read in a thread."""
_NONCE_BITS = 128
_MOST_READ = 65_536
_FIRST_ERROR = 400
_WORTH_KEEPING_S = 2.0


class SignInError(Exception):
    """There is no token that the provider accepts; ``outcome`` says what that means for the step."""

    def __init__(self, outcome: NotSignedIn) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


@dataclass(slots=True)
class _Login:
    """A login under way, and its error if it failed."""

    ended: asyncio.Event = field(default_factory=asyncio.Event)
    error: SignInError | None = None


class Renewal(Protocol):
    """Gets access tokens for a refresh token that the provider replaces; see ``worker/token_renewal.py``."""

    def usable(self) -> Token | None:
        """A token that another lane of this process has got."""

    def forget(self, refused: Token) -> None:
        """Stop using a token."""

    async def renew(self, permit: Permit, nonce: str) -> Token | NotSignedIn | None:
        """A new token, or why there is none; ``None`` if the caller must look again. It ends the permit."""


class AuthenticatedClient:
    """The exchanges of :class:`AccountClient`, signed in before they are sent.

    Args:
        client: sends the requests.
        session: how the account signs in, or signs its own tokens; ``None`` if its credentials are enough.
        budget: admits requests and logins.
        observer: gets the results of logins; steps report their replies to the same observer.
        clock: the time.
        rand: makes the nonces of logins.
        log: redacts every token, from before its first use.
        uploads: reads the files that requests send; without it none are sent.
        renewal: renews the token where a login replaces the account's refresh token; without it such an account does
            not log in at all, so that nothing but its lanes spends a refresh token.
    """

    def __init__(
        self,
        client: AccountClient,
        session: LoginSession | SignedSession | None,
        *,
        budget: Budget,
        observer: AccountObserver,
        clock: Clock,
        rand: Random,
        log: EventLog,
        uploads: Uploads | None = None,
        renewal: Renewal | None = None,
    ) -> None:
        self.observer = observer
        self.uploads = uploads
        self._renewal = renewal
        self._client = client
        self._session = session
        self._budget = budget
        self._clock = clock
        self._rand = rand
        self._log = log
        self._token: Token | None = None
        self._renew_at = 0.0
        self._last_value = ""
        self._login: _Login | None = None

    async def filled(self, request: WireRequest) -> WireRequest:
        """The request with its whole body: the files that it sends are read. Raises ``UnsendableError``."""
        if request.multipart is None or request.body is not None:
            return request
        if self.uploads is None:
            raise UnsendableError("no files are sent here")
        return await self.uploads.filled(request)

    async def exchange(
        self, request: WireRequest, permit: Permit | None = None, on_send: OnSend = ignore_departure
    ) -> WireReply:
        """Send ``request`` and read the whole reply; if the token has ended, renew it and send once more.

        A reply that says so proves that nothing was done, so a submit is sent again as well.

        Args:
            request: without credentials.
            permit: one that was taken already.
            on_send: called when the request leaves, and when it was refused for its token; see ``OnSend``.

        Raises:
            TransportError: of the request itself.
            SignInError: there is no token to send it with.
        """
        session = self._session
        if session is None or not self._needs_token(request):
            return await self._client.exchange(request, permit, on_send)
        permit, token = await self._signed(session, permit)
        reply = await self._client.exchange(session.completed(request, token), permit, on_send)
        if not await read_off_loop(len(reply.body), partial(session.rejects_token, reply)):
            return reply
        on_send(False)
        self._forget(token)
        permit, token = await self._signed(session, None)
        reply = await self._client.exchange(session.completed(request, token), permit, on_send)
        if await read_off_loop(len(reply.body), partial(session.rejects_token, reply)):
            on_send(False)
            raise SignInError(session.refused(reply))
        return reply

    @asynccontextmanager
    async def open_reply(
        self, request: WireRequest, permit: Permit | None = None, on_send: OnSend = ignore_departure
    ) -> AsyncIterator[ReplyBeginning]:
        """Send ``request`` and read the beginning of its reply, as :meth:`AccountClient.open_reply` does.

        The rest is as for :meth:`exchange`.
        """
        session = self._session
        if session is None or not self._needs_token(request):
            async with self._client.open_reply(request, permit, on_send) as beginning:
                yield beginning
            return
        permit, token = await self._signed(session, permit)
        async with self._client.open_reply(session.completed(request, token), permit, on_send) as beginning:
            if not session.rejects_token(beginning.reply):
                yield beginning
                return
        on_send(False)
        self._forget(token)
        permit, token = await self._signed(session, None)
        async with self._client.open_reply(session.completed(request, token), permit, on_send) as beginning:
            if session.rejects_token(beginning.reply):
                on_send(False)
                raise SignInError(session.refused(beginning.reply))
            yield beginning

    async def admit(self) -> Permit:
        """Wait until one request may be sent; see :meth:`Budget.admit`."""
        return await self._budget.admit()

    def check_open(self) -> None:
        """Raise ``AccountClosedError`` if the account is closed for more than a few seconds."""
        self._budget.check_open()

    async def sleep_between_tries(self, delay_s: float) -> None:
        """Sleep between two tries; raises ``DrainingError`` if the lane is about to end."""
        await self._budget.sleep_between_tries(delay_s)

    def owns(self, url: str) -> bool:
        """Whether an address lies within one of the provider's own origins."""
        return self._client.owns(url)

    def _needs_token(self, request: WireRequest) -> bool:
        """Whether the account's own credentials, or values of its login, go with a request."""
        if self._session is not None and self._session.is_needed_by(request):
            return True
        return self._client.owns(request.url) and self._client.auth_of(request) is True

    def stream(
        self, request: WireRequest, *, send_auth: bool, may_ask: Callable[[str], None] = any_host
    ) -> AbstractAsyncContextManager[StreamReply]:
        """Send ``request`` and give the reply as a stream; raises as :meth:`exchange` does.

        ``may_ask`` is as for :meth:`AccountClient.stream`. A server may quote what it was sent, so the fields that a
        reply has named for this request are redacted from now on.
        """
        for secret in secrets_of(request.named_headers):
            self._log.redactor.add_signature(secret)
        session = self._session
        if session is None or not (session.is_needed_by(request) or (send_auth and self._needs_token(request))):
            return self._client.stream(request, send_auth=send_auth, may_ask=may_ask)
        return self._stream(session, request, may_ask, send_auth=send_auth)

    @asynccontextmanager
    async def _stream(
        self,
        session: LoginSession | SignedSession,
        request: WireRequest,
        may_ask: Callable[[str], None],
        *,
        send_auth: bool,
    ) -> AsyncIterator[StreamReply]:
        permit, token = await self._signed(session, None)
        whole = session.completed(request, token)
        async with self._client.stream(whole, send_auth=send_auth, permit=permit, may_ask=may_ask) as raw:
            reply, refusal = await _examined(session, raw)
            if refusal is None:
                yield reply
                return
        self._forget(token)
        permit, token = await self._signed(session, None)
        whole = session.completed(request, token)
        async with self._client.stream(whole, send_auth=send_auth, permit=permit, may_ask=may_ask) as raw:
            reply, refusal = await _examined(session, raw)
            if refusal is not None:
                raise SignInError(session.refused(refusal))
            yield reply

    # --- the token ----------------------------------------------------------------------------------------------------

    async def _signed(self, session: LoginSession | SignedSession, permit: Permit | None) -> tuple[Permit, Token]:
        """A permit, and a valid token; the request must be sent with both at once.

        A token that has just come is used in any case: a reply may give it a shorter life than the wait for the next
        permit, and then logins alone would spend every permit.
        """
        is_new = False
        while True:
            permit = permit or await self._budget.admit()
            token = self._token
            if token is not None and (is_new or self._clock.now() < self._renew_at):
                return permit, token
            shared = None if self._renewal is None else self._renewal.usable()
            if shared is not None and shared is not token:
                self._take(session, shared)
                continue
            if isinstance(session, SignedSession):
                self._use(session, session.token(self._clock.now(), self._nonce()))
                continue
            await self._sign_in(session, permit)
            permit, is_new = None, self._token is not token

    def _forget(self, refused: Token) -> None:
        """Stop using a token; another request may have renewed it already."""
        if self._token is refused:
            self._token = None
        if self._renewal is not None:
            self._renewal.forget(refused)
        self.observer.token_refused()

    async def _sign_in(self, session: LoginSession, permit: Permit) -> None:
        """Log in, or wait for the login that is under way; then the caller checks the token again."""
        under_way = self._login
        if under_way is not None:
            permit.give_back()
            await under_way.ended.wait()
            if under_way.error is not None:
                raise SignInError(under_way.error.outcome) from under_way.error.__cause__
            return
        self._login = login = _Login()
        try:
            got = await self._log_in(session, permit)
            if isinstance(got, Token):
                self._use(session, got)
            elif got is not None and not self._keeps_token(got.outcome):
                login.error = got
                raise got
        finally:
            # An interrupted login has neither error nor token: the next waiting request begins another one.
            self._login = None
            login.ended.set()

    async def _log_in(self, session: LoginSession, permit: Permit) -> Token | SignInError | None:
        try:
            read = await self._read_login(session, permit)
        except AccountPausedError:
            raise
        except TransportError as error:
            self.observer.login_failed(error)
            reason = f"the login failed: {error}"
            failure = SignInError(o.Unauthorized(reason) if isinstance(error, TlsError) else o.Retry(reason))
            failure.__cause__ = error
            return failure
        return read if read is None or isinstance(read, Token) else SignInError(read)

    async def _read_login(self, session: LoginSession, permit: Permit) -> Token | NotSignedIn | None:
        if self._renewal is not None:
            return await self._renewal.renew(permit, self._nonce())
        grant = session.refresh
        if grant is not None and grant.rotates:
            permit.give_back()
            return o.Retry("nothing was sent, because a login would spend the refresh token")
        request = session.login(self._clock.now(), self._nonce())
        # A server may quote what it was sent: the log redacts a signature until the next login.
        self._log.add_temporary_secrets(f"login {self.observer.lane}", request.secrets)
        reply = await self._client.sign_in(request, permit)
        if grant is not None and (other := grant.next_token(reply)) not in (None, grant.configured):
            self._log.add_temporary_secrets(f"refresh token of lane {self.observer.lane}", {other or ""})
            self.observer.refresh_token_ignored()
        read = await read_off_loop(len(reply.body), partial(session.read_login, reply, self._clock.now()))
        self.observer.login_read(reply.status, signed_in=isinstance(read, Token))
        return read

    def _nonce(self) -> str:
        return f"{self._rand.getrandbits(_NONCE_BITS):032x}"

    def _keeps_token(self, failure: NotSignedIn) -> bool:
        """Whether the token is still good after a login failed that came early; then the login is tried again later.

        Each try waits for half of the remaining time, so the tries are few.
        """
        left_s = 0.0 if self._token is None else self._token.expires_at - self._clock.now()
        if isinstance(failure, o.Unauthorized) or left_s < _WORTH_KEEPING_S:
            return False
        self.observer.login_postponed(failure, left_s)
        self._renew_at = self._clock.now() + left_s / 2
        return True

    def _use(self, session: TokenSession, token: Token) -> None:
        self._take(session, token)
        lasts_s = token.expires_at - self._clock.now()
        if isinstance(session, SignedSession):
            self.observer.token_signed(lasts_s)
        else:
            self.observer.signed_in(lasts_s)

    def _take(self, session: TokenSession, token: Token) -> None:
        # Requests with the old token may still be under way and fail: the log redacts it until the next login.
        secrets = {self._last_value, token.value, *secret_values(token.kept)}
        self._log.add_temporary_secrets(f"session {self.observer.lane}", secrets)
        self._token, self._renew_at, self._last_value = token, token.renew_at, token.value
        self._client.use(session.credentials(token))


async def _examined(session: TokenSession, reply: StreamReply) -> tuple[StreamReply, WireReply | None]:
    """The reply, which can still be read, and the refusal if it says that the token has ended."""
    if not reply.own or reply.status < _FIRST_ERROR:
        return reply, None
    body, truncated = await reply.read(_MOST_READ)
    refusal = WireReply(reply.status, reply.headers, body, reply.url, truncated, reply.phrase, foreign=not reply.own)
    return reply.already_read(body, truncated), refusal if session.rejects_token(refusal) else None


async def read_off_loop(size: int, read: Callable[[], T]) -> T:
    """The result of ``read``: called at once for a few bytes, in a thread for many. It must be pure.

    Args:
        size: how many bytes it reads.
        read: the function.
    """
    return read() if size <= LARGE_BYTES else await asyncio.to_thread(read)

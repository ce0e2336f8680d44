"""The signed client: an account's way to its provider, with a session's token where the account needs one.

One login at a time: whoever else finds the token missing or spent waits for it and shares what comes of it, good or
bad, so that a refused password is sent once and not by every step under way. Whoever waits gives its permit back first:
the login needs one, and where requests are spaced there is no second.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random

from app.clock import Clock
from app.domain import outcome as o
from app.domain.wire import WireReply, WireRequest
from app.log import EventLog
from app.providers.session import NotSignedIn, Session, Token
from app.transport.budget import Budget, Permit
from app.transport.client import AccountClient, anywhere, untold
from app.transport.errors import TlsError, TransportError
from app.transport.stream_replies import Begun, StreamReply
from app.transport.wire import OnSend
from app.worker.reading import in_time

_NONCE_BITS = 128
_MOST_READ = 65_536
_FIRST_ERROR = 400
_WORTH_KEEPING_S = 2.0


class SignInError(Exception):
    """There is no token that the provider takes; ``outcome`` says what that means for the step."""

    def __init__(self, outcome: NotSignedIn) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


@dataclass(slots=True)
class _Login:
    """A login under way, and what came of it where it failed."""

    ended: asyncio.Event = field(default_factory=asyncio.Event)
    error: SignInError | None = None


class SignedClient:
    """Exchanges as :class:`AccountClient` has them, signed in before they are sent.

    Args:
        client: the way to the provider.
        session: how the account signs in; ``None`` where its credentials are enough.
        budget: of this account.
        clock: the time.
        rand: names logins.
        log: told of logins, and taught every token before it is used.
        lane: its number.
        account: its name.
    """

    def __init__(
        self,
        client: AccountClient,
        session: Session | None,
        *,
        budget: Budget,
        clock: Clock,
        rand: Random,
        log: EventLog,
        lane: int,
        account: str,
    ) -> None:
        self._client = client
        self._session = session
        self._budget = budget
        self._clock = clock
        self._rand = rand
        self._log = log
        self._lane = lane
        self._account = account
        self._token: Token | None = None
        self._renew_at = 0.0
        self._last_value = ""
        self._login: _Login | None = None

    async def exchange(self, request: WireRequest, permit: Permit | None = None, on_send: OnSend = untold) -> WireReply:
        """Send ``request`` and read the whole reply; where the token is spent, renew it and send once more.

        A reply that says so proves that nothing was done, so a submit is sent again as well.

        Args:
            request: without credentials.
            permit: one that was taken already.
            on_send: told when the request leaves, and when it was refused for its token; see ``OnSend``.

        Raises:
            TransportError: of the request itself.
            SignInError: there is no token to send it with.
        """
        session = self._session
        if session is None or not self._client.owns(request.url):
            return await self._client.exchange(request, permit, on_send)
        permit, token = await self._signed(session, permit)
        reply = await self._client.exchange(request, permit, on_send)
        if not await in_time(len(reply.body), partial(session.says_renew, reply)):
            return reply
        on_send(False)
        self._spent(token)
        permit, _ = await self._signed(session, None)
        reply = await self._client.exchange(request, permit, on_send)
        if await in_time(len(reply.body), partial(session.says_renew, reply)):
            on_send(False)
            raise SignInError(session.refused(reply))
        return reply

    @asynccontextmanager
    async def begin(
        self, request: WireRequest, permit: Permit | None = None, on_send: OnSend = untold
    ) -> AsyncIterator[Begun]:
        """Send ``request`` and read the beginning of its reply, as :meth:`AccountClient.begin` does.

        The rest is as for :meth:`exchange`.
        """
        session = self._session
        if session is None or not self._client.owns(request.url):
            async with self._client.begin(request, permit, on_send) as begun:
                yield begun
            return
        permit, token = await self._signed(session, permit)
        async with self._client.begin(request, permit, on_send) as begun:
            if not session.says_renew(begun.reply):
                yield begun
                return
        on_send(False)
        self._spent(token)
        permit, _ = await self._signed(session, None)
        async with self._client.begin(request, permit, on_send) as begun:
            if session.says_renew(begun.reply):
                on_send(False)
                raise SignInError(session.refused(begun.reply))
            yield begun

    def check_open(self) -> None:
        """Raise ``AccountClosedError`` where the provider will not be asked for more than a moment."""
        self._budget.check_open()

    def owns(self, url: str) -> bool:
        """Whether an address lies within the provider's own origin."""
        return self._client.owns(url)

    def stream(
        self, request: WireRequest, *, send_auth: bool, may_ask: Callable[[str], None] = anywhere
    ) -> AbstractAsyncContextManager[StreamReply]:
        """Send ``request`` and give the reply as a stream; raises as :meth:`exchange` does.

        ``may_ask`` is as for :meth:`AccountClient.stream`.
        """
        if self._session is None or not send_auth or not self._client.owns(request.url):
            return self._client.stream(request, send_auth=send_auth, may_ask=may_ask)
        return self._stream(self._session, request, may_ask)

    @asynccontextmanager
    async def _stream(
        self, session: Session, request: WireRequest, may_ask: Callable[[str], None]
    ) -> AsyncIterator[StreamReply]:
        permit, token = await self._signed(session, None)
        async with self._client.stream(request, send_auth=True, permit=permit, may_ask=may_ask) as raw:
            reply, refusal = await _looked_at(session, raw)
            if refusal is None:
                yield reply
                return
        self._spent(token)
        permit, _ = await self._signed(session, None)
        async with self._client.stream(request, send_auth=True, permit=permit, may_ask=may_ask) as raw:
            reply, refusal = await _looked_at(session, raw)
            if refusal is not None:
                raise SignInError(session.refused(refusal))
            yield reply

    # --- the token ----------------------------------------------------------------------------------------------------

    async def _signed(self, session: Session, permit: Permit | None) -> tuple[Permit, Token]:
        """A permit, and the token that a request carries which is sent with it at once."""
        while True:
            permit = permit or await self._budget.admit()
            token = self._token
            if token is not None and self._clock.now() < self._renew_at:
                return permit, token
            await self._sign_in(session, permit)
            permit = None

    def _spent(self, refused: Token) -> None:
        """Use a token no more; somebody may have renewed it already.

        The request that met the refusal may have been the probe of a half-open breaker. It has its reply, so the login
        that has to follow may be the next probe, and does not wait for a verdict that will not come.
        """
        if self._token is refused:
            self._token = None
        self._budget.undecided()

    async def _sign_in(self, session: Session, permit: Permit) -> None:
        """Log in, or wait for the login that is under way; afterwards the caller looks again."""
        under_way = self._login
        if under_way is not None:
            permit.give_back()
            await under_way.ended.wait()
            if under_way.error is not None:
                raise SignInError(under_way.error.outcome) from under_way.error.__cause__
            return
        self._login = login = _Login()
        try:
            got = await self._asked(session, permit)
            if isinstance(got, Token):
                self._use(session, got)
            elif not self._goes_on(got.outcome):
                login.error = got
                raise got
        finally:
            # A login that was interrupted has neither error nor token: the next who waits takes it up.
            self._login = None
            login.ended.set()

    async def _asked(self, session: Session, permit: Permit) -> Token | SignInError:
        request = session.login(self._clock.now(), f"{self._rand.getrandbits(_NONCE_BITS):032x}")
        try:
            reply = await self._client.sign_in(request, permit)
        except TlsError as error:
            failure = SignInError(o.Unauthorized(f"the login failed: {error}"))
            failure.__cause__ = error
            return failure
        except TransportError as error:
            self._budget.failed(str(error))
            return SignInError(o.Retry(f"the login failed: {error}"))
        if reply.status >= 500:
            self._budget.failed(f"the login failed: HTTP {reply.status}")
        told = await in_time(len(reply.body), partial(session.read_login, reply, self._clock.now()))
        if not isinstance(told, Token) and reply.status < 500:
            self._budget.undecided()
        return told if isinstance(told, Token) else SignInError(told)

    def _goes_on(self, failure: NotSignedIn) -> bool:
        """Whether a login that failed in passing, ahead of time, leaves a token to go on with; then it is tried later.

        Each time half of what is left passes first, so the tries are few.
        """
        left_s = 0.0 if self._token is None else self._token.expires_at - self._clock.now()
        if isinstance(failure, o.Unauthorized) or left_s < _WORTH_KEEPING_S:
            return False
        if isinstance(failure, o.Throttled):
            asked_s = failure.retry_after_s
            self._budget.throttled(
                None if asked_s is None else min(asked_s, left_s), self._log.redactor.clean(failure.reason)
            )
        self._renew_at = self._clock.now() + left_s / 2
        return True

    def _use(self, session: Session, token: Token) -> None:
        # Else a half-open breaker would let the request itself wait, for the login was its probe.
        self._budget.succeeded()
        # Requests with the token before may still be under way and fail: it stays known to the log for one turn more.
        self._log.add_passing_secrets(f"session {self._lane}", {self._last_value, token.value})
        self._token, self._renew_at, self._last_value = token, token.renew_at, token.value
        self._client.use(session.credentials(token))
        self._log.emit(
            "session.renewed",
            lane=self._lane,
            account=self._account,
            expires_in_s=round(token.expires_at - self._clock.now(), 1),
        )


async def _looked_at(session: Session, reply: StreamReply) -> tuple[StreamReply, WireReply | None]:
    """A reply that can still be read, and what it says where it means that the token is spent."""
    if not reply.own or reply.status < _FIRST_ERROR:
        return reply, None
    body, truncated = await reply.read(_MOST_READ)
    told = WireReply(reply.status, reply.headers, body, reply.url, truncated, reply.phrase, foreign=not reply.own)
    return reply.already_read(body, truncated), told if session.says_renew(told) else None

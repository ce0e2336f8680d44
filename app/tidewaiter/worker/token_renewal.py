"""Renewals with a refresh token that the provider replaces: one writer for each account, whatever wants the token.

A provider that replaces refresh tokens may take the second use of an old one for theft, and then refuses the account
until a person logs in anew. So each renewal is marked in the database before the refresh token leaves the process, and
the new one is committed before the access token is used. Lanes of one process share the access token and its renewal;
other processes wait for the mark to end. If nobody can know how a renewal has ended, the account is paused, and a
person decides.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from tidewaiter.clock import Clock
from tidewaiter.database.errors import StoreUnavailableError
from tidewaiter.database.refresh_token_store import (
    Begun,
    Busy,
    EndUnknown,
    Outdated,
    RefreshTokenStore,
    Unreadable,
)
from tidewaiter.domain.http_values import WireReply, WireRequest
from tidewaiter.domain.outcome import Retry, Throttled, Unauthorized
from tidewaiter.log import EventLog
from tidewaiter.providers.credentials.login_replies import LoginSession, NotSignedIn, RefreshGrant, SignedSession, Token
from tidewaiter.transport.account_client import AccountClient
from tidewaiter.transport.request_budget import Budget, Permit
from tidewaiter.transport.wire import LeaseOverError, NotSentError, TransportError
from tidewaiter.worker.account_observer import AccountObserver
from tidewaiter.worker.authenticated_client import read_off_loop

_LOOK_AGAIN_S: Final = 0.5
_GRACE_S: Final = 5.0
"""How long an interrupted step still waits for the reply to a renewal."""
_LATEST_DEPARTURE_S: Final = 10.0
"""A mark older than this has too little time left for a request."""
_TOO_EARLY: Final = 425
_THROTTLED: Final = 429


@dataclass(slots=True)
class _UnderWay:
    """A renewal by one lane of this process, and why it failed if it did."""

    ended: asyncio.Event = field(default_factory=asyncio.Event)
    failure: NotSignedIn | None = None


@dataclass(slots=True)
class _SharedToken:
    """What the lanes of an account share in this process."""

    session: LoginSession
    token: Token | None = None
    under_way: _UnderWay | None = None


@dataclass(frozen=True, slots=True)
class RenewingLane:
    """What a renewal needs of the lane that asks for it."""

    account: str
    client: AccountClient
    budget: Budget
    observer: AccountObserver


class RefreshTokens:
    """The refresh tokens of all accounts, as the lanes of this process use them.

    Args:
        store: has the tokens.
        clock: the time.
        log: redacts every token, from before its first use.
    """

    def __init__(self, store: RefreshTokenStore, clock: Clock, log: EventLog) -> None:
        self._store = store
        self._clock = clock
        self._log = log
        self._shared: dict[str, _SharedToken] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def renewal(self, lane: RenewingLane, session: LoginSession | SignedSession | None) -> "TokenRenewal | None":
        """What renews the token of a lane; ``None`` if the provider does not replace its refresh token."""
        if not isinstance(session, LoginSession) or session.refresh is None or not session.refresh.rotates:
            return None
        shared = self._shared.get(lane.account)
        if shared is None or shared.session is not session:  # after a reload: with other settings
            shared = self._shared[lane.account] = _SharedToken(session)
        return TokenRenewal(
            lane, session.refresh, shared, self._store, clock=self._clock, log=self._log, tasks=self._tasks
        )


class TokenRenewal:
    """Renews the access token of one lane.

    Args:
        lane: the lane.
        grant: its refresh token, as it is configured.
        shared: what the lanes of the account share.
        store: has the refresh token.
        clock: the time.
        log: redacts every token.
        tasks: keeps renewals whose step was interrupted.
    """

    def __init__(
        self,
        lane: RenewingLane,
        grant: RefreshGrant,
        shared: _SharedToken,
        store: RefreshTokenStore,
        *,
        clock: Clock,
        log: EventLog,
        tasks: set[asyncio.Task[Any]],
    ) -> None:
        self._lane = lane
        self._grant = grant
        self._shared = shared
        self._store = store
        self._clock = clock
        self._log = log
        self._tasks = tasks

    def usable(self) -> Token | None:
        """The access token that a lane of this process has got, if it need not be renewed yet."""
        token = self._shared.token
        return token if token is not None and self._clock.now() < token.renew_at else None

    def forget(self, refused: Token) -> None:
        """Stop using an access token that the provider has refused; another lane may have renewed it already."""
        if self._shared.token is refused:
            self._shared.token = None

    async def renew(self, permit: Permit, nonce: str) -> Token | NotSignedIn | None:
        """Get an access token, or wait for one.

        Args:
            permit: for the request; it is used or given back in any case.
            nonce: makes a signed request unique.

        Returns:
            The access token, or why there is none; ``None`` if another lane or process has ended a renewal, so that
            the caller must look again.

        Raises:
            NotSentError, LeaseOverError: nothing was sent.
            TransportError: the request failed, and the refresh token can be sent again.
            DrainingError: the lane is about to end.
            StoreUnavailableError: the database cannot be used; nothing was sent.
        """
        under_way = self._shared.under_way
        if under_way is not None:
            permit.give_back()
            await under_way.ended.wait()
            return under_way.failure
        self._shared.under_way = mine = _UnderWay()
        try:
            got = await self._outlasting(self._begin(permit, nonce))
            if got is None:
                await self._lane.budget.sleep_between_tries(_LOOK_AGAIN_S)
            elif not isinstance(got, Token):
                mine.failure = got
            return got
        finally:
            self._shared.under_way = None
            mine.ended.set()

    async def _outlasting(
        self, renewal: Coroutine[None, None, Token | NotSignedIn | None]
    ) -> Token | NotSignedIn | None:
        """The result of a renewal, which goes on if the step is interrupted: its reply may have the only good token."""
        task = asyncio.ensure_future(renewal)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task], timeout=_GRACE_S)
            raise

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the step that would ask for it may be gone

    async def _begin(self, permit: Permit, nonce: str) -> Token | NotSignedIn | None:
        account, grant = self._lane.account, self._grant
        try:
            begun = await self._store.begin(account, grant.configured, reuse=grant.reuse)
            if isinstance(begun, Begun):
                request = await self._departing(begun, nonce)
                return None if request is None else await self._exchange(begun, request, permit)
        finally:
            permit.give_back()  # unless it was used
        return None if isinstance(begun, Busy) else self._hindered(begun)

    async def _exchange(self, begun: Begun, request: WireRequest, permit: Permit) -> Token | NotSignedIn:
        """Send a refresh token whose use is marked."""
        observer, session = self._lane.observer, self._shared.session
        try:
            reply = await self._lane.client.sign_in(request, permit)
        except (NotSentError, LeaseOverError):
            await self._end(begun, None)
            raise
        except TransportError as error:
            if self._grant.reuse:
                await self._end(begun, None)
                raise
            observer.login_failed(error)
            return await self._leave_unknown(begun, str(error))
        new = await read_off_loop(len(reply.body), partial(self._grant.next_token, reply))
        self._redact(begun.token, new or "")
        now = self._clock.now()
        read = await read_off_loop(len(reply.body), partial(session.read_login, reply, now))
        observer.login_read(reply.status, signed_in=isinstance(read, Token))
        if new is None and not self._grant.reuse and not _is_decided(reply, read):
            return await self._leave_unknown(begun, read.reason if not isinstance(read, Token) else "")
        if not await self._end(begun, None if new == begun.token else new):
            return Retry("the login failed: the refresh token was replaced, or the account resumed, while it was sent")
        if new is not None and new != begun.token:
            observer.refresh_token_stored()
        if isinstance(read, Token):
            self._shared.token = read
        if isinstance(read, Unauthorized):
            return Unauthorized(f"{read.reason.rstrip('.')}; if that means the refresh token, {self._log_in}")
        return read

    async def _departing(self, begun: Begun, nonce: str) -> WireRequest | None:
        """The request with the refresh token, which may have been used from now on; ``None`` if it must not be sent."""
        self._redact(begun.token)
        if begun.replaced:
            self._lane.observer.refresh_token_replaced()
        try:
            request = self._grant.login(self._clock.now(), nonce, begun.token)
        except Exception:
            await self._end(begun, None)
            raise
        self._log.add_temporary_secrets(f"login {self._lane.observer.lane}", request.secrets)
        since = self._clock.monotonic()
        try:
            departs = await self._store.depart(self._lane.account, begun.version)
        except StoreUnavailableError:
            await self._end(begun, None)  # the departure may be stored, and nothing is sent
            raise
        if not departs:
            return None
        if self._clock.monotonic() - since > _LATEST_DEPARTURE_S:
            await self._end(begun, None)
            return None
        return request

    async def _end(self, begun: Begun, new: str | None) -> bool:
        """Commit the end of a renewal. A new refresh token is in this process only, so it waits for the database."""
        while True:
            try:
                return await self._store.finish(self._lane.account, begun.version, new)
            except StoreUnavailableError:
                await self._clock.sleep(_LOOK_AGAIN_S)

    async def _leave_unknown(self, begun: Begun, reason: str) -> Unauthorized:
        with contextlib.suppress(StoreUnavailableError):  # when the mark is old, it says the same
            await self._store.leave_unknown(self._lane.account, begun.version)
        return self._undecided(f"{reason.rstrip('.')}; so the refresh token may have been used")

    def _hindered(self, why: EndUnknown | Outdated | Unreadable) -> NotSignedIn:
        """Why a refresh token is not sent."""
        match why:
            case EndUnknown():
                return self._undecided("the refresh token may have been used by a renewal whose end is not known")
            case Outdated():
                return Retry(
                    "the configured refresh token gave way to a newer one, which another process has: reload or "
                    f"restart this one with the newest, or {self._log_in}"
                )
            case Unreadable():
                return Unauthorized(
                    "no key decrypts the stored refresh token: put its key back into database.key_file and resume the "
                    f"account, or {self._log_in}"
                )

    def _undecided(self, why: str) -> Unauthorized:
        return Unauthorized(f"{why}: {self._log_in}, or resume the account to try the stored one")

    @property
    def _log_in(self) -> str:
        """What a person does if no stored refresh token helps."""
        return f"log in anew and set accounts.{self._lane.account}.settings.{self._grant.setting}"

    def _redact(self, *tokens: str) -> None:
        self._log.add_temporary_secrets(f"refresh token {self._lane.account}", set(tokens))


def _is_decided(reply: WireReply, read: Token | NotSignedIn) -> bool:
    """Whether a reply says if the refresh token was used, as it is for a submit that must not be repeated."""
    if isinstance(read, Throttled):
        return reply.status == _THROTTLED or read.retry_after_s is not None
    return not isinstance(read, Retry) or reply.status == _TOO_EARLY

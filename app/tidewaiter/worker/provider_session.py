"""A step's session with its provider: sends a request, reads the reply, and reports both to the account observer.

Every request of a step passes here. The result is what the reply was read as, or what the failure of the exchange
means.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Final, TypeAlias, TypeVar

from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.http_values import WireReply, WireRequest
from tidewaiter.transport.account_client import any_host, ignore_departure
from tidewaiter.transport.reply_bodies import ReplyBeginning, StreamReply
from tidewaiter.transport.request_budget import Permit
from tidewaiter.transport.wire import (
    BrokenBodyError,
    LeaseOverError,
    LostReplyError,
    NotSentError,
    OnSend,
    RedirectRefusedError,
)
from tidewaiter.worker.authenticated_client import LARGE_BYTES, AuthenticatedClient, SignInError, read_off_loop

T = TypeVar("T")

_FAILURES: Final = (
    SignInError, NotSentError, LostReplyError, BrokenBodyError, RedirectRefusedError, LeaseOverError,
)  # fmt: skip
_Failure: TypeAlias = (
    SignInError | NotSentError | LostReplyError | BrokenBodyError | RedirectRefusedError | LeaseOverError
)
_NEVER_SENT: Final = (SignInError, NotSentError)


class ProviderSession:
    """Sends the requests of one step.

    ``permit`` is for the first request, if it was taken before the step began. ``sent`` says that a submit may have
    left the process and that its result is not known yet.

    Args:
        client: signs the requests and sends them.
        policy: of the operation; bounds the delays that a provider may ask for.
    """

    def __init__(self, client: AuthenticatedClient, policy: OperationPolicy) -> None:
        self._client = client
        self._observer = client.observer
        self._policy = policy
        self.permit: Permit | None = None
        self.sent = False

    async def send(self, request: WireRequest, read: Callable[[WireReply, float], T]) -> T | o.Outcome:
        """What the reply to a request that may be repeated is read as, or what the failure of the exchange means.

        Args:
            request: without credentials.
            read: reads the reply, given the time; must be pure.

        Raises:
            AccountPausedError, LeaseOverError: nothing was sent.
        """
        reply = await self.exchange(request)
        return await self.read(reply, read) if isinstance(reply, WireReply) else reply

    async def exchange(self, request: WireRequest) -> WireReply | o.Outcome:
        """As :meth:`send`, but returns the reply itself."""
        async with self.open_reply(request, may_be_file=False) as beginning:
            return beginning.reply if isinstance(beginning, ReplyBeginning) else beginning

    def open_reply(
        self, request: WireRequest, *, may_be_file: bool
    ) -> AbstractAsyncContextManager[ReplyBeginning | o.Outcome]:
        """The beginning of the reply to a request that may be repeated, or what the failure of the exchange means.

        Args:
            request: without credentials.
            may_be_file: whether the reply may be a file; then it can be streamed within the block beyond the body
                limit.

        Raises:
            AccountPausedError, LeaseOverError: nothing was sent.
        """
        permit, self.permit = self.permit, None  # for one request; a step may send several
        return _SessionExchange(self._client, request, permit, ignore_departure, self._failed, may_be_file=may_be_file)

    def submit(
        self, request: WireRequest, *, may_be_file: bool
    ) -> AbstractAsyncContextManager[ReplyBeginning | o.Outcome]:
        """As :meth:`open_reply`, for a request that must not be repeated; a failure says whether it may have left."""
        permit, self.permit = self.permit, None  # spent: a request after the submit takes its own
        return _SessionExchange(
            self._client, request, permit, self._on_send, self._submit_failed, may_be_file=may_be_file
        )

    async def read(self, reply: WireReply, read: Callable[[WireReply, float], T]) -> T:
        """Read a reply, and report the result to the observer."""
        size, now = len(reply.body), self._observer.now()
        got = read(reply, now) if size <= LARGE_BYTES else await read_off_loop(size, partial(read, reply, now))
        self._observer.reply_read(reply, got, self._policy)
        return got

    def not_signed_in(self, error: SignInError) -> o.Retry | o.Throttled | o.Unauthorized:
        """The outcome of a step that had no token to sign its request with; it is reported to the observer."""
        return self._observer.sign_in_failed(error.outcome, error.__cause__, self._policy)

    def report(self, outcome: o.Outcome) -> None:
        """Report an outcome that came from several replies, such as that of a download, to the observer."""
        self._observer.outcome_read(outcome, self._policy)

    async def admitted(self) -> None:
        """Wait until the next request may be sent, unless the step may send one already; before the intent of a submit.

        Raises:
            AccountPausedError: the account is paused, or the lane is about to end.
        """
        if self.permit is None:
            self.permit = await self._client.admit()

    async def filled(self, request: WireRequest) -> WireRequest:
        """See :meth:`AuthenticatedClient.filled`; before the intent of a submit, so that a missing file leaves none."""
        return await self._client.filled(request)

    def stream(
        self, request: WireRequest, *, send_auth: bool, may_ask: Callable[[str], None] = any_host
    ) -> AbstractAsyncContextManager[StreamReply]:
        """As :meth:`AuthenticatedClient.stream` does; a failure is raised, and not reported to the observer."""
        return self._client.stream(request, send_auth=send_auth, may_ask=may_ask)

    def owns(self, url: str) -> bool:
        """Whether an address lies within one of the provider's own origins."""
        return self._client.owns(url)

    def check_open(self) -> None:
        """Raise ``AccountClosedError`` if the account is closed for more than a few seconds."""
        self._client.check_open()

    async def sleep_between_tries(self, delay_s: float) -> None:
        """Sleep between two tries of a step; raises ``DrainingError`` if the lane is about to end."""
        await self._client.sleep_between_tries(delay_s)

    def _failed(self, error: _Failure) -> o.Retry | o.Throttled | o.Unauthorized:
        if isinstance(error, LeaseOverError):
            raise error
        if isinstance(error, SignInError):
            return self.not_signed_in(error)
        return self._observer.exchange_failed(error)

    def _submit_failed(self, error: _Failure) -> o.Outcome:
        if isinstance(error, LeaseOverError):
            return o.Unknown(str(error)) if self.sent else o.Unsent(str(error))
        failed = self._failed(error)
        if not isinstance(failed, o.Retry):
            return failed
        was_sent = self.sent and not isinstance(error, _NEVER_SENT)
        return o.Unknown(failed.reason) if was_sent else o.Unsent(failed.reason)

    def _on_send(self, sent: bool) -> None:
        self.sent = sent


class _SessionExchange(AbstractAsyncContextManager[ReplyBeginning | o.Outcome]):
    """One exchange of a step: entering sends the request, leaving ends a reply that may be a file.

    A class, because every poll is one: a generator and a stack of contexts take several times as long.
    """

    __slots__ = ("_client", "_failed", "_may_be_file", "_on_send", "_open", "_permit", "_request")

    def __init__(
        self,
        client: AuthenticatedClient,
        request: WireRequest,
        permit: Permit | None,
        on_send: OnSend,
        failed: Callable[[_Failure], o.Outcome],
        *,
        may_be_file: bool,
    ) -> None:
        self._client = client
        self._request = request
        self._permit = permit
        self._on_send = on_send
        self._failed = failed
        self._may_be_file = may_be_file
        self._open: AbstractAsyncContextManager[ReplyBeginning] | None = None

    async def __aenter__(self) -> ReplyBeginning | o.Outcome:
        try:
            if self._request.multipart is not None:
                self._request = await self._client.filled(self._request)
            if not self._may_be_file:
                return ReplyBeginning(await self._client.exchange(self._request, self._permit, self._on_send))
            opening = self._client.open_reply(self._request, self._permit, self._on_send)
            beginning = await opening.__aenter__()
            self._open = opening
            return beginning
        except _FAILURES as error:
            return self._failed(error)
        except BaseException:
            if self._permit is not None:
                self._permit.give_back()  # no request has used it: its place in the window must be free again
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return None if self._open is None else await self._open.__aexit__(kind, error, trace)

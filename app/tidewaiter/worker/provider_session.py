"""A step's session with its provider: sends a request, reads the reply, and reports both to the account observer.

Every request of a step passes here. The result is what the reply was read as, or what the failure of the exchange
means.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final, TypeVar

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
from tidewaiter.worker.authenticated_client import AuthenticatedClient, SignInError, read_off_loop

T = TypeVar("T")

_FAILURES: Final = (SignInError, NotSentError, LostReplyError, BrokenBodyError, RedirectRefusedError)
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

    @asynccontextmanager
    async def open_reply(self, request: WireRequest, *, may_be_file: bool) -> AsyncIterator[ReplyBeginning | o.Outcome]:
        """The beginning of the reply to a request that may be repeated, or what the failure of the exchange means.

        Args:
            request: without credentials.
            may_be_file: whether the reply may be a file; then it can be streamed within the block beyond the body
                limit.

        Raises:
            AccountPausedError, LeaseOverError: nothing was sent.
        """
        permit, self.permit = self.permit, None  # for one request; a step may send several
        async with AsyncExitStack() as stack:
            try:
                beginning: ReplyBeginning | o.Outcome = await self._begin(
                    request, stack, permit, ignore_departure, may_be_file=may_be_file
                )
            except _FAILURES as error:
                beginning = self._failed(error)
            yield beginning

    @asynccontextmanager
    async def submit(self, request: WireRequest, *, may_be_file: bool) -> AsyncIterator[ReplyBeginning | o.Outcome]:
        """As :meth:`open_reply`, for a request that must not be repeated; a failure says whether it may have left."""
        async with AsyncExitStack() as stack:
            try:
                beginning: ReplyBeginning | o.Outcome = await self._begin(
                    request, stack, self.permit, self._on_send, may_be_file=may_be_file
                )
            except LeaseOverError as error:
                beginning = o.Unknown(str(error)) if self.sent else o.Unsent(str(error))
            except _FAILURES as error:
                beginning = self._failed(error)
                if isinstance(beginning, o.Retry):
                    was_sent = self.sent and not isinstance(error, _NEVER_SENT)
                    beginning = o.Unknown(beginning.reason) if was_sent else o.Unsent(beginning.reason)
            yield beginning

    async def read(self, reply: WireReply, read: Callable[[WireReply, float], T]) -> T:
        """Read a reply, and report the result to the observer."""
        got = await read_off_loop(len(reply.body), partial(read, reply, self._observer.now()))
        self._observer.reply_read(reply, got, self._policy)
        return got

    def not_signed_in(self, error: SignInError) -> o.Retry | o.Throttled | o.Unauthorized:
        """The outcome of a step that had no token to sign its request with; it is reported to the observer."""
        return self._observer.sign_in_failed(error.outcome, error.__cause__, self._policy)

    def report(self, outcome: o.Outcome) -> None:
        """Report an outcome that came from several replies, such as that of a download, to the observer."""
        self._observer.outcome_read(outcome, self._policy)

    def stream(
        self, request: WireRequest, *, send_auth: bool, may_ask: Callable[[str], None] = any_host
    ) -> AbstractAsyncContextManager[StreamReply]:
        """As :meth:`AuthenticatedClient.stream` does; a failure is raised, and not reported to the observer."""
        return self._client.stream(request, send_auth=send_auth, may_ask=may_ask)

    def owns(self, url: str) -> bool:
        """Whether an address lies within the provider's own origin."""
        return self._client.owns(url)

    def check_open(self) -> None:
        """Raise ``AccountClosedError`` if the account is closed for more than a few seconds."""
        self._client.check_open()

    async def sleep_between_tries(self, delay_s: float) -> None:
        """Sleep between two tries of a step; raises ``DrainingError`` if the lane is about to end."""
        await self._client.sleep_between_tries(delay_s)

    async def _begin(
        self, request: WireRequest, stack: AsyncExitStack, permit: Permit | None, on_send: OnSend, *, may_be_file: bool
    ) -> ReplyBeginning:
        if may_be_file:
            return await stack.enter_async_context(self._client.open_reply(request, permit, on_send))
        return ReplyBeginning.whole(await self._client.exchange(request, permit, on_send))

    def _failed(
        self, error: SignInError | NotSentError | LostReplyError | BrokenBodyError | RedirectRefusedError
    ) -> o.Retry | o.Throttled | o.Unauthorized:
        if isinstance(error, SignInError):
            return self.not_signed_in(error)
        return self._observer.exchange_failed(error)

    def _on_send(self, sent: bool) -> None:
        self.sent = sent

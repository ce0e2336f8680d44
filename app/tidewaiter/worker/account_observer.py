"""The account observer: what replies and failures mean for the account. The only writer of a lane's budget limits.

Every reply and every failure of an exchange with the provider comes here: rate limit headers, throttling, failures that
count for the circuit breaker, refused credentials, failed logins, and remotes whose identity is not proved. The
observer closes the budget, or pauses the account, and writes the log line.
"""

from collections.abc import Mapping

from tidewaiter.clock import Clock
from tidewaiter.database.account_store import PauseCause
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.http_values import WireReply
from tidewaiter.log import EventLog
from tidewaiter.providers.credentials.login_replies import NotSignedIn
from tidewaiter.providers.replies.limit_spent import LimitReader
from tidewaiter.providers.replies.reply_defaults import provider_failure
from tidewaiter.transport.request_budget import Budget
from tidewaiter.transport.wire import TlsError, TransportError
from tidewaiter.worker.account_pauses import TLS_PAUSE_S, Pauses
from tidewaiter.worker.lease import Lease


class AccountObserver:
    """Observes the exchanges of one lane of an account.

    Args:
        account: its name.
        lease: the lane's lease, which a pause is written under.
        budget: of the lane.
        clock: the time.
        log: gets an event for every closing, and takes secrets out of reasons before they are stored.
        limit_headers: reads the headers with the rest of a rate limit; ``None`` for a provider without such headers.
        pauses: stores that the account is paused; ``None`` if nothing is stored, as in the doctor.
    """

    def __init__(
        self,
        account: str,
        lease: Lease,
        budget: Budget,
        *,
        clock: Clock,
        log: EventLog,
        limit_headers: LimitReader | None = None,
        pauses: Pauses | None = None,
    ) -> None:
        self._account = account
        self._lease = lease
        self._budget = budget
        self._clock = clock
        self._log = log
        self._limit_headers = limit_headers
        self._pauses = pauses

    @property
    def lane(self) -> int:
        """The number of the lane."""
        return self._lease.lane

    def now(self) -> float:
        """The time at which replies are read, in epoch seconds."""
        return self._clock.now()

    # --- replies ------------------------------------------------------------------------------------------------------

    def headers_received(self, status: int, headers: Mapping[str, str]) -> None:
        """A reply of the provider's own origin begins: close the budget if its headers say so."""
        if self._limit_headers is None:
            return
        spent = self._limit_headers.read(status, headers, self._clock.now())
        if spent is None:
            return
        if spent.refused:
            # `outcome_read` logs the refusal itself; the headers only say how long the closing lasts.
            self._budget.close(self._clock.now() + spent.wait_s, spent.reason)
        elif self._budget.spent(spent.wait_s, spent.reason):
            self._log_closing("limit", spent.reason, self._budget.closed_until - self._clock.now())

    def reply_read(self, reply: WireReply, outcome: object, policy: OperationPolicy) -> None:
        """A reply was read as this outcome; ``policy`` bounds the delay that a provider may ask for."""
        if self.outcome_read(outcome, policy):
            return
        failure = provider_failure(reply.status, outcome)
        # A reply of another host, after a redirect, says nothing about the provider's health; the redirect was a reply.
        if failure is not None and not reply.foreign:
            self._budget.failed(self._log.redactor.clean(failure))
        else:
            self._budget.succeeded()

    def outcome_read(self, outcome: object, policy: OperationPolicy) -> bool:
        """Close or pause the account if the outcome requires it; returns whether it did."""
        if isinstance(outcome, o.Throttled):
            self._throttled(outcome, policy)
        elif isinstance(outcome, o.Unauthorized):
            self._refused(outcome)
        else:
            return False
        return True

    # --- failures -----------------------------------------------------------------------------------------------------

    def exchange_failed(self, error: TransportError) -> o.Retry | o.Unauthorized:
        """An exchange failed; returns what that means for a step that may be repeated."""
        if isinstance(error, TlsError):
            return self._distrusted(str(error))
        self._budget.failed(str(error))
        return o.Retry(str(error))

    def sign_in_failed(self, outcome: NotSignedIn, cause: BaseException | None, policy: OperationPolicy) -> NotSignedIn:
        """A step had no token to sign its request with; returns what that means for the step."""
        if isinstance(outcome, o.Throttled):
            self._throttled(outcome, policy)
        elif isinstance(cause, TlsError):
            return self._distrusted(outcome.reason)
        elif isinstance(outcome, o.Unauthorized):
            self._refused(outcome)
        return outcome

    # --- logins -------------------------------------------------------------------------------------------------------

    def login_failed(self, error: TransportError) -> None:
        """The exchange of a login failed; a TLS failure is reported by the step that needed the login."""
        if not isinstance(error, TlsError):
            self._budget.failed(str(error))

    def login_read(self, status: int, *, signed_in: bool) -> None:
        """The reply to a login was read."""
        if status >= 500:
            self._budget.failed(f"the login failed: HTTP {status}")
        elif not signed_in:
            self._budget.undecided()

    def login_postponed(self, failure: NotSignedIn, left_s: float) -> None:
        """A login failed, but the old token is valid for ``left_s`` more seconds: the closing lasts no longer."""
        if isinstance(failure, o.Throttled):
            asked_s = failure.retry_after_s
            wait_s = None if asked_s is None else min(asked_s, left_s)
            self._budget.throttled(wait_s, self._log.redactor.clean(failure.reason))

    def token_refused(self) -> None:
        """The provider refused a token.

        The refused request may have been the probe of a half-open breaker. It has its reply, so the login that follows
        may be the next probe, and does not wait for another result.
        """
        self._budget.undecided()

    def signed_in(self, expires_in_s: float) -> None:
        """There is a new token. The login may have been the probe of a half-open breaker: requests need not wait."""
        self._budget.succeeded()
        self.token_signed(expires_in_s)

    def token_signed(self, expires_in_s: float) -> None:
        """There is a new token, which the account has signed itself: the provider has not seen it yet."""
        expires_in_s = round(expires_in_s, 1)
        self._log.emit("session.renewed", lane=self.lane, account=self._account, expires_in_s=expires_in_s)

    def refresh_token_stored(self) -> None:
        """A login has replaced the refresh token, and the new one is committed."""
        self._log.emit("refresh_token.stored", lane=self.lane, account=self._account)

    def refresh_token_replaced(self) -> None:
        """A stored refresh token has given way to a newly configured one."""
        self._log.emit("refresh_token.replaced", lane=self.lane, account=self._account)

    def refresh_token_ignored(self) -> None:
        """A login has given another refresh token, although the spec says that the old one is good for ever."""
        self._log.emit("refresh_token.ignored", lane=self.lane, account=self._account)

    # --- consequences -------------------------------------------------------------------------------------------------

    def _throttled(self, outcome: o.Throttled, policy: OperationPolicy) -> None:
        asked = outcome.retry_after_s
        reason = self._log.redactor.clean(outcome.reason)  # the budget's reason is stored with the lane
        self._budget.throttled(None if asked is None else policy.clamp(asked), reason)
        self._log_closing("throttled", reason, max(0.0, self._budget.closed_until - self._clock.now()))

    def _refused(self, outcome: o.Unauthorized, by: PauseCause = PauseCause.CREDENTIALS) -> None:
        """Pause the account: this lane at once, every other lane within a round of the work watcher."""
        reason = self._log.redactor.clean(outcome.reason)
        self._budget.pause(reason)
        if self._pauses is not None:
            self._pauses.refuse(self._account, by, reason, self._lease)

    def _distrusted(self, reason: str) -> o.Unauthorized:
        """A remote whose identity is not proved gets no credentials. The cause may pass, so it is tried again."""
        outcome = o.Unauthorized(f"{reason} It is tried again every {TLS_PAUSE_S / 60:.0f} minutes.")
        self._refused(outcome, PauseCause.TLS)
        return outcome

    def _log_closing(self, cause: str, reason: str, wait_s: float) -> None:
        self._log.emit(
            "account.paused",
            lane=self.lane,
            account=self._account,
            cause=cause,
            reason=reason,
            until_s=round(wait_s, 1),
        )

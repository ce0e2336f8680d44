"""What replies and failures mean for the account: its budget closes, its breaker counts, or the account is paused."""

from collections.abc import Callable
from typing import TypeVar

from app.clock import Clock
from app.domain import outcome as o
from app.domain.wire import WireReply
from app.log import EventLog
from app.providers.defaults import provider_failure
from app.store.accounts import PausedBy
from app.transport.errors import TlsError
from app.worker.pauses import TLS_PAUSE_S, Pauses
from app.worker.session import SignInError
from app.worker.visit import Visit

T = TypeVar("T")


class AccountEffects:
    """Applies what a step learned to the account.

    Args:
        clock: the time.
        log: gets an event for every account that is closed for a while.
        pauses: stores that an account is paused.
        clean: takes secrets out of a text before it is stored.
    """

    def __init__(self, clock: Clock, log: EventLog, pauses: Pauses, clean: Callable[[str], str]) -> None:
        self._clock = clock
        self._log = log
        self._pauses = pauses
        self._clean = clean

    def weighed(self, visit: Visit, reply: WireReply, outcome: T) -> T:
        """Let the budget know what this reply says of the account."""
        if not self.weigh(visit, outcome):
            failure = provider_failure(reply.status, outcome)
            # A host to which the provider has led us on says nothing of the provider's health; leading on is an answer.
            if failure is not None and not reply.foreign and (not reply.url or visit.client.owns(reply.url)):
                visit.budget.failed(self._clean(failure))
            else:
                visit.budget.succeeded()
        return outcome

    def weigh(self, visit: Visit, outcome: object) -> bool:
        """Close or pause the account where an outcome asks for it; tells whether it did."""
        if isinstance(outcome, o.Throttled):
            self._throttled(visit, outcome)
        elif isinstance(outcome, o.Unauthorized):
            self._refused(visit, outcome)
        else:
            return False
        return True

    def not_signed_in(self, visit: Visit, error: SignInError) -> o.Throttled | o.Unauthorized | o.Retry:
        """What a failed login means for the step and the account."""
        outcome = error.outcome
        if isinstance(outcome, o.Throttled):
            self._throttled(visit, outcome)
        elif isinstance(error.__cause__, TlsError):
            return self.distrusted(visit, outcome.reason)
        elif isinstance(outcome, o.Unauthorized):
            self._refused(visit, outcome)
        return outcome

    def _throttled(self, visit: Visit, outcome: o.Throttled) -> None:
        asked = outcome.retry_after_s
        reason = self._clean(outcome.reason)  # the budget's reason is stored with the lane
        visit.budget.throttled(None if asked is None else visit.operation.policy.clamp(asked), reason)
        self._log.emit(
            "account.paused",
            lane=visit.hold.lane,
            account=visit.job.account,
            reason=reason,
            until_s=round(max(0.0, visit.budget.closed_until - self._clock.now()), 1),
        )

    def _refused(self, visit: Visit, outcome: o.Unauthorized, by: PausedBy = PausedBy.CREDENTIALS) -> o.Unauthorized:
        """The account is paused: this lane at once, every other one within a round of the look-out."""
        reason = self._clean(outcome.reason)
        visit.budget.pause(reason)
        self._pauses.refuse(visit.job.account, by, reason, visit.hold)
        return outcome

    def distrusted(self, visit: Visit, reason: str) -> o.Unauthorized:
        """A remote that cannot prove who it is gets no credentials. That may heal by itself, and is tried."""
        told = f"{reason} It is tried again every {TLS_PAUSE_S / 60:.0f} minutes."
        return self._refused(visit, o.Unauthorized(told), PausedBy.TLS)

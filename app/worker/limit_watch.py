"""The watch on a provider's own account of its rate limit, which knows of others who use the same credentials."""

from collections.abc import Mapping

from app.clock import Clock
from app.log import EventLog
from app.providers.limits import LimitHeaders
from app.transport.budget import Budget


class LimitWatch:
    """Looks at the headers of every reply of the provider, and closes the lane's budget where they say so.

    Args:
        headers: which to look at; ``None`` for a provider that has none.
        budget: of the lane.
        lane: its number, for the log.
        account: its account, for the log.
        clock: the time.
        log: told of a budget that was closed.
    """

    def __init__(
        self, headers: LimitHeaders | None, budget: Budget, *, lane: int, account: str, clock: Clock, log: EventLog
    ) -> None:
        self._headers = headers
        self._budget = budget
        self._lane = lane
        self._account = account
        self._clock = clock
        self._log = log

    def __call__(self, status: int, headers: Mapping[str, str]) -> None:
        """A reply has come."""
        if self._headers is None:
            return
        spent = self._headers.read(status, headers, self._clock.now())
        if spent is None:
            return
        if spent.refused:
            # The step that was refused tells of it; here it only learns for how long.
            self._budget.close(self._clock.now() + spent.wait_s, spent.reason)
        elif self._budget.spent(spent.wait_s, spent.reason):
            until_s = round(self._budget.closed_until - self._clock.now(), 1)
            self._log.emit(
                "account.paused", lane=self._lane, account=self._account, reason=spent.reason, until_s=until_s
            )

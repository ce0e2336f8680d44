"""What a reply says about later requests: the wait, and the rest of the account's limit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.http_values import field_values
from tidewaiter.providers.replies.extract import Pick, compile_pick
from tidewaiter.providers.replies.limit_spent import LONGEST_WAIT_S, TOO_MANY, LimitReader, LimitSpent
from tidewaiter.providers.replies.quota_headers import QuotaHeaders
from tidewaiter.providers.replies.reply import Reading
from tidewaiter.providers.replies.reply_headers import parse_http_date, retry_after
from tidewaiter.providers.replies.wait_times import WaitUnit, parse_wait
from tidewaiter.providers.spec.limits_spec import LimitHeadersSpec
from tidewaiter.providers.spec.step_specs import RetryAfterSpec
from tidewaiter.providers.values.texts import as_text

# --- waits ------------------------------------------------------------------------------------------------------------


class ReplyWait(NamedTuple):
    """The seconds that a reply asks to wait, or ``None``; if ``exact``, they replace our own schedule."""

    seconds: float | None
    exact: bool


@dataclass(frozen=True, slots=True)
class WaitRules:
    """The values that a spec names, each with ``unit`` and ``exact``; and whether the header Retry-After is exact."""

    picks: Sequence[tuple[Pick, WaitUnit, bool]]
    header_is_exact: bool

    def of(self, reading: Reading, now: float) -> ReplyWait:
        """The wait in a poll's reply: the first named value that can be read, else the header."""
        for pick, unit, exact in self.picks:
            text = as_text(pick(reading))
            wait_s = None if text is None else parse_wait(text, unit, reading.headers.get("date"), now)
            if wait_s is not None:
                return ReplyWait(wait_s, exact)
        return self.in_header(reading, now)

    def in_header(self, reading: Reading, now: float) -> ReplyWait:
        """The wait in the header Retry-After of any reply."""
        wait_s = retry_after(reading.headers, now)
        return ReplyWait(wait_s, self.header_is_exact and wait_s is not None)


def compile_waits(specs: Sequence[RetryAfterSpec]) -> WaitRules:
    """The compiled form of ``poll.retry_after``."""
    picks = tuple((compile_pick((spec,)), spec.unit, spec.exact) for spec in specs if spec.names_value)
    return WaitRules(picks, any(spec.exact for spec in specs if not spec.names_value))


NOT_BEFORE: Final = WaitRules((), header_is_exact=False)
"""For an operation without polls."""


# --- limit headers ----------------------------------------------------------------------------------------------------


_LIMIT_NUMBER = re.compile(r"\s*(-?[0-9]{1,18})(?:[.;,\s]|$)")


@dataclass(frozen=True, slots=True)
class LimitHeaders:
    """The names of the headers, in lower case. ``epoch``: ``reset`` is a time, not a number of seconds.

    ``longest_s`` limits the wait: a provider that counts by the minute permits a request within a minute.
    """

    limit: str | None
    remaining: str | None
    reset: str
    epoch: bool
    longest_s: float

    def read(self, status: int, headers: Mapping[str, str], now: float) -> LimitSpent | None:
        """The spent limit; ``None`` if something is left, or if the reply does not say when the limit is reset.

        A time is counted from the reply's Date, because the server's clock and ours may differ. For a refusal with
        Retry-After these headers are not needed.
        """
        refused = status == TOO_MANY
        left = min(self._numbers(headers, self.remaining), default=None)
        if refused and retry_after(headers, now) is not None:
            return None
        if not refused and (left is None or left > 0):
            return None
        reset = max(self._numbers(headers, self.reset), default=None)
        if reset is None:
            return None
        replied_at = parse_http_date(headers.get("date", "").strip(" \t"), now)
        wait_s = reset - (now if replied_at is None else replied_at) if self.epoch else reset
        permitted = min(self._numbers(headers, self.limit), default=None)
        several = "requests that it permits" if permitted is None else f"{permitted:.0f} requests that it permits"
        wait_s = min(max(wait_s, 0.0), self.longest_s)
        return LimitSpent(wait_s, f"the provider says that nothing is left of the {several}", refused)

    @staticmethod
    def _numbers(headers: Mapping[str, str], name: str | None) -> list[float]:
        """The numbers in a header: a server with several limits may send it for each of them."""
        values = () if name is None else field_values(headers, name)
        return [float(found[1]) for value in values if (found := _LIMIT_NUMBER.match(value)) is not None]


def limit_headers(spec: LimitHeadersSpec | None, limits: Limits) -> LimitReader | None:
    """The compiled form of ``limits.headers``; ``None`` if the provider has no such headers."""
    if spec is None:
        return None
    longest_s = LONGEST_WAIT_S if limits.requests is None else limits.period_s
    if spec.rate_limit is not None:
        return QuotaHeaders(spec.rate_limit.lower(), None if spec.policy is None else spec.policy.lower(), longest_s)
    limit, remaining = (None if name is None else name.lower() for name in (spec.limit, spec.remaining))
    return LimitHeaders(limit, remaining, (spec.reset or "").lower(), spec.reset_is == "epoch", longest_s)

"""The headers in which a provider says how much of its rate limit is left."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.schedule import Limits
from app.domain.wire import field_values
from app.providers.headers import parse_http_date, retry_after
from app.providers.spec.provider import LimitHeadersSpec

_NUMBER = re.compile(r"\s*(-?[0-9]{1,18})(?:[.;,\s]|$)")
_LONGEST_WAIT_S = 3600.0
_TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Spent:
    """Nothing is left of the provider's limit. ``refused`` says that it sent the request back for that."""

    wait_s: float
    reason: str
    refused: bool


@dataclass(frozen=True, slots=True)
class LimitHeaders:
    """The names of the headers, in lower case, and how ``reset`` is meant: a moment, or a number of seconds.

    ``longest_s`` is the most that a reply is believed: a provider that counts by the minute frees something within one.
    """

    limit: str | None
    remaining: str | None
    reset: str
    epoch: bool
    longest_s: float

    def read(self, status: int, headers: Mapping[str, str], now: float) -> Spent | None:
        """What a reply says; ``None`` where something is left, or where it does not say until when nothing is.

        A moment is counted from the reply's own Date, because the server's clock and ours may differ. A refusal with a
        Retry-After has said it already.
        """
        refused = status == _TOO_MANY
        left = min(self._numbers(headers, self.remaining), default=None)
        if refused and retry_after(headers, now) is not None:
            return None
        if not refused and (left is None or left > 0):
            return None
        reset = max(self._numbers(headers, self.reset), default=None)
        if reset is None:
            return None
        said_at = parse_http_date(headers.get("date", "").strip(" \t"), now)
        wait_s = reset - (now if said_at is None else said_at) if self.epoch else reset
        permitted = min(self._numbers(headers, self.limit), default=None)
        several = "requests that it permits" if permitted is None else f"{permitted:.0f} requests that it permits"
        wait_s = min(max(wait_s, 0.0), self.longest_s)
        return Spent(wait_s, f"the provider says that nothing is left of the {several}", refused)

    @staticmethod
    def _numbers(headers: Mapping[str, str], name: str | None) -> list[float]:
        """What a header says: a server of several limits may send it for each of them."""
        values = () if name is None else field_values(headers, name)
        return [float(found[1]) for value in values if (found := _NUMBER.match(value)) is not None]


def limit_headers(spec: LimitHeadersSpec | None, limits: Limits) -> LimitHeaders | None:
    """The compiled form of ``limits.headers``; ``None`` where the provider has no such headers."""
    if spec is None:
        return None
    limit, remaining = (None if name is None else name.lower() for name in (spec.limit, spec.remaining))
    longest_s = _LONGEST_WAIT_S if limits.requests is None else limits.period_s
    return LimitHeaders(limit, remaining, spec.reset.lower(), spec.reset_is == "epoch", longest_s)

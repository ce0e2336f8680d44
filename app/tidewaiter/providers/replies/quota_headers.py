"""The fields RateLimit and RateLimit-Policy of the IETF's draft: what is left of each limit.

Source: draft-ietf-httpapi-ratelimit-headers-10, sections 2 to 6.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tidewaiter.domain.http_values import combined_field
from tidewaiter.providers.replies.limit_spent import LONGEST_WAIT_S, TOO_MANY, LimitSpent
from tidewaiter.providers.replies.reply_headers import retry_after
from tidewaiter.providers.replies.structured_fields import FieldItem, MalformedFieldError, list_of_items

_AT_ONE_TIME: Final = "concurrent-requests"
"""The unit of a limit that our own replies free again; the draft gives it no time."""
_REQUESTS: Final = "requests"


@dataclass(frozen=True, slots=True)
class QuotaHeaders:
    """The names of the two fields, in lower case.

    ``longest_s`` limits a wait for a limit whose window is not known.
    """

    rate_limit: str
    policy: str | None
    longest_s: float

    def read(self, status: int, headers: Mapping[str, str], now: float) -> LimitSpent | None:
        """The limit that is spent for the longest time; ``None`` if something is left of each.

        A Retry-After of a refusal counts in place of these fields.
        """
        refused = status == TOO_MANY
        if refused and retry_after(headers, now) is not None:
            return None
        policies = {one.value: one for one in _items(headers, self.policy)}
        spent = [wait for one in _items(headers, self.rate_limit) if (wait := self._wait(one, policies)) is not None]
        if not spent:
            return None
        wait_s, policy = max(spent, key=lambda one: one[0])
        return LimitSpent(wait_s, f"the provider says that nothing is left of the {_named(policy)}", refused)

    def _wait(self, item: FieldItem, policies: Mapping[str, FieldItem]) -> tuple[float, FieldItem | None] | None:
        """The wait for a limit of which nothing is left, with its policy."""
        policy = policies.get(item.value)
        left, wait_s = _number(item, "r"), _number(item, "t")
        if left != 0 or wait_s is None or (policy is not None and policy.parameters.get("qu") == _AT_ONE_TIME):
            return None
        window_s = None if policy is None else _number(policy, "w")
        longest_s = min(window_s, LONGEST_WAIT_S) if window_s else self.longest_s
        return float(min(wait_s, longest_s)), policy


def _items(headers: Mapping[str, str], name: str | None) -> Sequence[FieldItem]:
    field = None if name is None else combined_field(headers, name)
    try:
        return [] if field is None else list_of_items(field)
    except MalformedFieldError:
        return []


def _number(item: FieldItem, name: str) -> int | None:
    """A parameter that must be an integer from 0 on; ``None`` if it is anything else."""
    value = item.parameters.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _named(policy: FieldItem | None) -> str:
    """The limit, for people; its name is the provider's text, and is left out."""
    if policy is not None and policy.parameters.get("qu", _REQUESTS) != _REQUESTS:
        return "limit that it reports"
    quota = None if policy is None else _number(policy, "q")
    return "requests that it permits" if quota is None else f"{quota} requests that it permits"

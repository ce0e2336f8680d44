"""A probe: one harmless request that shows whether an account works."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from app.domain.outcome import Refused, Unauthorized
from app.domain.wire import WireReply, WireRequest
from app.providers.defaults import Trouble, is_success, provider_trouble
from app.providers.headers import retry_after
from app.providers.messages import Messages
from app.providers.reading import Reading
from app.providers.rules import Rules


@dataclass(frozen=True, slots=True)
class Healthy:
    """The account works."""


Probed: TypeAlias = Healthy | Trouble


@dataclass(frozen=True, slots=True)
class Probe:
    """The request, and how its reply is read."""

    request: WireRequest
    rules: Rules = field(repr=False)
    messages: Messages = field(repr=False)

    def keys_hit(self, reply: WireReply | None) -> Iterator[str]:
        """What of the spec an exchange goes through: the probe, and the rule that its reply meets."""
        yield "probe"
        verdict = None if reply is None else self.rules.judge(Reading(reply))
        if verdict is not None:
            yield verdict.key

    def read(self, reply: WireReply, now: float) -> Probed:
        """Whether the account works, or what is the trouble; ``now`` is epoch seconds."""
        reading = Reading(reply)
        verdict = self.rules.judge(reading)
        reason = self.messages.reason(reading)
        effect = None if verdict is None else verdict.effect
        if effect == "unauthorized":
            return Unauthorized(reason)
        if effect == "failed":
            return Refused(reason)
        if effect == "healthy" or is_success(reading.status):
            return Healthy()
        return provider_trouble(reading.status, reason, retry_after(reading.headers, now))

"""What a step learned, fit to be stored: without the secrets that it quotes."""

from collections.abc import Callable
from dataclasses import replace

from app.domain import outcome as o


def without_secrets(outcome: o.Outcome, clean: Callable[[str], str]) -> o.Outcome:
    """The outcome with every secret taken out of what it quotes by ``clean``."""
    match outcome:
        case o.Unmapped(excerpt=excerpt):
            return replace(outcome, excerpt=clean(excerpt))
        case (
            o.Unsent() | o.Unknown() | o.Absent() | o.Undecidable() | o.LinksExpired() | o.Gone() | o.Retry()
            | o.NotYet() | o.Throttled() | o.Unauthorized() | o.StorageFull() | o.Refused() | o.DeadlinePassed()
        ):  # fmt: skip
            return replace(outcome, reason=clean(outcome.reason))
        case _:
            return outcome

"""Takes secrets out of outcomes: the last look at all that a step learned before any of it is stored."""

from collections.abc import Callable
from dataclasses import replace

from app.domain import outcome as o


def cleaned(outcome: o.Outcome, clean: Callable[[str], str]) -> o.Outcome:
    """The outcome with every secret taken out of what it quotes; ``clean`` takes them out of a text."""
    match outcome:
        case o.Unmapped(excerpt=excerpt):
            return replace(outcome, excerpt=clean(excerpt))
        case o.Pending(status=status, progress=progress):
            return replace(
                outcome,
                status=None if status is None else clean(status),
                progress=None if progress is None else clean(progress),
            )
        case o.Ready(status=str(status)):
            return replace(outcome, status=clean(status))
        case o.Stored(status=str(status)):
            return replace(outcome, status=clean(status))
        case (
            o.Unsent() | o.Unknown() | o.Absent() | o.Undecidable() | o.LinksExpired() | o.LinksLost() | o.Gone()
            | o.Retry() | o.NotYet() | o.Throttled() | o.Unauthorized() | o.StorageFull() | o.Refused()
            | o.DeadlinePassed()
        ):  # fmt: skip
            return replace(outcome, reason=clean(outcome.reason))
        case _:
            return outcome

"""What a step learned, fit to be stored: without the secrets that it quotes."""

import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

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


def place_of(error: Exception) -> str:
    """Where an exception was raised, as file and line: enough to find it, without the values that a traceback holds."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"

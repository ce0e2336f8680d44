"""The texts of an outcome, without secrets: it is stored, logged and shown."""

from collections.abc import Callable
from dataclasses import replace

from tidewaiter.domain import outcome as o


def cleaned(outcome: o.Outcome, clean: Callable[[str], str]) -> o.Outcome:
    """The outcome with every secret taken out of its texts, before any of it is stored."""
    match outcome:
        case o.Unmapped(excerpt=excerpt):
            return replace(outcome, excerpt=clean(excerpt))
        case o.Pending(status=status, progress=progress):
            clean_status = None if status is None else clean(status)
            clean_progress = None if progress is None else clean(progress)
            if clean_status == status and clean_progress == progress:
                return outcome  # as most polls end
            return replace(outcome, status=clean_status, progress=clean_progress)
        case o.Ready(status=status) | o.Stored(status=status):
            return replace(outcome, status=None if status is None else clean(status))
        case (
            o.Unsent() | o.Unknown() | o.Absent() | o.Undecidable() | o.LinksExpired() | o.LinksLost() | o.Gone()
            | o.FailedForNow()
            | o.Retry() | o.NotYet() | o.Throttled() | o.Unauthorized() | o.StorageFull() | o.Refused()
            | o.DeadlinePassed()
        ):  # fmt: skip
            return replace(outcome, reason=clean(outcome.reason))
        case (
            o.Intended() | o.Accepted() | o.Duplicate() | o.StepDone() | o.Reused() | o.Adopted() | o.StepStarted()
            | o.FetchStarted() | o.FilesLanded() | o.PartLanded()
            | o.Cleaned()
            | o.Cancelled() | o.LeftAlone() | o.Interrupted() | o.Crashed() | o.CancelAsked() | o.RetryDecided()
            | o.AdoptDecided()
        ):  # fmt: skip
            return outcome

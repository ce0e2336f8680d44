"""The texts of an outcome, without secrets: it is stored, logged and shown."""

from collections.abc import Callable
from dataclasses import replace

from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.job import Job


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


def expired(job: Job) -> str:
    """The reason of a job that has waited too long: in which state, and what its last step reported."""
    late = f"after {job.deadline_at - job.created_at:.0f} s the job was still {job.state}"
    return f"{late}: {job.reason}" if job.reason else late


def expired_while_closed(job: Job, policy: OperationPolicy, closed_reason: str | None) -> o.DeadlinePassed:
    """The end of a job whose deadline has passed while nothing may be sent to its provider, for this reason."""
    reason = expired(job)
    if not job.reason and closed_reason is not None:
        reason = f"{reason}: {closed_reason}"
    if job.handle is not None and policy.cancels:
        reason = f"{reason}; the remote job was not cancelled"
    return o.DeadlinePassed(reason)

"""Changes of jobs, sent to listeners in this process after their commit."""

from collections.abc import Callable
from typing import TypeAlias

from tidewaiter.domain import outcome as o
from tidewaiter.domain.immutable import immutable
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.state_machine import JobUpdate


@immutable(frozen=True, slots=True)
class JobChange:
    """A job that was added or has changed, at ``at`` (epoch seconds); ``event`` is the name of the log event."""

    event: str
    job: Job
    state_from: State | None
    outcome: str
    at: float


ChangeListener: TypeAlias = Callable[[JobChange], None]
"""Is called with every change after its commit, in the event loop; it must not block."""


def ignore_change(_change: JobChange) -> None:
    """A listener that does nothing."""


class ChangeFeed:
    """Passes changes on to every listener.

    Args:
        failed: is called with a listener that has raised, and its exception. The change is already committed, so the
            daemon and the other listeners continue.
    """

    def __init__(self, failed: Callable[[ChangeListener, Exception], None]) -> None:
        self._failed = failed
        self._listeners: list[ChangeListener] = []

    def subscribe(self, listener: ChangeListener) -> None:
        """Call this listener with every change from now on."""
        self._listeners.append(listener)

    def publish(self, change: JobChange) -> None:
        """Call every listener."""
        for listener in self._listeners:
            try:
                listener(change)
            except Exception as error:  # noqa: BLE001  # a fault of a listener must not stop the committer
                self._failed(listener, error)


def added(job: Job) -> JobChange:
    """The change for a job that was stored."""
    return JobChange("job.submitted", job, None, "Submitted", job.created_at)


def change_of(update: JobUpdate) -> JobChange | None:
    """The change that an update makes; ``None`` if it only counts, as most polls do."""
    entry = update.entry
    if entry is None:
        return None
    return JobChange(_event_of(update), update.job, update.state_from, entry.outcome, entry.at)


def _event_of(update: JobUpdate) -> str:
    match update.job.state:
        case State.FAILED | State.EXPIRED:
            return "job.failed"
        case State.SUCCEEDED | State.CANCELLED:
            return "job.finished"
        case State.PARKED:
            return "job.parked"
        case (
            State.QUEUED
            | State.SUBMITTING
            | State.RECONCILING
            | State.STARTING
            | State.POLLING
            | State.FETCHING
            | State.CLEANING
            | State.CANCELLING
        ):
            return _live_event_of(update)


def _live_event_of(update: JobUpdate) -> str:
    if isinstance(update.outcome, o.Unmapped):
        return "job.unmapped"
    if isinstance(update.outcome, o.Pending):
        return "job.stalled"
    if isinstance(update.outcome, o.FailedForNow):
        return "job.postponed"
    if update.job.state in (State.QUEUED, State.STARTING) and _was_unknown(update):
        return "job.repeated"
    if isinstance(update.outcome, o.StepDone):
        return "job.advanced"
    return "job.troubled" if update.job.state is update.state_from else "job.advanced"


def _was_unknown(update: JobUpdate) -> bool:
    """Whether a job sends its request again; an adopted remote job is started for the first time."""
    return update.state_from is State.RECONCILING and not isinstance(update.outcome, o.Adopted)

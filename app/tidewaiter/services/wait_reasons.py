"""Why a job waits, until when, and what a person can do about it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tidewaiter.database.account_store import Pause
from tidewaiter.database.lane_store import LaneStatus
from tidewaiter.domain.job import TERMINAL, Job, State

_NEXT: Final = {
    State.QUEUED: "It is submitted",
    State.SUBMITTING: "The outcome of its submit is looked into",
    State.RECONCILING: "The provider is searched again for its remote job",
    State.POLLING: "The provider is asked again",
    State.FETCHING: "Its files are fetched again",
    State.CLEANING: "The remote job is deleted",
    State.CANCELLING: "The provider is asked to stop it",
}


_NOW: Final = {
    State.QUEUED: "It is due to be submitted",
    State.SUBMITTING: "It is being submitted",
    State.RECONCILING: "The provider is being searched for its remote job",
    State.POLLING: "The provider is due to be asked",
    State.FETCHING: "Its files are being landed",
    State.CLEANING: "The remote job is being deleted",
    State.CANCELLING: "The provider is being asked to stop it",
}


_LONG_S: Final = 5.0


class LaneCondition(StrEnum):
    """Whether a lane sends requests to its provider."""

    OPEN = "open"
    THROTTLED = "throttled"
    BROKEN = "breaker open"
    PAUSED = "paused"
    UNSERVED = "unserved"
    UNKNOWN = "not configured"


@dataclass(frozen=True, slots=True)
class LaneReport:
    """The condition of a lane, its reason, and its end in epoch seconds if that is known."""

    condition: LaneCondition
    reason: str | None = None
    until: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether it sends requests as far as its limit permits; ``until`` is then the end of a used-up limit."""
        return self.condition is LaneCondition.OPEN


@dataclass(frozen=True, slots=True)
class WaitReason:
    """Why a job waits: one sentence; ``until`` in epoch seconds if it is known."""

    sentence: str
    until: float | None = None
    blocked: bool = False
    """Whether the cause is not the job itself."""
    remedy: str | None = None
    """What a person has to do; until then the job waits."""


def lane_report(lane: LaneStatus | None, *, is_configured: bool, pause: Pause | None, now: float) -> LaneReport:
    """The condition of a lane.

    Args:
        lane: as the database has it.
        is_configured: whether its account is.
        pause: of its account.
        now: epoch seconds.
    """
    if not is_configured:
        return LaneReport(LaneCondition.UNKNOWN, "its account is in no configuration that this daemon has read")
    if pause is not None:
        return LaneReport(LaneCondition.PAUSED, pause.reason)
    if lane is not None and lane.closed_until and lane.closed_until > now:
        return LaneReport(LaneCondition.THROTTLED, lane.closed_reason, lane.closed_until)
    if lane is not None and lane.closed_reason is not None and not lane.closed_until:
        return LaneReport(LaneCondition.BROKEN, lane.closed_reason)
    if lane is None or not lane.leased:
        return LaneReport(LaneCondition.UNSERVED, "no daemon serves it now")
    return LaneReport(LaneCondition.OPEN)


def wait_reason(job: Job, report: LaneReport | None, now: float, *, phase: str | None = None) -> WaitReason | None:
    """Why a job waits; ``None`` if it has ended.

    Args:
        job: the job.
        report: the condition of its lane, if that is known.
        now: epoch seconds.
        phase: of this daemon, if it is not serving.
    """
    if job.state in TERMINAL:
        return None
    if job.state is State.PARKED:
        return WaitReason(
            "It is unknown what became of its submit, so a person decides: adopt, retry or cancel.",
            blocked=True,
            remedy=f"`tidewaiter jobs adopt {job.id} HANDLE`, `jobs retry {job.id}` or `jobs cancel {job.id}`",
        )
    blocking = None if report is None else _blocking_reason(job, report, phase)
    if blocking is not None:
        return blocking
    if job.due_at is None:
        return WaitReason("No cause is known.")
    if job.due_at > now:
        return WaitReason(_NEXT[job.state], job.due_at)
    if report is not None and report.is_open and report.until is not None and report.until > now:
        return WaitReason("The request limit of the account is used up. Next request", report.until, blocked=True)
    late = now - job.due_at > _LONG_S
    return WaitReason(f"{_NOW[job.state]}{'; others of its account come first' if late else ' now'}.")


def _blocking_reason(job: Job, report: LaneReport, phase: str | None) -> WaitReason | None:
    match report.condition:
        case LaneCondition.PAUSED:
            remedy = f"resolve it, then run `tidewaiter accounts resume {job.account}`"
            return WaitReason(f"Its account is paused: {report.reason}", blocked=True, remedy=remedy)
        case LaneCondition.THROTTLED:
            why = f" ({report.reason})" if report.reason else ""
            return WaitReason(
                f"The provider asked for a pause{why}; its account is open again", report.until, blocked=True
            )
        case LaneCondition.BROKEN:
            return WaitReason(f"The provider fails, so it is asked rarely: {report.reason}", blocked=True)
        case LaneCondition.UNKNOWN:
            sentence = "Its account is not configured any more, so no daemon serves it."
            return WaitReason(
                sentence, blocked=True, remedy=f"put [accounts.{job.account}] back into the configuration"
            )
        case LaneCondition.UNSERVED:
            where = "No daemon serves its lane at this moment." if phase is None else (
                f"This daemon is {phase}; the job waits until one serves."
            )  # fmt: skip
            return WaitReason(where, blocked=True)
        case LaneCondition.OPEN:
            return None

"""Why a job waits, until when, and what a person can do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from tidewaiter.database.account_store import Pause, PauseCause
from tidewaiter.database.lane_rows import LaneStatus
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.job import TERMINAL, Job, State
from tidewaiter.services.parked_decisions import command_words, parked_sentence

_NEXT: Final = {
    State.QUEUED: "Next submit",
    State.SUBMITTING: "Next check of the submit",
    State.RECONCILING: "Next search for the remote job",
    State.STARTING: "Next start of the remote job",
    State.POLLING: "Next poll",
    State.FETCHING: "Next download",
    State.CLEANING: "Next attempt to delete the remote job",
    State.CANCELLING: "Next attempt to cancel the remote job",
}


_AFTER_FAILURE: Final = "The provider failed it for a passing reason. Next submit"


_NOW: Final = {
    State.QUEUED: "The submit is due",
    State.SUBMITTING: "The check of the submit is due",
    State.RECONCILING: "The search for the remote job is due",
    State.STARTING: "The start of the remote job is due",
    State.POLLING: "The poll is due",
    State.FETCHING: "The download is running or due",
    State.CLEANING: "The deletion of the remote job is due",
    State.CANCELLING: "The cancellation of the remote job is due",
}


_LONG_S: Final = 5.0
PAUSE_REMEDIES: Final[Mapping[PauseCause, str]] = {
    PauseCause.CREDENTIALS: "Correct the key in the configuration, then send SIGHUP to the daemon or restart it: new "
    "settings end the pause. If the key works again as it is, resume the account.",
    PauseCause.TLS: "Compare the certificate of the provider with the authorities that the configuration trusts. The "
    "daemon tries again by itself; resume the account to try now.",
    PauseCause.PERSON: "Resume the account when its cause is gone. Until then its jobs wait, and their deadlines move.",
}
"""What ends a pause, by its cause."""
PROVIDER_FAILS: Final = "The provider is failing; other requests wait until a test request succeeds"


class LaneCondition(StrEnum):
    """Whether a lane sends requests to its provider."""

    OPEN = "open"
    THROTTLED = "throttled"
    BROKEN = "breaker open"
    PAUSED = "paused"
    UNSERVED = "unserved"
    UNKNOWN = "not configured"
    FAULTY = "faulty"


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


def lane_report(
    lane: LaneStatus | None, *, is_configured: bool, pause: Pause | None, now: float, fault: str | None = None
) -> LaneReport:
    """The condition of a lane.

    Args:
        lane: as the database has it.
        is_configured: whether its account is.
        pause: of its account.
        now: epoch seconds.
        fault: why its account cannot be served, although it is configured.
    """
    if fault is not None:
        return LaneReport(LaneCondition.FAULTY, fault)
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


def limit_opens_at(request_window: Sequence[float], limits: Limits, now: float) -> float | None:
    """When the limit permits the next request, in epoch seconds; ``None`` if it is not used up.

    Args:
        request_window: when the last requests were sent.
        limits: of the lane.
        now: epoch seconds.
    """
    recent = sorted(at for at in request_window if at > now - limits.period_s)
    if limits.requests is None or len(recent) < limits.requests:
        return None
    return recent[-limits.requests] + limits.period_s


def held_by(
    report: LaneReport, request_window: Sequence[float], limits: Limits | None, now: float
) -> LaneReport | None:
    """What holds the due jobs of a lane; ``None`` if it sends requests.

    Args:
        report: the condition of the lane. That of an open one gets the end of its used-up limit.
        request_window: when its last requests were sent.
        limits: of the lane; ``None`` if they are not known.
        now: epoch seconds.
    """
    if not report.is_open:
        return report
    opens_at = None if limits is None else limit_opens_at(request_window, limits, now)
    return None if opens_at is None else replace(report, until=opens_at)


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
        return WaitReason(parked_sentence(job), blocked=True, remedy=command_words(job))
    blocking = None if report is None else _blocking_reason(job, report, phase)
    if blocking is not None:
        return blocking
    if job.due_at is None:
        return WaitReason("The cause is unknown.")
    if job.due_at > now:
        failed = job.agains and job.state is State.QUEUED
        return WaitReason(_AFTER_FAILURE if failed else _NEXT[job.state], job.due_at)
    if report is not None and report.is_open and report.until is not None and report.until > now:
        return WaitReason("The request limit of the account is used up. Next request", report.until, blocked=True)
    late = now - job.due_at > _LONG_S
    return WaitReason(f"{_NOW[job.state]}{'; other jobs of the account come first' if late else ''}.")


def _blocking_reason(job: Job, report: LaneReport, phase: str | None) -> WaitReason | None:
    match report.condition:
        case LaneCondition.PAUSED:
            remedy = f"resolve it, then run `tidewaiter accounts resume {job.account}`"
            return WaitReason(f"The account is paused: {report.reason}", blocked=True, remedy=remedy)
        case LaneCondition.THROTTLED:
            why = f" ({report.reason})" if report.reason else ""
            return WaitReason(f"The provider limits requests{why}. Next request", report.until, blocked=True)
        case LaneCondition.BROKEN:
            return WaitReason(f"{PROVIDER_FAILS}: {report.reason}", blocked=True)
        case LaneCondition.UNKNOWN:
            sentence = "The account is not in the configuration, so no daemon serves the job."
            return WaitReason(
                sentence, blocked=True, remedy=f"put [accounts.{job.account}] back into the configuration"
            )
        case LaneCondition.FAULTY:
            remedy = "correct the file, then send SIGHUP to the daemon"
            return WaitReason(f"The account is not served: {report.reason}", blocked=True, remedy=remedy)
        case LaneCondition.UNSERVED:
            where = "No daemon serves the lane of this job." if phase is None else (
                f"This daemon is {phase}; the job waits until one serves."
            )  # fmt: skip
            return WaitReason(where, blocked=True)
        case LaneCondition.OPEN:
            return None

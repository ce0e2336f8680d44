"""Why a job stands where it stands, and until when: the one question that everybody asks of a job."""

from dataclasses import dataclass

from app.domain.job import TERMINAL, Job, State
from app.web.page.lanes import LaneView, Standing
from app.web.vitals import Phase

_NEXT = {
    State.QUEUED: "It is submitted",
    State.SUBMITTING: "What became of the submit is looked into",
    State.RECONCILING: "The provider is searched for its remote job again",
    State.POLLING: "The provider is asked again",
    State.FETCHING: "Its files are fetched again",
    State.CLEANING: "The remote job is deleted",
    State.CANCELLING: "The provider is told to stop",
}
_NOW = {
    State.QUEUED: "It is due to be submitted",
    State.SUBMITTING: "It is being submitted",
    State.RECONCILING: "The provider is being searched for its remote job",
    State.POLLING: "The provider is due to be asked",
    State.FETCHING: "Its files are being landed",
    State.CLEANING: "The remote job is being deleted",
    State.CANCELLING: "The provider is being told to stop",
}
_LONG_S = 5.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a job waits: one sentence; ``until`` in epoch seconds where it is known."""

    sentence: str
    until: float | None = None
    held: bool = False
    """Something beyond the job itself holds it up."""


def wait_of(job: Job, lane: LaneView | None, phase: Phase, now: float) -> Wait | None:
    """Why a job waits; ``None`` where it has ended.

    Args:
        job: as it stands.
        lane: that serves it, where it is known.
        phase: of this process.
        now: epoch seconds.
    """
    if job.state in TERMINAL:
        return None
    if job.state is State.PARKED:
        return Wait(
            "Nobody can tell what became of its submit, so a person decides: adopt, retry or cancel.", held=True
        )
    held = _held(lane, phase)
    if held is not None:
        return held
    if job.due_at is None:
        return Wait("It waits for nothing that this page knows of.")
    if job.due_at > now:
        return Wait(_NEXT[job.state], job.due_at)
    late = now - job.due_at > _LONG_S
    return Wait(f"{_NOW[job.state]}{'; others of its account come first' if late else ' now'}.")


def _held(lane: LaneView | None, phase: Phase) -> Wait | None:
    if lane is None:
        return None
    match lane.standing:
        case Standing.PAUSED:
            return Wait(f"Its account is paused: {lane.reason}", held=True)
        case Standing.THROTTLED:
            why = f" ({lane.reason})" if lane.reason else ""
            return Wait(f"The provider asked to be left alone{why}; its account is open again", lane.until, held=True)
        case Standing.BROKEN:
            return Wait(f"The provider fails, so it is asked rarely: {lane.reason}", held=True)
        case Standing.UNKNOWN:
            return Wait("Its account is not configured any more, so no daemon serves it.", held=True)
        case Standing.UNSERVED if phase is not Phase.SERVING:
            return Wait(f"This daemon is {phase.value}; the job waits until one serves.", held=True)
        case Standing.UNSERVED:
            return Wait("No daemon serves its lane at this moment.", held=True)
        case Standing.OPEN:
            return None

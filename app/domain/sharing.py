"""Shared remote jobs: who of several jobs that follow the same remote job may end it.

Each job asks when it is about to delete or cancel the remote job. As long as another job waits for the results, it
leaves the remote job alone. Of several that are about to end it at the same time, the one with the highest number
decides and the others wait for it, so that exactly one does it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from app.domain.job import LIVE, Job, State

_ENDING = frozenset({State.CLEANING, State.CANCELLING})


@dataclass(frozen=True, slots=True)
class Follower:
    """Another job with the same handle.

    ``shared`` says that it did not make the remote job. ``told`` names the outcomes in its history by which it has
    deleted or cancelled the remote job.
    """

    id: int
    state: State
    shared: bool
    deadline_at: float
    told: frozenset[str] = frozenset()


class Duty(Enum):
    """What a job does about a remote job that it no longer needs."""

    ACT = "act"
    """No other job needs it, and one of our jobs has made it: end it."""
    LEAVE = "leave"
    """Other jobs need it, or have ended it, or none of our jobs has made it."""
    WAIT = "wait"
    """Another job is about to decide."""


def duty_of(job: Job, others: Collection[Follower], now: float) -> Duty:
    """What ``job``, which is about to end its remote job, does about it.

    Args:
        job: in CLEANING or CANCELLING, or past its deadline.
        others: every other job that has the same handle, ended ones too.
        now: epoch seconds.
    """
    live = [other for other in others if other.state in LIVE]
    if any(not _lets_go(other, job, now) for other in live):
        return Duty.LEAVE
    if any(other.id > job.id and other.state in _ENDING for other in live):
        return Duty.WAIT
    done = {"Cleaned"} if job.state is State.CLEANING else {"Cleaned", "Cancelled"}
    if any(other.told & done for other in others):
        return Duty.LEAVE
    made = not job.shared or any(not other.shared for other in others)
    return Duty.ACT if made else Duty.LEAVE


def _lets_go(other: Follower, job: Job, now: float) -> bool:
    """Whether a live follower no longer needs the remote job; of two that expire, only one may wait for the other."""
    return other.state in _ENDING or (other.deadline_at <= now and other.id < job.id)

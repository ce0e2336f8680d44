"""Shared remote jobs: who of several jobs that follow the same remote job may end it.

Each job asks when it is about to delete or cancel the remote job. As long as another one waits for its results, it
goes away quietly. Of several that are about to end it at the same time, the one with the highest number decides and
the others wait for it, so that exactly one does it and none relies on one that has already looked away.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from app.domain.job import LIVE, Job, State

_ENDING = frozenset({State.CLEANING, State.CANCELLING})


@dataclass(frozen=True, slots=True)
class Follower:
    """Another job with the same handle.

    ``shared`` says that it did not make the remote job, ``told`` that it has deleted or cancelled it, by the name of
    the outcome that its history has.
    """

    id: int
    state: State
    shared: bool
    deadline_at: float
    told: frozenset[str] = frozenset()


class Duty(Enum):
    """What a job does about a remote job that it no longer needs."""

    ACT = "act"
    """It is the last one, and one of ours has made it: end it."""
    LEAVE = "leave"
    """Others need it, or have ended it, or nobody here has made it."""
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
    """Whether a live follower needs the remote job no more; of two that expire, one must not mind the other."""
    return other.state in _ENDING or (other.deadline_at <= now and other.id < job.id)

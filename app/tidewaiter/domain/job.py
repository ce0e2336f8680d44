"""The job: one durable request for an operation under an account, its states, its progress, and its remote job's end.

Several jobs may follow one remote job. Before a job deletes or cancels it, :func:`remote_job_end_decision` decides:
while another job waits for the results, the remote job is left alone. If several jobs are about to end it, the one with
the highest number decides and the others wait, so that exactly one ends it.
"""

import re
from collections.abc import Collection
from dataclasses import field
from enum import Enum, IntEnum, StrEnum
from operator import attrgetter
from typing import Any, Final

from tidewaiter.domain.http_values import JsonObject, Link, SealedLinks
from tidewaiter.domain.immutable import immutable
from tidewaiter.domain.job_context import NO_CONTEXT, JobContext
from tidewaiter.domain.secret_params import NO_SECRETS, SecretParams
from tidewaiter.domain.url import shown_handle

_PROGRESS_RATIO: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(?:/|of)\s*(\d+(?:\.\d+)?)")
_PROGRESS_PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%")


def fraction_of(progress: str | None) -> float | None:
    """The progress from 0 to 1; ``None`` if the provider's text is neither a ratio nor a percentage."""
    if progress is None:
        return None
    if ratio := _PROGRESS_RATIO.search(progress):
        done, total = float(ratio[1]), float(ratio[2])
        return min(1.0, done / total) if total else None
    percent = _PROGRESS_PERCENT.search(progress)
    return min(1.0, float(percent[1]) / 100) if percent else None


class State(StrEnum):
    """The progress of a job. The daemon that works on it is not part of the state: it depends on the lane."""

    QUEUED = "queued"
    """No submit has been sent; requests before it may have been."""
    SUBMITTING = "submitting"
    """The intent to submit, or to start the remote job, is durable; the request may or may not have been sent."""
    RECONCILING = "reconciling"
    """The outcome of such a request is unknown and is being found out."""
    STARTING = "starting"
    """The remote job's handle is durable; another request has to start it."""
    POLLING = "polling"
    """The remote job's handle is durable; the provider is asked when the job is due."""
    FETCHING = "fetching"
    """The remote job has finished, or has made some of its files; they are being landed."""
    CLEANING = "cleaning"
    """Every file is durable; the remote job is being deleted."""
    CANCELLING = "cancelling"
    """A cancel request was made; the provider is being asked to cancel the remote job."""
    PARKED = "parked"
    """Only a person can decide what happened to the submit."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


TERMINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED})
FAILURES = frozenset({State.FAILED, State.EXPIRED})
LIVE = frozenset(State) - TERMINAL - {State.PARKED}


REMOTE = frozenset({State.SUBMITTING, State.RECONCILING, State.STARTING, State.POLLING, State.CANCELLING})
"""The states in which a remote job is in progress, or may be."""

CANCELLED_AT_ONCE = frozenset({State.QUEUED, State.STARTING, State.POLLING, State.FETCHING})
"""The states in which the next step applies a cancel request. In SUBMITTING and RECONCILING the next step must first
find the remote job; in CLEANING and CANCELLING the job is about to end."""


class Track(IntEnum):
    """Which of a lane's two streams a job waits in, so that long downloads never starve polls."""

    ASK = 0
    FETCH = 1


def track_of(state: State) -> Track:
    """The stream in which jobs of this state are served."""
    return Track.FETCH if state is State.FETCHING else Track.ASK


@immutable(frozen=True, slots=True)
class Job:
    """One job as it stands in the database; every change is a new value with the next ``version``.

    Times are epoch seconds (UTC). Counters are separate because waiting is not an attempt: ``polls`` status requests,
    ``failures`` consecutive failures in this state, ``crashes`` steps that failed with a bug of ours or ended the
    daemon, ``submits`` intents recorded, ``resubmits`` submits made because a remote job was gone, ``fetches``
    downloads begun.
    ``due_at`` is when its next step is due; ``None`` for never.

    ``answer_key`` is the same for jobs that may share one result. ``callback_hash`` is the SHA-256 of the token in the
    callback URL that the last submit sent. ``hinted``: a wake-up came that no step has served yet.
    ``moved_at`` is when the provider last reported anything new about the remote job.

    ``unknowns`` counts submits in a row whose outcome was unknown. ``polls_at_submit`` is what ``polls`` was at the
    last submit, so that the backoff starts again. ``expiries`` counts downloads in a row whose links were refused as
    expired, and ``expired_at`` is when the first of them was.

    A failure is handled when a person acknowledges it or retries it: ``handled_at`` and ``handled_by`` say when and
    who. ``retried_as`` is the job that repeats this one. That job takes over the unique key, and ``former_key`` keeps
    it here. ``cause`` is what this failure has in common with others, see :mod:`tidewaiter.domain.failure_cause`.

    ``stage`` is the name of the request that is next, or under way, of those that make and start the remote job;
    ``None`` before the first. ``kept`` are the values that the spec keeps of replies, by name. ``agains`` counts the
    submits that were made because the remote job failed for a passing reason.

    ``poll_at`` is when the remote job is polled next, while files are fetched that it has made already.
    ``polled_at`` is when a poll last found it not ready.

    ``params`` has ``***`` in place of secret values, which are in ``secrets``.
    """

    id: int
    lane: int
    account: str
    operation: str
    params: JsonObject
    state: State
    version: int
    due_at: float | None
    created_at: float
    deadline_at: float
    unique_key: str | None = None
    retry_of: int | None = None
    cancel_requested: bool = False
    intent_key: str | None = None
    intent_at: float | None = None
    handle: str | None = None
    shared: bool = False
    remote_status: str | None = None
    progress: str | None = None
    reason: str | None = None
    links: tuple[Link, ...] | SealedLinks = ()
    polls: int = 0
    failures: int = 0
    crashes: int = 0
    submits: int = 0
    resubmits: int = 0
    fetches: int = 0
    submitted_at: float | None = None
    ready_at: float | None = None
    landed_at: float | None = None
    finished_at: float | None = None
    answer_key: str | None = None
    callback_hash: str | None = None
    hinted: bool = False
    moved_at: float | None = None
    unknowns: int = 0
    polls_at_submit: int = 0
    expiries: int = 0
    expired_at: float | None = None
    handled_at: float | None = None
    handled_by: str | None = None
    retried_as: int | None = None
    former_key: str | None = None
    context: JobContext = NO_CONTEXT
    cause: str | None = None
    stage: str | None = None
    kept: JsonObject = field(default_factory=dict)
    agains: int = 0
    poll_at: float | None = None
    polled_at: float | None = None
    secrets: SecretParams = NO_SECRETS

    @property
    def files_listed(self) -> int | None:
        """How many files the provider's list names so far; ``None`` if that is unknown, or the job has all of them.

        Of an archive only the members land, and encrypted links are not counted.
        """
        if isinstance(self.links, SealedLinks):
            return self.links.count
        return len(self.links) if self.links and all(link.archive is None for link in self.links) else None

    @property
    def fetches_early(self) -> bool:
        """Whether files are being fetched before the remote job has finished."""
        return self.state is State.FETCHING and self.poll_at is not None

    @property
    def has_remote_job(self) -> bool:
        """Whether a remote job is in progress, or may be."""
        return self.state in REMOTE or self.fetches_early

    @property
    def is_reused(self) -> bool:
        """Whether its remote job was found in the provider's list before any submit. It is not one of ours, perhaps."""
        return self.shared and not self.submits

    @property
    def shown_handle(self) -> str | None:
        """The handle as it is shown to people: whole, unless it may be a signed address."""
        return None if self.handle is None else shown_handle(self.handle)

    @property
    def shown_kept(self) -> dict[str, str]:
        """The kept values as they are shown to people: like the handle, because they may be signed addresses."""
        return {name: shown_handle(str(value)) for name, value in self.kept.items()}

    @property
    def starts(self) -> bool:
        """Whether the job's request starts a remote job that is known, so that its outcome does not name one."""
        return self.stage is not None and self.handle is not None and self.ready_at is None

    def but(self, **changes: Any) -> "Job":
        """The job with these members changed: ``dataclasses.replace`` in half the time, because every poll calls it."""
        values = list(_members_of(self))
        for name, value in changes.items():
            values[_PLACES[name]] = value
        return Job(*values)


_members_of = attrgetter(*Job.__slots__)
_PLACES = {name: place for place, name in enumerate(Job.__slots__)}


@immutable(frozen=True, slots=True)
class NewJob:
    """A job that is requested but not stored yet; ``params`` are checked against the provider's spec.

    ``wait_s`` is how long it waits before its first step. ``params`` has ``***`` in place of ``secrets``.
    """

    account: str
    operation: str
    params: JsonObject
    deadline_s: float
    unique_key: str | None = None
    retry_of: int | None = None
    answer_key: str | None = None
    wait_s: float = 0.0
    context: JobContext = NO_CONTEXT
    secrets: SecretParams = NO_SECRETS


@immutable(frozen=True, slots=True)
class HistoryEntry:
    """One row of a job's history: the state that was reached at ``version``, by which outcome, and why."""

    job_id: int
    version: int
    at: float
    state_from: State | None
    state: State
    outcome: str
    detail: str | None = None


_ENDING_STATES = frozenset({State.CLEANING, State.CANCELLING})


@immutable(frozen=True, slots=True)
class SameRemoteJob:
    """Another job with the same handle.

    ``shared`` says that it did not make the remote job. ``ended_by`` names the outcomes in its history that deleted or
    cancelled the remote job.
    """

    id: int
    state: State
    shared: bool
    deadline_at: float
    ended_by: frozenset[str] = frozenset()


class RemoteJobEndDecision(Enum):
    """What a job does with a remote job that it no longer needs."""

    ACT = "act"
    """No other job needs it, and one of our jobs has made it: end it."""
    LEAVE = "leave"
    """Other jobs need it, or have ended it, or none of our jobs has made it."""
    WAIT = "wait"
    """Another job is about to decide."""


def remote_job_end_decision(job: Job, others: Collection[SameRemoteJob], now: float) -> RemoteJobEndDecision:
    """What ``job`` does with its remote job, which it no longer needs.

    Args:
        job: in CLEANING or CANCELLING, or past its deadline.
        others: every other job with the same handle, also ended ones.
        now: epoch seconds.
    """
    live = [other for other in others if other.state in LIVE]
    if any(not _no_longer_needs(other, job, now) for other in live):
        return RemoteJobEndDecision.LEAVE
    if any(other.id > job.id and other.state in _ENDING_STATES for other in live):
        return RemoteJobEndDecision.WAIT
    done = {"Cleaned"} if job.state is State.CLEANING else {"Cleaned", "Cancelled"}
    if any(other.ended_by & done for other in others):
        return RemoteJobEndDecision.LEAVE
    made = not job.shared or any(not other.shared for other in others)
    return RemoteJobEndDecision.ACT if made else RemoteJobEndDecision.LEAVE


def _no_longer_needs(other: SameRemoteJob, job: Job, now: float) -> bool:
    """Whether a live job no longer needs the remote job; of two that expire, only one may wait for the other."""
    return other.state in _ENDING_STATES or (other.deadline_at <= now and other.id < job.id)

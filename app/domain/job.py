"""The job: one durable request for an operation under an account, and the states it passes through."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from operator import attrgetter
from typing import Any

from app.domain.address import shown_handle
from app.domain.jsonvalue import JsonObject
from app.domain.wire import Link, SealedLinks


class State(StrEnum):
    """How far a job is. Which daemon works on it is not a state: that depends on its lane."""

    QUEUED = "queued"
    """Nothing has been sent."""
    SUBMITTING = "submitting"
    """The intent to submit is durable; the POST may or may not have been sent."""
    RECONCILING = "reconciling"
    """A submit's outcome is unknown and is being found out."""
    POLLING = "polling"
    """The remote job's handle is durable; the provider is asked when the job is due."""
    FETCHING = "fetching"
    """The remote job has finished; its files are being landed."""
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
LIVE = frozenset(State) - TERMINAL - {State.PARKED}


REMOTE = frozenset({State.SUBMITTING, State.RECONCILING, State.POLLING, State.CANCELLING})
"""Where a remote job is under way, or may be."""

CANCELLED_AT_ONCE = frozenset({State.QUEUED, State.POLLING, State.FETCHING})
"""Where the next step applies a cancel request. In SUBMITTING and RECONCILING a remote job may exist that has to be
found first; in CLEANING and CANCELLING the job is about to end."""


class Track(IntEnum):
    """Which of a lane's two streams a job waits in, so that long downloads never starve polls."""

    ASK = 0
    FETCH = 1


def track_of(state: State) -> Track:
    """The stream in which jobs of this state are served."""
    return Track.FETCH if state is State.FETCHING else Track.ASK


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands in the database; every change is a new value with the next ``version``.

    Times are epoch seconds (UTC). Counters are apart because waiting is not an attempt: ``polls`` asks of the status,
    ``failures`` consecutive failures in this state, ``crashes`` steps that failed with a bug of ours, ``submits``
    intents recorded, ``resubmits`` submits made because a remote job was gone, ``fetches`` downloads begun.
    ``due_at`` is when its next step is due; ``None`` for never.

    ``answer_key`` is the same for jobs that may share one answer. ``callback_hash`` is the SHA-256 of the token in the
    callback URL that the last submit named, ``hinted`` says that a callback came which no step has looked into yet.
    ``moved_at`` is when the provider last reported anything new about the remote job.

    ``unknowns`` counts submits in a row whose outcome was unknown. ``polls_at_submit`` is what ``polls`` was at the
    last submit, so that backoff begins anew. ``expiries`` counts downloads in a row whose links were refused as
    expired, and ``expired_at`` is when the first of them was.
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

    @property
    def shown_handle(self) -> str | None:
        """The handle as it is shown to people: whole, unless it may be a signed address."""
        return None if self.handle is None else shown_handle(self.handle)

    def but(self, **changes: Any) -> "Job":
        """The job with these members changed: ``dataclasses.replace``, at half its price, which every poll pays."""
        values = list(_members_of(self))
        for name, value in changes.items():
            values[_PLACES[name]] = value
        return Job(*values)


_members_of = attrgetter(*Job.__slots__)
_PLACES = {name: place for place, name in enumerate(Job.__slots__)}


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that is asked for but not stored yet; ``params`` have been checked against the provider's spec.

    ``wait_s`` is how long it waits before its first step.
    """

    account: str
    operation: str
    params: JsonObject
    deadline_s: float
    unique_key: str | None = None
    retry_of: int | None = None
    answer_key: str | None = None
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a job's history: the state that was reached at ``version``, by which outcome, and why."""

    job_id: int
    version: int
    at: float
    state_from: State | None
    state: State
    outcome: str
    detail: str | None = None

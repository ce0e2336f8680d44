"""The state machine: one table that says what every outcome does to a job in every state.

A state tells how far a job is. A step visits the job, learns one outcome, and ``advance`` turns state and outcome into
an update: the job as it will stand, and the history row that goes with it. ``advance`` is pure: the time and the
chance come in as arguments, the numbers in a policy. A pair that is not in the table is a bug and raises.

Three rules keep the table small:

* Waiting is not an attempt. ``Pending`` clears the failures; ``Throttled``, ``Unauthorized``, ``StorageFull`` and
  ``Interrupted`` are the account's or the daemon's business and charge the job nothing.
* SUBMITTING has no ``Retry``: a submit was either provably not sent (``Unsent``, and everything by which a provider
  refuses to look at a request) or its outcome is ``Unknown``. And as long as a remote twin may exist unknown to us, in
  SUBMITTING and RECONCILING, a wish to cancel waits until it is known.
* Files that have landed are never lost to a fault of the tidying up: in CLEANING every end is SUCCEEDED, and in
  CANCELLING every end is CANCELLED; what went wrong is kept as the reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import TypeAlias

from app.domain import outcome as o
from app.domain import rules, submitting
from app.domain.address import shown_handle
from app.domain.job import LIVE, Entry, Job, State
from app.domain.manifest import Artifact
from app.domain.schedule import Policy
from app.domain.visit import Visit


class IllegalOutcomeError(Exception):
    """An outcome was reported that the job's state cannot have: a bug in a step."""


@dataclass(frozen=True, slots=True)
class Update:
    """What one outcome changes: the job as it will stand, valid only if the stored one still has ``expected``.

    ``artifacts`` are files that have landed and are recorded with it, whatever the outcome was. ``saw_hint`` says that
    the step knew of the callback that the job was hinted by; one that came later is not answered by this outcome.
    """

    job: Job
    expected: int
    state_from: State
    outcome: o.Outcome
    entry: Entry | None = None
    artifacts: tuple[Artifact, ...] = ()
    saw_hint: bool = False


_Rule: TypeAlias = Callable[[Visit], Job]


def advance(job: Job, outcome: o.Outcome, policy: Policy, now: float, rand: Random) -> Update:
    """What ``outcome`` does to ``job``.

    Args:
        job: the job as it was read.
        outcome: what the step learned.
        policy: the numbers and permissions of the job's operation.
        now: epoch seconds.
        rand: where jitter comes from.

    Raises:
        IllegalOutcomeError: the pair is not in the table.
    """
    rule = TABLE.get((job.state, type(outcome)))
    if rule is None:
        raise IllegalOutcomeError(f"{type(outcome).__name__} cannot happen to a job that is {job.state}")
    after = rule(Visit(job, outcome, policy, now, rand, job.version + 1))
    told = after.state is not job.state or (after.reason is not None and after.reason != job.reason)
    entry = None
    if told:
        name = type(outcome).__name__
        entry = Entry(
            job.id,
            after.version,
            now,
            job.state,
            after.state,
            name,
            after.reason or _detail(outcome),
        )
    artifacts = getattr(outcome, "artifacts", ())
    return Update(after, job.version, job.state, outcome, entry, artifacts, job.hinted)


def _detail(outcome: o.Outcome) -> str | None:
    """What the history says of an outcome that has no reason."""
    if isinstance(outcome, o.Stored) and outcome.shared_from is not None:
        return f"the answer of job {outcome.shared_from}"
    handle = getattr(outcome, "handle", None)
    return None if handle is None else f"handle {shown_handle(handle)}"


_ANY_LIVE: Mapping[type[o.Outcome], _Rule] = {
    o.Retry: rules.later,
    o.Throttled: rules.account_paused,
    o.Unauthorized: rules.account_paused,
    o.Interrupted: rules.unharmed,
    o.Refused: rules.fail,
    o.Crashed: rules.crashed,
    o.DeadlinePassed: rules.expire,
    o.CancelAsked: rules.cancel,
}

_BY_STATE: Mapping[State, Mapping[type[o.Outcome], _Rule | None]] = {
    State.QUEUED: {
        o.Intended: submitting.intend,
        o.Ready: rules.fetch_at_once,
        o.Stored: rules.stored,
        o.StorageFull: rules.later,
    },
    State.SUBMITTING: {
        o.Accepted: submitting.poll_from_now,
        o.Stored: rules.stored_by_submit,
        o.Ready: rules.fetch_at_once,
        o.Duplicate: submitting.share,
        o.Unsent: submitting.queue_again,
        o.Unknown: submitting.reconcile,
        o.Throttled: submitting.account_paused_unsubmitted,
        o.Unauthorized: submitting.account_paused_unsubmitted,
        o.Interrupted: submitting.unharmed_unsubmitted,
        o.Crashed: submitting.crashed_submitting,
        o.Retry: None,
        o.CancelAsked: None,
        o.DeadlinePassed: None,
    },
    State.RECONCILING: {
        o.Adopted: submitting.poll_from_now,
        o.Absent: submitting.submit_absent,
        o.Undecidable: submitting.decide,
        o.CancelAsked: None,
    },
    State.POLLING: {
        o.Pending: rules.wait,
        o.Ready: rules.fetch,
        o.Stored: rules.stored_by_poll,
        o.Gone: rules.gone,
        o.Unmapped: rules.unmapped,
        o.Retry: rules.poll_failed,
        o.StorageFull: rules.later,
    },
    State.FETCHING: {
        o.FetchStarted: rules.begin_fetch,
        o.Stored: rules.stored,
        o.LinksExpired: rules.ask_for_links,
        o.LinksLost: rules.links_lost,
        o.Retry: rules.fetch_failed,
        o.StorageFull: rules.refund_fetch,
        o.NotYet: rules.fetch_later,
        o.Interrupted: rules.refund_fetch,
        o.Throttled: lambda visit: rules.account_paused(replace(visit, job=rules.refund_fetch(visit))),
        o.Unauthorized: lambda visit: rules.account_paused(replace(visit, job=rules.refund_fetch(visit))),
    },
    State.CLEANING: {
        o.Cleaned: rules.succeed,
        o.LeftAlone: rules.succeed,
        o.Retry: rules.clean_failed,
        o.Refused: rules.succeed_untidily,
        o.Crashed: rules.clean_failed,
        o.DeadlinePassed: rules.succeed_untidily,
        o.CancelAsked: rules.succeed,
    },
    State.CANCELLING: {
        o.Cancelled: rules.cancelled,
        o.LeftAlone: rules.cancelled,
        o.Retry: rules.cancel_failed,
        o.Refused: rules.cancelled_untidily,
        o.Crashed: rules.cancel_failed,
        o.DeadlinePassed: rules.cancelled_untidily,
        o.CancelAsked: None,
    },
    State.PARKED: {
        o.RetryDecided: submitting.submit_by_decision,
        o.AdoptDecided: submitting.adopt_by_decision,
        o.CancelAsked: rules.cancelled,
    },
}


def _whole_table() -> dict[tuple[State, type[o.Outcome]], _Rule]:
    """Every legal pair: a state's own rules over those of any live state; ``None`` strikes one out."""
    table: dict[tuple[State, type[o.Outcome]], _Rule] = {}
    for state, own in _BY_STATE.items():
        for kind, rule in ({**_ANY_LIVE, **own} if state in LIVE else own).items():
            if rule is not None:
                table[state, kind] = rule
    return table


TABLE: Mapping[tuple[State, type[o.Outcome]], _Rule] = _whole_table()

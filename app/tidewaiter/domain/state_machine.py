"""The state machine: one table that says what every outcome does to a job in every state.

A step works on the job and learns one outcome. ``advance`` turns state and outcome into an update: the changed job and
its history row. ``advance`` is pure: time and randomness come in as arguments,
the numbers in a policy. A pair that is not in the table is a bug and raises, and so does a rule that leads to a state
that the table does not name. ``docs/states.md`` is generated from the table.

Three principles keep the table small:

* Waiting is not an attempt. ``Pending`` clears the failures; ``Throttled``, ``Unauthorized``, ``StorageFull`` and
  ``Interrupted`` concern the account or the daemon and charge the job nothing.
* SUBMITTING is for every request that must not be sent twice: the submit, and those that start its remote job. It has
  no ``Retry``: such a request was either provably not sent (``Unsent``, and every reply by which a provider
  refuses to look at a request) or its outcome is ``Unknown``. As long as an unknown remote job may exist, in
  SUBMITTING and RECONCILING, a cancel request waits.
* Files that have landed are never lost to a failure of the deletion after it: in CLEANING every end is SUCCEEDED, and
  in CANCELLING every end is CANCELLED; the failure is kept as the reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from random import Random
from typing import Final, TypeVar, cast

from tidewaiter.domain import common_transitions as common
from tidewaiter.domain import download_transitions as download
from tidewaiter.domain import early_transitions as early
from tidewaiter.domain import outcome as o
from tidewaiter.domain import poll_transitions as poll
from tidewaiter.domain import stage_transitions as stage
from tidewaiter.domain import submit_transitions as submit
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.common_transitions import RuleContext
from tidewaiter.domain.duration_sketch import ObservedDuration
from tidewaiter.domain.formatting import rfc3339
from tidewaiter.domain.immutable import immutable
from tidewaiter.domain.job import LIVE, HistoryEntry, Job, State
from tidewaiter.domain.learned_schedule import LearnedSchedule
from tidewaiter.domain.manifest import Artifact
from tidewaiter.domain.url import shown_handle

O = TypeVar("O", bound=o.Outcome)  # noqa: E741  # an outcome

SAME: Final = None
"""The target of a rule that leaves the job in its state."""


class IllegalOutcomeError(Exception):
    """A step reported an outcome that the job's state cannot have, or a rule led to an unexpected state: a bug."""


@immutable(frozen=True, slots=True)
class JobUpdate:
    """What one outcome changes: the new job, valid only if the stored job still has the version ``expected``.

    ``artifacts`` are landed files that are recorded with it. ``saw_wake_up``: the step knew about the wake-up that made
    the job due; a later wake-up stays stored. ``before`` is the job as it is stored while the update is not.
    ``duration`` is how long the remote job took, if the update shows it and such durations are kept.
    """

    job: Job
    expected: int
    state_from: State
    outcome: o.Outcome
    entry: HistoryEntry | None = None
    artifacts: tuple[Artifact, ...] = ()
    saw_wake_up: bool = False
    before: Job | None = field(default=None, compare=False, repr=False)
    duration: ObservedDuration | None = None


@immutable(frozen=True, slots=True)
class Transition:
    """What one outcome does in one state, and the states that it may lead to."""

    rule: Callable[[RuleContext, o.Outcome], Job]
    targets: tuple[State, ...]


def advance(
    job: Job,
    outcome: o.Outcome,
    policy: OperationPolicy,
    now: float,
    rand: Random,
    *,
    learned: LearnedSchedule | None = None,
) -> JobUpdate:
    """What ``outcome`` does to ``job``.

    Args:
        job: the job as it was read.
        outcome: what the step learned.
        policy: the numbers and permissions of the job's operation.
        now: epoch seconds.
        rand: the source of jitter.
        learned: what earlier jobs say about the polls; ``None``: they follow the configured schedule.

    Raises:
        IllegalOutcomeError: the pair is not in the table, or its rule leads to a state that the table does not name.
    """
    transition = TABLE.get((job.state, type(outcome)))
    if transition is None:
        raise IllegalOutcomeError(f"{type(outcome).__name__} cannot happen to a job that is {job.state}")
    kept = outcome.kept if isinstance(outcome, _KEEPS) else None
    before = job.but(kept={**job.kept, **kept}) if kept else job
    after = transition.rule(RuleContext(before, policy, now, rand, job.version + 1, learned), outcome)
    if after.state not in transition.targets:
        raise IllegalOutcomeError(f"{type(outcome).__name__} led from {job.state} to {after.state}, against the table")
    artifacts = outcome.artifacts if isinstance(outcome, o.Stored) else ()
    entry = _entry(job, after, outcome, now)
    duration = None if learned is None else _duration(job, outcome, now, learned.kind)
    return JobUpdate(after, job.version, job.state, outcome, entry, artifacts, job.hinted, job, duration)


def _duration(job: Job, outcome: o.Outcome, now: float, kind: str) -> ObservedDuration | None:
    """How long the remote job took, if a poll found it ready just now: it was not ready at the poll before."""
    if job.state is not State.POLLING or job.submitted_at is None or not common.is_timed(job):
        return None
    if not isinstance(outcome, o.Ready | o.Stored) or (isinstance(outcome, o.Stored) and outcome.shared_from):
        return None
    return ObservedDuration(kind, max(0.0, (job.polled_at or 0.0) - job.submitted_at), now - job.submitted_at)


def _entry(job: Job, after: Job, outcome: o.Outcome, now: float) -> HistoryEntry | None:
    """The history row: one for every change of state, and one for every new reason."""
    same_reason = after.reason is None or after.reason == job.reason
    if after.state is job.state and same_reason and not isinstance(outcome, o.StepDone):
        return None
    detail = after.reason or _detail(after, outcome)
    return HistoryEntry(job.id, after.version, now, job.state, after.state, type(outcome).__name__, detail)


_KEEPS = (o.Accepted, o.Duplicate, o.StepDone, o.Reused, o.Adopted, o.Pending, o.Ready, o.Stored, o.AdoptDecided)
_NAMES_REMOTE_JOB = (o.Accepted, o.Duplicate, o.Adopted, o.AdoptDecided, o.Pending, o.Ready, o.Stored)


def _detail(after: Job, outcome: o.Outcome) -> str | None:
    """The history's detail for an outcome without a reason."""
    if isinstance(outcome, o.StepDone):
        return f"{outcome.stage} is done"
    if isinstance(outcome, o.Intended) and after.stage is not None:
        return after.stage
    if isinstance(outcome, o.Stored) and outcome.shared_from is not None:
        return f"the result of job {outcome.shared_from}"
    if isinstance(outcome, o.Reused):
        return f"handle {shown_handle(outcome.handle)}, made at {rfc3339(outcome.made_at)}"
    handle = outcome.handle if isinstance(outcome, _NAMES_REMOTE_JOB) else None
    if isinstance(outcome, o.AdoptDecided):
        handle = after.handle
    return None if handle is None else f"handle {shown_handle(handle)}"


# --- the table --------------------------------------------------------------------------------------------------------


@immutable(frozen=True, slots=True)
class TableRow:
    """A rule for one kind of outcome; without a rule the outcome is illegal in the state."""

    kind: type[o.Outcome]
    rule: Callable[[RuleContext, o.Outcome], Job] | None
    targets: tuple[State | None, ...] = ()


def _on(kind: type[O], rule: Callable[[RuleContext, O], Job], *targets: State | None) -> TableRow:
    """The row of a rule that takes its own kind of outcome, which the type checker proves here."""

    def applied(context: RuleContext, outcome: o.Outcome) -> Job:
        if not isinstance(outcome, kind):
            raise IllegalOutcomeError(f"the rule for {kind.__name__} got {type(outcome).__name__}")
        return rule(context, outcome)

    return TableRow(cast("type[o.Outcome]", kind), applied, targets)


def _never(kind: type[o.Outcome]) -> TableRow:
    """The row of an outcome that is legal in other live states, but not in this one."""
    return TableRow(kind, None)


ANY_LIVE: tuple[TableRow, ...] = (
    _on(o.Retry, common.retry, SAME),
    _on(o.Throttled, common.account_closed, SAME),
    _on(o.Unauthorized, common.account_closed, SAME),
    _on(o.Interrupted, common.interrupted, SAME),
    _on(o.Refused, common.refused, State.FAILED),
    _on(o.StepStarted, common.step_started, SAME),
    _on(o.Crashed, common.crashed, SAME, State.FAILED),
    _on(o.DeadlinePassed, common.expire, State.EXPIRED),
    _on(o.CancelAsked, common.cancel, State.CANCELLING, State.CANCELLED),
)

BY_STATE: Mapping[State, tuple[TableRow, ...]] = {
    State.QUEUED: (
        _on(o.StepDone, stage.done_before, SAME),
        _on(o.NotYet, stage.not_yet_before, SAME),
        _on(o.Intended, submit.intend, State.SUBMITTING),
        _on(o.Reused, submit.reused, State.POLLING),
        _on(o.Ready, poll.ready, State.FETCHING),
        _on(o.Stored, download.stored, State.CLEANING, State.SUCCEEDED),
        _on(o.StorageFull, common.storage_full, SAME),
    ),
    State.SUBMITTING: (
        _on(o.Accepted, submit.accepted, State.POLLING, State.STARTING),
        _on(o.StepDone, stage.started, State.POLLING, State.STARTING),
        _on(o.Stored, download.stored_by_submit, State.CLEANING, State.SUCCEEDED),
        _on(o.Ready, poll.ready, State.FETCHING),
        _on(o.Duplicate, submit.duplicate, State.POLLING, State.STARTING, State.RECONCILING),
        _on(o.FailedForNow, common.failed_for_now, State.QUEUED, State.FAILED),
        _on(o.Unsent, submit.unsent, State.QUEUED, State.STARTING),
        _on(o.Unknown, submit.unknown, State.RECONCILING),
        _on(o.Gone, stage.gone_at_start, State.STARTING, State.QUEUED, State.FAILED),
        _on(o.Throttled, submit.submit_not_read, State.QUEUED, State.STARTING),
        _on(o.Unauthorized, submit.submit_not_read, State.QUEUED, State.STARTING),
        _on(o.Interrupted, submit.submit_interrupted, State.QUEUED, State.STARTING),
        _on(o.Crashed, submit.submit_crashed, State.QUEUED, State.STARTING, State.RECONCILING, State.FAILED),
        _never(o.StepStarted),
        _never(o.Retry),
        _never(o.CancelAsked),
        _never(o.DeadlinePassed),
    ),
    State.RECONCILING: (
        _on(o.Adopted, submit.adopted, State.POLLING, State.STARTING),
        _on(o.Absent, submit.absent, State.QUEUED, State.STARTING, State.PARKED),
        _on(
            o.Undecidable,
            submit.undecidable,
            State.QUEUED,
            State.STARTING,
            State.PARKED,
            State.CANCELLING,
            State.CANCELLED,
        ),
        _never(o.CancelAsked),
    ),
    State.STARTING: (_on(o.Intended, stage.intend_start, State.SUBMITTING),),
    State.POLLING: (
        _on(o.Pending, poll.pending, SAME, State.FETCHING),
        _on(o.Ready, poll.poll_ready, State.FETCHING),
        _on(o.Stored, download.stored_by_poll, State.CLEANING, State.SUCCEEDED),
        _on(o.Gone, poll.gone, SAME, State.QUEUED, State.FAILED),
        _on(o.FailedForNow, common.failed_for_now, State.QUEUED, State.FAILED),
        _on(o.Refused, poll.refused, State.QUEUED, State.FAILED),
        _on(o.Unmapped, poll.unmapped, SAME, State.QUEUED),
        _on(o.Retry, poll.poll_failed, SAME, State.QUEUED),
        _on(o.StorageFull, common.storage_full, SAME),
    ),
    State.FETCHING: (
        _on(o.FetchStarted, download.fetch_started, SAME, State.QUEUED, State.FAILED),
        _never(o.StepStarted),
        _on(o.FilesLanded, download.files_landed, SAME),
        _on(o.Stored, download.stored, State.CLEANING, State.SUCCEEDED),
        _on(o.PartLanded, early.part_landed, State.POLLING),
        _on(o.LinksExpired, download.links_expired, State.POLLING, State.QUEUED, State.FAILED),
        _on(o.FailedForNow, common.failed_for_now, State.QUEUED, State.FAILED),
        _on(o.LinksLost, download.links_lost, State.POLLING, State.PARKED, State.FAILED),
        _on(o.Refused, download.refused, State.QUEUED, State.FAILED),
        _on(o.Retry, download.fetch_failed, SAME, State.POLLING, State.QUEUED, State.FAILED),
        _on(o.StorageFull, download.fetch_blocked, SAME),
        _on(o.NotYet, download.fetch_not_yet, SAME, State.POLLING),
        _on(o.Interrupted, download.fetch_interrupted, SAME),
        _on(o.Throttled, download.fetch_closed, SAME),
        _on(o.Unauthorized, download.fetch_closed, SAME),
    ),
    State.CLEANING: (
        _on(o.Cleaned, download.succeeded, State.SUCCEEDED),
        _on(o.LeftAlone, download.succeeded, State.SUCCEEDED),
        _on(o.Retry, download.clean_failed, SAME, State.SUCCEEDED),
        _on(o.Refused, download.succeeded_without_cleanup, State.SUCCEEDED),
        _on(o.Crashed, download.clean_failed, SAME, State.SUCCEEDED),
        _on(o.DeadlinePassed, download.succeeded_without_cleanup, State.SUCCEEDED),
        _on(o.CancelAsked, download.succeeded, State.SUCCEEDED),
    ),
    State.CANCELLING: (
        _on(o.Cancelled, common.cancelled, State.CANCELLED),
        _on(o.LeftAlone, common.cancelled, State.CANCELLED),
        _on(o.Retry, common.cancel_failed, SAME, State.CANCELLED),
        _on(o.Refused, common.cancelled_without_reply, State.CANCELLED),
        _on(o.Crashed, common.cancel_failed, SAME, State.CANCELLED),
        _on(o.DeadlinePassed, common.cancelled_without_reply, State.CANCELLED),
        _never(o.CancelAsked),
    ),
    State.PARKED: (
        _on(o.RetryDecided, submit.retry_decided, State.QUEUED, State.STARTING),
        _on(o.AdoptDecided, submit.adopt_decided, State.POLLING, State.STARTING),
        _on(o.CancelAsked, submit.cancel_decided, State.CANCELLING, State.CANCELLED),
    ),
}


def _whole_table() -> dict[tuple[State, type[o.Outcome]], Transition]:
    """Every legal pair: a state's own rows replace the rows that hold in every live state."""
    table: dict[tuple[State, type[o.Outcome]], Transition] = {}
    for state, own in BY_STATE.items():
        rows = {row.kind: row for row in (*(ANY_LIVE if state in LIVE else ()), *own)}
        for kind, row in rows.items():
            if row.rule is not None:
                targets = tuple(state if target is SAME else target for target in row.targets)
                table[state, kind] = Transition(row.rule, targets)
    return table


TABLE: Mapping[tuple[State, type[o.Outcome]], Transition] = _whole_table()

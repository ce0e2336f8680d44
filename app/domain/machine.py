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
from typing import Any, TypeAlias

from app.domain import outcome as o
from app.domain.job import LIVE, Entry, Job, State
from app.domain.manifest import Artifact
from app.domain.schedule import Policy

_THROTTLED_AGAIN_S = 1.0
_LONGEST_REASON = 500


class IllegalOutcomeError(Exception):
    """An outcome was reported that the job's state cannot have: a bug in a step."""


@dataclass(frozen=True, slots=True)
class Update:
    """What one outcome changes: the job as it will stand, valid only if the stored one still has ``expected``.

    ``artifacts`` are files that have landed and are recorded with it, whatever the outcome was.
    """

    job: Job
    expected: int
    state_from: State
    outcome: o.Outcome
    entry: Entry | None = None
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True)
class _Visit:
    """Everything that a rule of the table may look at."""

    job: Job
    outcome: Any
    policy: Policy
    now: float
    rand: Random

    def retry_in(self, failures: int) -> float:
        """Seconds until the same step may be tried again."""
        asked = getattr(self.outcome, "retry_after_s", None)
        backoff = self.policy.retry.delay(failures, self.rand)
        return backoff if asked is None else max(self.policy.clamp(asked), min(backoff, self.policy.retry.base_s))


_Rule: TypeAlias = Callable[[_Visit], Job]


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
    after = rule(_Visit(job, outcome, policy, now, rand))
    after = replace(after, version=job.version + 1)
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
    return Update(after, job.version, job.state, outcome, entry, getattr(outcome, "artifacts", ()))


def _detail(outcome: o.Outcome) -> str | None:
    """What the history says of an outcome that has no reason."""
    handle = getattr(outcome, "handle", None)
    return None if handle is None else f"handle {handle}"


def _because(visit: _Visit) -> str:
    reason = str(getattr(visit.outcome, "reason", "") or getattr(visit.outcome, "excerpt", ""))
    return reason[:_LONGEST_REASON]


def _finish(visit: _Visit, state: State, reason: str | None) -> Job:
    return replace(
        visit.job,
        state=state,
        due_at=None,
        reason=reason,
        finished_at=visit.now,
        links=(),
        cancel_requested=False,
    )


# --- submitting -------------------------------------------------------------------------------------------------------


def _intend(visit: _Visit) -> Job:
    return replace(
        visit.job,
        state=State.SUBMITTING,
        due_at=visit.now,
        intent_key=visit.outcome.key,
        intent_at=visit.now,
        submits=visit.job.submits + 1,
        failures=0,
        reason=None,
    )


def _poll_from_now(visit: _Visit) -> Job:
    asked = getattr(visit.outcome, "retry_after_s", None)
    first = visit.policy.first_delay_s * (1.0 - visit.policy.poll.jitter * visit.rand.random())
    return replace(
        visit.job,
        state=State.POLLING,
        due_at=visit.now + (first if asked is None else visit.policy.clamp(asked)),
        handle=visit.outcome.handle,
        shared=isinstance(visit.outcome, o.Duplicate),
        submitted_at=visit.now,
        failures=0,
        reason=None,
    )


def _queue_again(visit: _Visit) -> Job:
    failures = visit.job.failures + 1
    delay = visit.retry_in(failures - 1)
    return replace(
        visit.job,
        state=State.QUEUED,
        due_at=visit.now + delay,
        failures=failures,
        reason=_because(visit) or None,
    )


def _reconcile(visit: _Visit) -> Job:
    return replace(
        visit.job,
        state=State.RECONCILING,
        due_at=visit.now,
        failures=0,
        reason=_because(visit),
    )


def _decide(visit: _Visit) -> Job:
    if visit.policy.repeatable:
        return replace(
            _queue_again(visit),
            reason=f"submitting again, which is harmless here: {_because(visit)}",
        )
    return replace(visit.job, state=State.PARKED, due_at=None, reason=_because(visit))


# --- polling ----------------------------------------------------------------------------------------------------------


def _wait(visit: _Visit) -> Job:
    seen: o.Pending = visit.outcome
    job, policy = visit.job, visit.policy
    delay = policy.poll.delay(job.polls, visit.rand) if seen.retry_after_s is None else policy.clamp(seen.retry_after_s)
    return replace(
        job,
        due_at=visit.now + delay,
        polls=job.polls + 1,
        failures=0,
        crashes=0,
        reason=None,
        remote_status=seen.status if seen.status is not None else job.remote_status,
        progress=seen.progress if seen.progress is not None else job.progress,
        handle=seen.handle or job.handle,
    )


def _fetch(visit: _Visit) -> Job:
    return replace(
        visit.job,
        state=State.FETCHING,
        due_at=visit.now,
        polls=visit.job.polls + 1,
        failures=0,
        crashes=0,
        reason=None,
        remote_status=visit.outcome.status or visit.job.remote_status,
        links=visit.outcome.links,
        ready_at=visit.now,
    )


def _stored_by_poll(visit: _Visit) -> Job:
    polled = replace(visit.job, polls=visit.job.polls + 1, ready_at=visit.now)
    return _stored(replace(visit, job=polled))


def _gone(visit: _Visit) -> Job:
    job, policy = visit.job, visit.policy
    asked = replace(job, polls=job.polls + 1)
    lagging = job.submitted_at is not None and visit.now - job.submitted_at < policy.gone_grace_s
    if job.ready_at is None and lagging:
        delay = policy.poll.delay(0, visit.rand)
        return replace(asked, due_at=visit.now + delay, reason=f"not there yet: {_because(visit)}")
    if job.resubmits >= policy.most_resubmits:
        return _finish(visit, State.FAILED, f"the remote job is gone: {_because(visit)}")
    return replace(
        asked,
        state=State.QUEUED,
        due_at=visit.now,
        handle=None,
        shared=False,
        resubmits=job.resubmits + 1,
        reason=f"submitting afresh, the remote job is gone: {_because(visit)}",
        links=(),
        ready_at=None,
    )


def _unmapped(visit: _Visit) -> Job:
    job = visit.job
    delay = visit.policy.poll.delay(job.polls, visit.rand)
    return replace(
        job,
        due_at=visit.now + delay,
        polls=job.polls + 1,
        failures=0,
        reason=f"no rule of the spec speaks of this reply: {_because(visit)}",
    )


def _poll_failed(visit: _Visit) -> Job:
    job = replace(visit.job, polls=visit.job.polls + 1)
    return _later(replace(visit, job=job))


# --- fetching and cleaning --------------------------------------------------------------------------------------------


def _begin_fetch(visit: _Visit) -> Job:
    return replace(visit.job, fetches=visit.job.fetches + 1, due_at=visit.now)


def _stored(visit: _Visit) -> Job:
    landed = replace(visit.job, landed_at=visit.now, failures=0, crashes=0, links=(), reason=None)
    if visit.policy.cleans and landed.handle is not None:
        return replace(landed, state=State.CLEANING, due_at=visit.now)
    return _finish(replace(visit, job=landed), State.SUCCEEDED, None)


def _fetch_failed(visit: _Visit) -> Job:
    if visit.job.fetches >= visit.policy.most_fetches:
        return _finish(
            visit,
            State.FAILED,
            f"{visit.job.fetches} downloads failed: {_because(visit)}",
        )
    return _later(visit)


def _ask_for_links(visit: _Visit) -> Job:
    if visit.job.fetches >= visit.policy.most_fetches:
        return _finish(
            visit,
            State.FAILED,
            f"{visit.job.fetches} downloads failed: {_because(visit)}",
        )
    return replace(
        visit.job,
        state=State.POLLING,
        due_at=visit.now,
        links=(),
        reason=_because(visit),
    )


def _refund_fetch(visit: _Visit) -> Job:
    delay = visit.retry_in(visit.job.failures) if isinstance(visit.outcome, o.StorageFull) else 0.0
    reason = _because(visit) or visit.job.reason
    return replace(
        visit.job,
        fetches=max(0, visit.job.fetches - 1),
        due_at=visit.now + delay,
        reason=reason,
    )


def _succeed(visit: _Visit) -> Job:
    return _finish(visit, State.SUCCEEDED, None)


def _succeed_untidily(visit: _Visit) -> Job:
    return _finish(visit, State.SUCCEEDED, f"the remote job was not deleted: {_because(visit)}")


def _clean_failed(visit: _Visit) -> Job:
    return _succeed_untidily(visit) if visit.job.failures + 1 >= visit.policy.most_cleanups else _later(visit)


# --- cancelling and every live state ----------------------------------------------------------------------------------


def _cancel(visit: _Visit) -> Job:
    if visit.job.handle is None or not visit.policy.cancels:
        return _cancelled(visit)
    return replace(visit.job, state=State.CANCELLING, due_at=visit.now, failures=0, links=())


def _cancelled(visit: _Visit) -> Job:
    return _finish(visit, State.CANCELLED, visit.job.reason)


def _cancelled_untidily(visit: _Visit) -> Job:
    return _finish(visit, State.CANCELLED, f"the remote was not told: {_because(visit)}")


def _cancel_failed(visit: _Visit) -> Job:
    return _cancelled_untidily(visit) if visit.job.failures + 1 >= visit.policy.most_cleanups else _later(visit)


def _later(visit: _Visit) -> Job:
    failures = visit.job.failures + 1
    return replace(
        visit.job,
        due_at=visit.now + visit.retry_in(failures - 1),
        failures=failures,
        reason=_because(visit),
    )


def _account_paused(visit: _Visit) -> Job:
    """The lane is closed meanwhile; the job is due again as soon as the lane opens."""
    return replace(
        visit.job,
        due_at=visit.now + _THROTTLED_AGAIN_S * visit.rand.random(),
        reason=_because(visit),
    )


def _account_paused_unsubmitted(visit: _Visit) -> Job:
    return replace(_account_paused(visit), state=State.QUEUED)


def _unharmed(visit: _Visit) -> Job:
    return replace(visit.job, due_at=visit.now)


def _unharmed_unsubmitted(visit: _Visit) -> Job:
    return replace(visit.job, state=State.QUEUED, due_at=visit.now)


def _fail(visit: _Visit) -> Job:
    return _finish(visit, State.FAILED, _because(visit))


def _crashed(visit: _Visit) -> Job:
    crashes = visit.job.crashes + 1
    if crashes >= visit.policy.most_crashes:
        return _finish(visit, State.FAILED, f"{crashes} steps crashed: {_because(visit)}")
    return replace(_later(visit), crashes=crashes)


def _crashed_submitting(visit: _Visit) -> Job:
    crashes = visit.job.crashes + 1
    if crashes >= visit.policy.most_crashes:
        return _finish(
            visit,
            State.FAILED,
            f"{crashes} steps crashed, a remote job may exist: {_because(visit)}",
        )
    return replace(_reconcile(visit), crashes=crashes)


def _expire(visit: _Visit) -> Job:
    return _finish(visit, State.EXPIRED, _because(visit))


# --- a person ---------------------------------------------------------------------------------------------------------


def _submit_by_decision(visit: _Visit) -> Job:
    return replace(
        visit.job,
        state=State.QUEUED,
        due_at=visit.now,
        deadline_at=visit.now + visit.policy.deadline_s,
        failures=0,
        reason="a person decided to submit again",
    )


def _adopt_by_decision(visit: _Visit) -> Job:
    adopted = _poll_from_now(visit)
    return replace(adopted, due_at=visit.now, deadline_at=visit.now + visit.policy.deadline_s)


_ANY_LIVE: Mapping[type[o.Outcome], _Rule] = {
    o.Retry: _later,
    o.Throttled: _account_paused,
    o.Unauthorized: _account_paused,
    o.Interrupted: _unharmed,
    o.Refused: _fail,
    o.Crashed: _crashed,
    o.DeadlinePassed: _expire,
    o.CancelAsked: _cancel,
}

_BY_STATE: Mapping[State, Mapping[type[o.Outcome], _Rule | None]] = {
    State.QUEUED: {
        o.Intended: _intend,
    },
    State.SUBMITTING: {
        o.Accepted: _poll_from_now,
        o.Stored: _stored_by_poll,
        o.Duplicate: _poll_from_now,
        o.Unsent: _queue_again,
        o.Unknown: _reconcile,
        o.Throttled: _account_paused_unsubmitted,
        o.Unauthorized: _account_paused_unsubmitted,
        o.Interrupted: _unharmed_unsubmitted,
        o.Crashed: _crashed_submitting,
        o.Retry: None,
        o.CancelAsked: None,
        o.DeadlinePassed: None,
    },
    State.RECONCILING: {
        o.Adopted: _poll_from_now,
        o.Absent: _queue_again,
        o.Undecidable: _decide,
        o.CancelAsked: None,
    },
    State.POLLING: {
        o.Pending: _wait,
        o.Ready: _fetch,
        o.Stored: _stored_by_poll,
        o.Gone: _gone,
        o.Unmapped: _unmapped,
        o.Retry: _poll_failed,
        o.StorageFull: _later,
    },
    State.FETCHING: {
        o.FetchStarted: _begin_fetch,
        o.Stored: _stored,
        o.LinksExpired: _ask_for_links,
        o.Retry: _fetch_failed,
        o.StorageFull: _refund_fetch,
        o.Interrupted: _refund_fetch,
        o.Throttled: lambda visit: _account_paused(replace(visit, job=_refund_fetch(visit))),
        o.Unauthorized: lambda visit: _account_paused(replace(visit, job=_refund_fetch(visit))),
    },
    State.CLEANING: {
        o.Cleaned: _succeed,
        o.Retry: _clean_failed,
        o.Refused: _succeed_untidily,
        o.Crashed: _clean_failed,
        o.DeadlinePassed: _succeed_untidily,
        o.CancelAsked: _succeed,
    },
    State.CANCELLING: {
        o.Cancelled: _cancelled,
        o.Retry: _cancel_failed,
        o.Refused: _cancelled_untidily,
        o.Crashed: _cancel_failed,
        o.DeadlinePassed: _cancelled_untidily,
        o.CancelAsked: None,
    },
    State.PARKED: {
        o.RetryDecided: _submit_by_decision,
        o.AdoptDecided: _adopt_by_decision,
        o.CancelAsked: _cancelled,
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

"""The rules for a job before, during and after its submit, and for the decisions of a person about it.

The same rules hold for a request that starts a remote job after the submit: the job waits in the state of its stage.

A submit with an unknown outcome is sent again only if the operation is repeatable, after a growing delay, and a limited
number of times in a row.
"""

from dataclasses import replace

from tidewaiter.domain import outcome as o
from tidewaiter.domain.common_transitions import RuleContext, account_closed, cancel, crashed, cut, finish
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.stage_transitions import go_on
from tidewaiter.domain.stages import ONLY_SUBMIT, SUBMIT


def intend(context: RuleContext, outcome: o.Intended) -> Job:
    """Store the intent to submit, with its key, before anything is sent.

    The failures are kept: a submit that cannot be sent is tried again after a growing delay. The status of an earlier
    remote job is cleared.
    """
    has_others = len(context.policy.stages.names) > 1
    return context.becomes(
        state=State.SUBMITTING,
        stage=SUBMIT if has_others else None,
        due_at=context.now,
        intent_key=outcome.key,
        intent_at=context.now,
        submits=context.job.submits + 1,
        shared=False,
        reason=None,
        callback_hash=outcome.callback_hash,
        polls_at_submit=context.job.polls,
        hinted=False,
        remote_status=None,
        progress=None,
    )


def accepted(context: RuleContext, outcome: o.Accepted) -> Job:
    """The submit made a remote job. It is started, or polled after the spec's delay, or later on request."""
    return _follow(context, outcome.handle, outcome.retry_after_s, shared=False, exact=outcome.exact)


def adopted(context: RuleContext, outcome: o.Adopted | o.AdoptDecided) -> Job:
    """The remote job of a submit with an unknown outcome was found; one that is to be started is known already."""
    known = context.job.handle if context.policy.stages.starts(context.job) else None
    return _follow(context, known or outcome.handle, shared=context.job.shared)


def duplicate(context: RuleContext, outcome: o.Duplicate) -> Job:
    """Follow the remote job that exists already; if the provider did not name it, find it first."""
    if outcome.handle is not None:
        return _follow(context, outcome.handle, shared=True)
    reason = "the provider has such a remote job already, and does not name it"
    return _reconcile(context, reason).but(shared=True)


def reused(context: RuleContext, outcome: o.Reused) -> Job:
    """The provider has a remote job of the same question. It runs, or has finished: it is polled at once."""
    return context.becomes(
        state=State.POLLING,
        stage=None,
        handle=outcome.handle,
        shared=True,
        submitted_at=context.now,
        moved_at=context.now,
        due_at=context.now,
        failures=0,
        polls_at_submit=context.job.polls,
        reason=None,
        callback_hash=None,
    )


def _follow(
    context: RuleContext, handle: str, retry_after_s: float | None = None, *, shared: bool, exact: bool = False
) -> Job:
    """Follow a remote job: start it, unless it existed before, or poll it.

    A remote job that existed before does not call us: it was made with another callback URL.
    """
    job = context.job
    if shared and not context.policy.stages.starts(job):
        # The one that made it starts it: a second start may do harm.
        context = replace(context, policy=replace(context.policy, stages=ONLY_SUBMIT))
    followed = job.but(
        handle=handle,
        shared=shared,
        submitted_at=job.submitted_at if context.policy.stages.starts(job) else context.now,
        callback_hash=None if shared else job.callback_hash,
    )
    return go_on(context.of(followed), retry_after_s, exact=exact)


def unsent(context: RuleContext, outcome: o.Unsent) -> Job:
    """The submit was not sent; try again after a growing delay."""
    failures = context.job.failures + 1
    return context.becomes(
        state=context.waiting_state,
        due_at=context.now + context.retry_in(failures - 1),
        failures=failures,
        reason=cut(outcome.reason) or None,
    )


def unknown(context: RuleContext, outcome: o.Unknown) -> Job:
    """Look for the remote job before anything else."""
    return _reconcile(context, cut(outcome.reason))


def _reconcile(context: RuleContext, reason: str) -> Job:
    """Look for the remote job. It may exist from now on, so the grace period for "not found" starts now."""
    return context.becomes(
        state=State.RECONCILING,
        due_at=context.now,
        submitted_at=context.job.submitted_at if context.policy.stages.starts(context.job) else context.now,
        failures=0,
        unknowns=context.job.unknowns + 1,
        reason=reason,
    )


def undecidable(context: RuleContext, outcome: o.Undecidable) -> Job:
    """Submit again if the operation is repeatable; else a person decides.

    A cancel request for a job whose start is in doubt needs no decision: its remote job is known.
    """
    if context.job.cancel_requested and context.policy.stages.starts(context.job):
        return cancel(context, o.CancelAsked())
    reason = cut(outcome.reason)
    if context.policy.repeatable:
        return _submit_again(
            context, f"{_again(context.job)}, because {_what(context.job)} is repeatable: {reason}", reason
        )
    callback = "; its callback has arrived, so a remote job exists" if context.job.hinted else ""
    return _park(context, f"{reason}{callback}")


def absent(context: RuleContext, outcome: o.Absent) -> Job:
    """The provider's list shows that the submit made no remote job: submit again.

    The submit had no clear answer, so it counts as unknown.
    """
    reason = cut(outcome.reason)
    return _submit_again(context, reason, reason)


def _submit_again(context: RuleContext, reason: str, cause: str) -> Job:
    """Submit after a delay that grows with every unknown outcome in a row; after too many a person decides."""
    unknowns = max(1, context.job.unknowns)
    if unknowns >= context.policy.most_unknown:
        return _park(context, f"{unknowns} submits in a row had no clear outcome: {cause}")
    delay = context.policy.unknown.delay(unknowns - 1, context.rand)
    return context.becomes(state=context.waiting_state, due_at=context.now + delay, failures=0, reason=reason)


def _again(job: Job) -> str:
    return "submitting again" if job.stage in (None, SUBMIT) else f"sending {job.stage} again"


def _what(job: Job) -> str:
    return "the operation" if job.stage in (None, SUBMIT) else "it"


def _park(context: RuleContext, reason: str) -> Job:
    return context.becomes(state=State.PARKED, due_at=None, reason=reason)


def submit_not_read(context: RuleContext, outcome: o.Throttled | o.Unauthorized) -> Job:
    """The provider refused the request before it looked at the submit."""
    return account_closed(context, outcome).but(state=context.waiting_state)


def submit_interrupted(context: RuleContext, _outcome: o.Interrupted) -> Job:
    """The submit was interrupted before anything was sent."""
    return context.becomes(state=context.waiting_state, due_at=context.now)


def submit_crashed(context: RuleContext, outcome: o.Crashed) -> Job:
    """After a crash it is unknown whether the submit was sent, unless the step knows that it was not."""
    crashes = context.job.crashes + 1
    if not outcome.sent:
        after = crashed(context, outcome)
        return after if after.state is State.FAILED else after.but(state=context.waiting_state)
    reason = cut(outcome.reason)
    if crashes >= context.policy.most_crashes:
        return finish(context, State.FAILED, f"{crashes} steps crashed, a remote job may exist: {reason}")
    return _reconcile(context, reason).but(crashes=crashes)


# --- decisions of a person --------------------------------------------------------------------------------------------


def retry_decided(context: RuleContext, _outcome: o.RetryDecided) -> Job:
    """A person decided to submit again, with a new deadline.

    If the links of a finished remote job were lost, nothing that was kept of it is of use.
    """
    was_finished = context.job.ready_at is not None
    return context.becomes(
        state=context.waiting_state,
        kept={} if was_finished else context.job.kept,
        due_at=context.now,
        deadline_at=context.now + context.policy.deadline_s,
        failures=0,
        unknowns=0,
        cancel_requested=False,
        links=(),
        ready_at=None,
        reason=f"{context.job.stage or 'submit'} again was requested",
    )


def adopt_decided(context: RuleContext, outcome: o.AdoptDecided) -> Job:
    """A person has found the remote job, and so the request of the job's stage was done.

    If the links of a finished remote job were lost, nothing has to be started.
    """
    deadline_at = context.now + context.policy.deadline_s
    if context.job.ready_at is not None:
        context = replace(context, policy=replace(context.policy, stages=ONLY_SUBMIT))
    return adopted(context, outcome).but(
        due_at=context.now, deadline_at=deadline_at, cancel_requested=False, hinted=False
    )


def cancel_decided(context: RuleContext, outcome: o.CancelAsked) -> Job:
    """A person gives up a parked job. If its remote job is known, it is cancelled too, within a new deadline."""
    after = cancel(context, outcome)
    if after.state is State.CANCELLED:
        return after
    return after.but(deadline_at=max(after.deadline_at, context.now + context.policy.deadline_s))

"""The rules for a job on its way through its stages: the requests before the submit, and those that start a remote job.

A request before the submit may be repeated. One after it has an intent of its own, like the submit: it is sent again
only if it certainly did not arrive, or if the spec says that a second one does no harm.
"""

from tidewaiter.domain import outcome as o
from tidewaiter.domain.common_transitions import RuleContext, try_again
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.poll_transitions import gone


def done_before(context: RuleContext, outcome: o.StepDone) -> Job:
    """A request before the submit is done: the next one is due, or later on request."""
    stage = context.policy.stages.after(context.job)
    due_at = context.now + context.not_before(0.0, outcome.retry_after_s, exact=outcome.exact)
    return context.becomes(stage=stage, due_at=due_at, failures=0, crashes=0, reason=None)


def not_yet_before(context: RuleContext, outcome: o.NotYet) -> Job:
    """What was asked for before the submit is not there yet: ask again after a growing delay."""
    return try_again(context, outcome.reason, outcome.retry_after_s, exact=outcome.exact)


def intend_start(context: RuleContext, outcome: o.Intended) -> Job:
    """Store the intent to start the remote job, before anything is sent. It is the same remote job as before."""
    return context.becomes(
        state=State.SUBMITTING, due_at=context.now, intent_key=outcome.key, intent_at=context.now, reason=None
    )


def started(context: RuleContext, outcome: o.StepDone) -> Job:
    """A request that starts the remote job is done: the next one is due, or the first poll."""
    return go_on(context, outcome.retry_after_s, exact=outcome.exact)


def go_on(context: RuleContext, retry_after_s: float | None = None, *, exact: bool = False) -> Job:
    """The job after the request of its stage: at its next stage, or polling.

    The first poll comes at once if the callback arrived before our own commit.
    """
    job = context.becomes(moved_at=context.now, failures=0, unknowns=0, polls_at_submit=context.job.polls, reason=None)
    stage = context.policy.stages.after_submit(job)
    if stage is not None:
        wait_s = context.not_before(0.0, retry_after_s, exact=exact)
        return job.but(state=State.STARTING, stage=stage, due_at=context.now + wait_s)
    polling = job.but(state=State.POLLING, stage=None)
    first_s = context.not_before(context.first_poll_in(polling), retry_after_s, exact=exact)
    return polling.but(due_at=context.now + (0.0 if job.hinted else first_s))


def gone_at_start(context: RuleContext, outcome: o.Gone) -> Job:
    """The provider does not know the remote job that is to be started: it may lag, or the remote job is gone."""
    asked = gone(context, outcome)
    lags = asked.state is context.job.state
    after = asked.but(state=State.STARTING, hinted=context.job.hinted) if lags else asked
    return after.but(polls=context.job.polls)

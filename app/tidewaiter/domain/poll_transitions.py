"""The rules for a job whose remote job is being polled."""

from tidewaiter.domain import common_transitions as common
from tidewaiter.domain import outcome as o
from tidewaiter.domain.common_transitions import RuleContext, cut, finish, submit_anew, try_again
from tidewaiter.domain.early_transitions import fetch_early
from tidewaiter.domain.job import Job, State

_MOST_UNREADABLE = 8
_STALLED = "the provider has reported nothing new about the remote job for a long time"


def pending(context: RuleContext, outcome: o.Pending) -> Job:
    """Not ready: poll again after the backoff's next delay. Waiting is no failure, and it clears earlier failures.

    A remote job without progress for a long time gets a reason, once, so that the log and the history show it. Files
    that it has made already are fetched first.
    """
    job = context.job
    moved = has_moved(job, outcome)
    own_s = context.next_poll_in(job, outcome.progress)
    delay_s = context.not_before(own_s, outcome.retry_after_s, exact=outcome.exact)
    waiting = context.becomes(
        due_at=context.now + delay_s,
        polls=job.polls + 1,
        failures=0,
        crashes=0,
        reason=_STALLED if not moved and context.is_stalled(job) else None,
        hinted=False,
        remote_status=outcome.status if outcome.status is not None else job.remote_status,
        progress=outcome.progress if outcome.progress is not None else job.progress,
        handle=outcome.handle or job.handle,
        moved_at=context.now if moved else job.moved_at,
        polled_at=context.now,
    )
    return fetch_early(context, waiting, outcome) if outcome.links else waiting


def has_moved(job: Job, seen: o.Pending) -> bool:
    """Whether a reply reports another status, another progress or new files of the remote job."""
    another_status = seen.status is not None and seen.status != job.remote_status
    another_progress = seen.progress is not None and seen.progress != job.progress
    return another_status or another_progress or bool(seen.links) or job.moved_at is None


def poll_ready(context: RuleContext, outcome: o.Ready) -> Job:
    """A poll found the remote job finished: land the files."""
    return ready(context, outcome).but(polls=context.job.polls + 1, hinted=False)


def ready(context: RuleContext, outcome: o.Ready) -> Job:
    """The remote job has finished, or none is needed: land the files. The progress of earlier polls is out of date."""
    return context.becomes(
        state=State.FETCHING,
        stage=None,
        due_at=context.now,
        failures=0,
        crashes=0,
        reason=None,
        remote_status=outcome.status or context.job.remote_status,
        progress=None,
        links=outcome.links,
        ready_at=context.now,
        poll_at=None,
        handle=outcome.handle or context.job.handle,
    )


def gone(context: RuleContext, outcome: o.Gone) -> Job:
    """The remote job was not found. At first poll again, because the API may lag; then submit once more; then fail."""
    job, policy, reason = context.job, context.policy, cut(outcome.reason)
    if job.is_reused:
        return common.reused_failed(context, reason)
    asked = context.becomes(polls=job.polls + 1, hinted=False, failures=0)
    lagging = job.submitted_at is not None and context.now - job.submitted_at < policy.gone_grace_s
    if job.ready_at is None and lagging:
        delay = policy.poll.delay(0, context.rand)
        return asked.but(due_at=context.now + delay, reason=f"not there yet: {reason}")
    if job.resubmits >= policy.most_resubmits:
        return finish(context, State.FAILED, f"the remote job is gone: {reason}")
    anew = submit_anew(context.of(asked), 0.0, f"submitting again, because the remote job is gone: {reason}")
    return anew.but(resubmits=job.resubmits + 1)


def refused(context: RuleContext, outcome: o.Refused) -> Job:
    """The remote job failed. One that was reused was not made for this job, which submits its own then."""
    if context.job.is_reused:
        return common.reused_failed(context, outcome.reason)
    return common.refused(context, outcome)


def unmapped(context: RuleContext, outcome: o.Unmapped) -> Job:
    """No rule of the spec matches the reply: record that, and poll until the deadline."""
    job = context.job
    if job.is_reused:
        return _reused_unreadable(context, o.Retry(f"no rule of the spec matches this reply: {cut(outcome.excerpt)}"))
    return context.becomes(
        due_at=context.now + context.next_poll_in(job),
        polls=job.polls + 1,
        failures=0,
        hinted=False,
        reason=f"no rule of the spec matches this reply: {cut(outcome.excerpt)}",
    )


def poll_failed(context: RuleContext, outcome: o.Retry) -> Job:
    """A poll without a readable reply also counts as a poll."""
    if context.job.is_reused:
        return _reused_unreadable(context, outcome)
    polled = context.becomes(polls=context.job.polls + 1)
    return try_again(context.of(polled), outcome.reason, outcome.retry_after_s)


def _reused_unreadable(context: RuleContext, outcome: o.Retry) -> Job:
    """After some polls in a row that nobody can read, a remote job that was reused is of no use."""
    if context.job.failures + 1 >= _MOST_UNREADABLE:
        return common.reused_failed(context, outcome.reason)
    polled = context.becomes(polls=context.job.polls + 1, hinted=False)
    return try_again(context.of(polled), outcome.reason, outcome.retry_after_s)

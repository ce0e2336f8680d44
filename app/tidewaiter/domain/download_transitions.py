"""The rules for a job whose files are landing, and for deleting its remote job afterwards.

A download of several files ends with the most severe outcome of its files, whatever their order. From the most to the
least severe:

====================  ==============================================  ===========================  ===================
outcome               concerns                                        the other files              charged to the job
====================  ==============================================  ===========================  ===================
``StorageFull``       the storage, and so every job                   are not requested            no
``Unauthorized``      the account                                     only from other origins      no
``Throttled``         the account                                     only from other origins      no
``Refused``           the job, which cannot succeed any more          are not requested            it ends
``FailedForNow``      the remote job, which is made again     are not requested            by the state table
``LinksExpired``      the links, which must be requested again        are requested                by the state table
``Retry``             the file                                        are requested                yes, unless progress
``NotYet``            the file, which comes later                     are requested                no
====================  ==============================================  ===========================  ===================

A failure of the account precedes a refusal: it may be the cause of the refusal, and a job that waits loses nothing.
"""

from collections.abc import Iterable
from dataclasses import replace

from tidewaiter.domain import outcome as o
from tidewaiter.domain.common_transitions import (
    RuleContext,
    account_closed,
    cut,
    finish,
    reused_failed,
    try_again,
)
from tidewaiter.domain.common_transitions import refused as job_refused
from tidewaiter.domain.early_transitions import poll_again
from tidewaiter.domain.job import Job, State

_BY_SEVERITY: tuple[type[o.Outcome], ...] = (
    o.StorageFull,
    o.Unauthorized,
    o.Throttled,
    o.Refused,
    o.FailedForNow,
    o.LinksExpired,
    o.Retry,
    o.NotYet,
)
_ENDS_DOWNLOAD = (o.StorageFull, o.Refused, o.FailedForNow)
_OF_ACCOUNT = (o.Unauthorized, o.Throttled)
_FEWEST_EXPIRIES = 3


def most_severe_outcome(outcomes: Iterable[o.Outcome], *, landed: bool = False) -> o.Outcome | None:
    """The outcome of a step whose files had these outcomes; ``None`` if there are none.

    Of several outcomes of one kind the first is used. A ``Retry`` or ``NotYet`` waits for the longest wait of these two
    kinds, and a ``Retry`` or ``LinksExpired`` has progressed if any file has.

    Args:
        outcomes: of the files that did not land. A kind that is not in the table is more severe than all that are.
        landed: whether other files landed.
    """
    every = list(outcomes)
    if not every:
        return None
    first = min(every, key=lambda one: _BY_SEVERITY.index(type(one)) if type(one) in _BY_SEVERITY else -1)
    waits = [one.retry_after_s for one in every if isinstance(one, o.Retry | o.NotYet)]
    wait_s = max((wait for wait in waits if wait is not None), default=None)
    progressed = landed or any(isinstance(one, o.Retry | o.LinksExpired) and one.progressed for one in every)
    if isinstance(first, o.Retry):
        return replace(first, retry_after_s=wait_s, progressed=progressed)
    if isinstance(first, o.NotYet):
        return replace(first, retry_after_s=wait_s)
    if isinstance(first, o.LinksExpired):
        return replace(first, progressed=progressed)
    return first


def ends_download(outcome: o.Outcome) -> bool:
    """Whether this outcome of one file ends the download of the others."""
    return isinstance(outcome, _ENDS_DOWNLOAD) or type(outcome) not in _BY_SEVERITY


def closes_account(outcome: o.Outcome) -> bool:
    """Whether this outcome of one file forbids more requests to the provider's own origin."""
    return isinstance(outcome, _OF_ACCOUNT)


def fetch_started(context: RuleContext, outcome: o.FetchStarted) -> Job:
    """Count the download before it begins; the job fails if the downloads before have used up their number.

    A download that fails looks at the number, too. So here it is used up only if the last one did not come to an end:
    the daemon ended in it. If the daemon may have ended in the one before, too, the next one comes after a growing
    delay, and the downloads of other jobs can end meanwhile.
    """
    job = context.job
    if job.fetches >= context.policy.most_fetches:
        return _no_more_downloads(context, "the daemon ended during the last one")
    delay_s = context.retry_in(job.fetches - 1) if outcome.suspect else 0.0
    return context.becomes(fetches=job.fetches + 1, due_at=context.now + delay_s)


def files_landed(context: RuleContext, _outcome: o.FilesLanded) -> Job:
    """Files are recorded, so that a daemon that is killed need not land them again.

    That is progress: of the downloads before, only one is still counted.
    """
    return context.becomes(fetches=min(context.job.fetches, 2))


def stored(context: RuleContext, _outcome: o.Stored) -> Job:
    """Every file is durable: delete the remote job if the account is configured to."""
    landed = context.becomes(
        landed_at=context.now, failures=0, crashes=0, expiries=0, expired_at=None, links=(), reason=None
    )
    if context.policy.cleans and landed.handle is not None:
        return landed.but(state=State.CLEANING, due_at=context.now)
    return finish(context.of(landed), State.SUCCEEDED, None)


def stored_by_submit(context: RuleContext, outcome: o.Stored) -> Job:
    """The reply was the file, and it has landed. The status that an earlier reply gave is out of date."""
    handle = outcome.handle or context.job.handle
    replied = context.becomes(
        stage=None, ready_at=context.now, remote_status=outcome.status, progress=None, handle=handle
    )
    return stored(context.of(replied), outcome)


def stored_by_poll(context: RuleContext, outcome: o.Stored) -> Job:
    """The reply to a poll was the file, and it has landed."""
    polled = context.becomes(polls=context.job.polls + 1)
    return stored_by_submit(context.of(polled), outcome)


def fetch_failed(context: RuleContext, outcome: o.Retry) -> Job:
    """Download again, a limited number of times without progress.

    A download that made progress is not counted as a failure, and its backoff starts again.
    """
    if context.job.fetches_early:
        return poll_again(context, outcome.reason)
    if outcome.progressed:
        fetches = max(0, context.job.fetches - 1)
        context = context.of(context.job.but(failures=0, fetches=fetches, expiries=0, expired_at=None))
    if context.job.fetches >= context.policy.most_fetches:
        return _no_more_downloads(context, cut(outcome.reason))
    return try_again(context, outcome.reason, outcome.retry_after_s)


def _no_more_downloads(context: RuleContext, reason: str) -> Job:
    summary = f"{context.job.fetches} downloads failed: {reason}"
    if context.job.is_reused:  # its own remote job has all the tries; what these have left is removed then
        return reused_failed(context.of(context.job.but(fetches=1)), summary)
    return finish(context, State.FAILED, summary)


def links_expired(context: RuleContext, outcome: o.LinksExpired) -> Job:
    """The links do not work: request new ones after a growing delay; without a handle, start again, with a new intent.

    A file may appear long after its provider has said "ready". So the limit is a time, not a number of tries. A
    minimum number of tries is required as well, because the lane may have had no daemon for a long time.
    """
    return _ask_for_links(context, cut(outcome.reason), progressed=outcome.progressed)


def links_lost(context: RuleContext, outcome: o.LinksLost) -> Job:
    """The stored links cannot be decrypted any more: request new ones.

    Without a handle only a submit gives new links, and it might make a second remote job: a person decides.
    """
    if context.job.handle is not None:
        return _ask_for_links(context, cut(outcome.reason), progressed=False)
    fetches = max(0, context.job.fetches - 1)
    return context.becomes(state=State.PARKED, due_at=None, fetches=fetches, failures=0, reason=cut(outcome.reason))


def _ask_for_links(context: RuleContext, reason: str, *, progressed: bool) -> Job:
    job, policy = context.job, context.policy
    if job.fetches_early:
        return poll_again(context, reason)
    if job.expired_at is None or progressed:
        job = job.but(expiries=0, expired_at=context.now)
    expiries, lasted_s = job.expiries + 1, context.now - (job.expired_at or context.now)
    if lasted_s >= policy.links_expire_s and expiries >= _FEWEST_EXPIRIES:
        summary = f"no link to the files worked for {lasted_s:.0f} s, {expiries} times in a row: {reason}"
        if job.is_reused:
            return reused_failed(context, summary)
        return finish(context, State.FAILED, summary)
    anew = job.handle is None
    return context.becomes(
        state=State.QUEUED if anew else State.POLLING,
        stage=None,
        kept={} if anew else job.kept,
        ready_at=None if anew else job.ready_at,
        intent_key=None if anew else job.intent_key,
        due_at=context.now + context.retry_in(job.expiries),
        fetches=max(0, job.fetches - 1),
        failures=0,
        expiries=expiries,
        expired_at=job.expired_at,
        links=job.links if policy.links_add_up and not anew else (),
        reason=reason,
    )


def refused(context: RuleContext, outcome: o.Refused) -> Job:
    """The job cannot succeed. If its remote job was reused, another one may bring the files."""
    if context.job.is_reused:
        return reused_failed(context, outcome.reason)
    return job_refused(context, outcome)


def fetch_blocked(context: RuleContext, outcome: o.StorageFull) -> Job:
    """The storage has no room: download later; the job is not charged."""
    delay_s = context.retry_in(context.job.failures)
    return _refunded(context, delay_s, cut(outcome.reason) or context.job.reason)


def fetch_interrupted(context: RuleContext, _outcome: o.Interrupted) -> Job:
    """The daemon stopped the download: the job is not charged."""
    return _refunded(context, 0.0, context.job.reason)


def fetch_closed(context: RuleContext, outcome: o.Throttled | o.Unauthorized) -> Job:
    """The account is paused: the job is not charged."""
    refunded = _refunded(context, 0.0, context.job.reason)
    return account_closed(context.of(refunded), outcome)


def _refunded(context: RuleContext, delay_s: float, reason: str | None) -> Job:
    return context.becomes(
        fetches=max(0, context.job.fetches - 1),
        due_at=context.now + delay_s,
        reason=reason,
    )


def fetch_not_yet(context: RuleContext, outcome: o.NotYet) -> Job:
    """The file is not there yet: try again after a growing delay, or at the known time. The download has not failed."""
    if context.job.fetches_early:
        return poll_again(context, outcome.reason)
    failures = context.job.failures if outcome.exact else context.job.failures + 1
    waiting = try_again(context, outcome.reason, outcome.retry_after_s, exact=outcome.exact)
    return waiting.but(fetches=max(0, context.job.fetches - 1), failures=failures)


# --- cleaning ---------------------------------------------------------------------------------------------------------


def succeeded(context: RuleContext, _outcome: o.Cleaned | o.LeftAlone | o.CancelAsked) -> Job:
    """The files have landed, and the remote job needs nothing more."""
    return finish(context, State.SUCCEEDED, None)


def succeeded_without_cleanup(context: RuleContext, outcome: o.Retry | o.Refused | o.Crashed | o.DeadlinePassed) -> Job:
    """The files have landed, but the remote job was not deleted."""
    return finish(context, State.SUCCEEDED, f"the remote job was not deleted: {cut(outcome.reason)}")


def clean_failed(context: RuleContext, outcome: o.Retry | o.Crashed) -> Job:
    """Try to delete the remote job again, a limited number of times."""
    if context.job.failures + 1 >= context.policy.most_cleanups:
        return succeeded_without_cleanup(context, outcome)
    return try_again(context, outcome.reason, outcome.retry_after_s if isinstance(outcome, o.Retry) else None)

"""What each outcome does to a job: the rules that the state table names, one small function each.

A rule takes the visit (job, outcome, policy, time, chance) and gives the job as it will stand, but for its version,
which the state machine counts.
"""

from dataclasses import replace

from app.domain import outcome as o
from app.domain.job import Job, State
from app.domain.visit import Visit, because, finish

_THROTTLED_AGAIN_S = 1.0
_FEWEST_EXPIRIES = 3
_STANDS_STILL = "the provider has told nothing new of the remote job for long"


# --- polling ----------------------------------------------------------------------------------------------------------


def wait(visit: Visit) -> Job:
    """Not ready: come back on the schedule. Waiting is no failure and clears those there were.

    A remote job that has not moved for long gets a reason, once, so that the log and the history say it.
    """
    seen: o.Pending = visit.outcome
    job = visit.job
    moved = has_moved(job, seen)
    return visit.becomes(
        due_at=visit.now + visit.not_before(visit.next_poll_in(job)),
        polls=job.polls + 1,
        failures=0,
        crashes=0,
        reason=_STANDS_STILL if not moved and visit.stands_still(job) else None,
        hinted=False,
        remote_status=seen.status if seen.status is not None else job.remote_status,
        progress=seen.progress if seen.progress is not None else job.progress,
        handle=seen.handle or job.handle,
        moved_at=visit.now if moved else job.moved_at,
    )


def has_moved(job: Job, seen: o.Pending) -> bool:
    """Whether a reply tells anything new of the remote job: another status, or another progress."""
    another_status = seen.status is not None and seen.status != job.remote_status
    another_progress = seen.progress is not None and seen.progress != job.progress
    return another_status or another_progress or job.moved_at is None


def fetch_at_once(visit: Visit) -> Job:
    """Nothing has to be waited for: land the files."""
    return visit.becomes(
        state=State.FETCHING,
        due_at=visit.now,
        failures=0,
        crashes=0,
        reason=None,
        remote_status=visit.outcome.status or visit.job.remote_status,
        links=visit.outcome.links,
        ready_at=visit.now,
        handle=visit.outcome.handle or visit.job.handle,
    )


def fetch(visit: Visit) -> Job:
    """Ready: land the files."""
    return fetch_at_once(visit).but(polls=visit.job.polls + 1, hinted=False)


def stored_by_submit(visit: Visit) -> Job:
    """The reply was the file, and it has landed. What an earlier reply called the remote job is out of date."""
    handle = visit.outcome.handle or visit.job.handle
    answered = visit.becomes(ready_at=visit.now, remote_status=visit.outcome.status, handle=handle)
    return stored(replace(visit, job=answered))


def stored_by_poll(visit: Visit) -> Job:
    """The reply to a poll was the file, and it has landed."""
    polled = visit.becomes(polls=visit.job.polls + 1)
    return stored_by_submit(replace(visit, job=polled))


def gone(visit: Visit) -> Job:
    """The remote job is not there: lag at first, then a fresh submit, then the end."""
    job, policy = visit.job, visit.policy
    asked = visit.becomes(polls=job.polls + 1, hinted=False, failures=0)
    lagging = job.submitted_at is not None and visit.now - job.submitted_at < policy.gone_grace_s
    if job.ready_at is None and lagging:
        delay = policy.poll.delay(0, visit.rand)
        return asked.but(due_at=visit.now + delay, reason=f"not there yet: {because(visit)}")
    if job.resubmits >= policy.most_resubmits:
        return finish(visit, State.FAILED, f"the remote job is gone: {because(visit)}")
    return asked.but(
        state=State.QUEUED,
        due_at=visit.now,
        handle=None,
        shared=False,
        intent_key=None,
        callback_hash=None,
        resubmits=job.resubmits + 1,
        reason=f"submitting afresh, the remote job is gone: {because(visit)}",
        links=(),
        ready_at=None,
        expiries=0,
        expired_at=None,
    )


def unmapped(visit: Visit) -> Job:
    """A reply of which the spec says nothing: go on polling, loudly, until the deadline."""
    job = visit.job
    return visit.becomes(
        due_at=visit.now + visit.next_poll_in(job),
        polls=job.polls + 1,
        failures=0,
        hinted=False,
        reason=f"no rule of the spec speaks of this reply: {because(visit)}",
    )


def poll_failed(visit: Visit) -> Job:
    """A poll without an answer is a poll all the same."""
    job = visit.becomes(polls=visit.job.polls + 1)
    return later(replace(visit, job=job))


# --- fetching and cleaning --------------------------------------------------------------------------------------------


def begin_fetch(visit: Visit) -> Job:
    """Count the download before it begins."""
    return visit.becomes(fetches=visit.job.fetches + 1, due_at=visit.now)


def stored(visit: Visit) -> Job:
    """Every file is durable: tidy up remotely where the account asks for it."""
    landed = visit.becomes(
        landed_at=visit.now, failures=0, crashes=0, expiries=0, expired_at=None, links=(), reason=None
    )
    if visit.policy.cleans and landed.handle is not None:
        return landed.but(state=State.CLEANING, due_at=visit.now)
    return finish(replace(visit, job=landed), State.SUCCEEDED, None)


def _after_progress(visit: Visit) -> Visit:
    """The visit of a job whose download came further: it is not counted as a failure, and backoff begins anew."""
    if not getattr(visit.outcome, "progressed", False):
        return visit
    job = visit.job.but(failures=0, fetches=max(0, visit.job.fetches - 1), expiries=0, expired_at=None)
    return replace(visit, job=job)


def fetch_failed(visit: Visit) -> Job:
    """Try the download again, a bounded number of times without progress."""
    visit = _after_progress(visit)
    if visit.job.fetches >= visit.policy.most_fetches:
        return finish(
            visit,
            State.FAILED,
            f"{visit.job.fetches} downloads failed: {because(visit)}",
        )
    return later(visit)


def ask_for_links(visit: Visit) -> Job:
    """The links do not serve: ask for fresh ones after a growing delay; where nothing was submitted, all anew.

    A file may appear long after its provider has said "ready". So time bounds it, not a number of tries; a few of them
    there must have been, because nobody may have served the lane for long.
    """
    job, policy = visit.job, visit.policy
    if job.expired_at is None or getattr(visit.outcome, "progressed", False):
        job = job.but(expiries=0, expired_at=visit.now)
    expiries, lasted_s = job.expiries + 1, visit.now - (job.expired_at or visit.now)
    if lasted_s >= policy.links_expire_s and expiries >= _FEWEST_EXPIRIES:
        told = f"for {lasted_s:.0f} s no link to the files served, {expiries} times in a row: {because(visit)}"
        return finish(visit, State.FAILED, told)
    return visit.becomes(
        state=State.QUEUED if job.handle is None else State.POLLING,
        due_at=visit.now + visit.retry_in(job.expiries),
        fetches=max(0, job.fetches - 1),
        failures=0,
        expiries=expiries,
        expired_at=job.expired_at,
        links=(),
        reason=because(visit),
    )


def links_lost(visit: Visit) -> Job:
    """Nobody can read the links any more: ask for fresh ones.

    Where no handle names the remote job, only a submit would bring some, and might make a second one: a person decides.
    """
    if visit.job.handle is not None:
        return ask_for_links(visit)
    fetches = max(0, visit.job.fetches - 1)
    return visit.becomes(state=State.PARKED, due_at=None, fetches=fetches, failures=0, reason=because(visit))


def refund_fetch(visit: Visit) -> Job:
    """The download did not fail: it had no room, or was broken off by us."""
    delay = visit.retry_in(visit.job.failures) if isinstance(visit.outcome, o.StorageFull) else 0.0
    reason = because(visit) or visit.job.reason
    return visit.becomes(
        fetches=max(0, visit.job.fetches - 1),
        due_at=visit.now + delay,
        reason=reason,
    )


def fetch_later(visit: Visit) -> Job:
    """The file is not there yet: ask again later, with growing delay or when it is known to be; no download failed."""
    told: o.NotYet = visit.outcome
    failures = visit.job.failures if told.exact else visit.job.failures + 1
    return later(visit).but(fetches=max(0, visit.job.fetches - 1), failures=failures)


def succeed(visit: Visit) -> Job:
    """The end."""
    return finish(visit, State.SUCCEEDED, None)


def succeed_untidily(visit: Visit) -> Job:
    """The end, with the remote job left behind."""
    return finish(visit, State.SUCCEEDED, f"the remote job was not deleted: {because(visit)}")


def clean_failed(visit: Visit) -> Job:
    """Try to tidy up again, a bounded number of times."""
    return succeed_untidily(visit) if visit.job.failures + 1 >= visit.policy.most_cleanups else later(visit)


# --- cancelling and every live state ----------------------------------------------------------------------------------


def cancel(visit: Visit) -> Job:
    """Tell the remote where it can be told; else the job just ends."""
    if visit.job.handle is None or not visit.policy.cancels:
        return cancelled(visit)
    return visit.becomes(state=State.CANCELLING, due_at=visit.now, failures=0, links=())


def cancelled(visit: Visit) -> Job:
    """The end that a person wanted. What was in doubt before stays on record."""
    return finish(visit, State.CANCELLED, visit.job.reason)


def cancelled_untidily(visit: Visit) -> Job:
    """The end that a person wanted, though the remote does not know."""
    return finish(visit, State.CANCELLED, f"the remote was not told: {because(visit)}")


def cancel_failed(visit: Visit) -> Job:
    """Try to tell the remote again, a bounded number of times."""
    return cancelled_untidily(visit) if visit.job.failures + 1 >= visit.policy.most_cleanups else later(visit)


def later(visit: Visit) -> Job:
    """The same step again, later."""
    failures = visit.job.failures + 1
    return visit.becomes(
        due_at=visit.now + visit.retry_in(failures - 1),
        failures=failures,
        reason=because(visit),
    )


def account_paused(visit: Visit) -> Job:
    """The lane is closed meanwhile; the job is due again as soon as the lane opens."""
    return visit.becomes(
        due_at=visit.now + _THROTTLED_AGAIN_S * visit.rand.random(),
        reason=because(visit),
    )


def unharmed(visit: Visit) -> Job:
    """The same step again, as soon as somebody serves the lane."""
    return visit.becomes(due_at=visit.now)


def fail(visit: Visit) -> Job:
    """The provider says no for good."""
    polled = int(visit.job.state is State.POLLING)
    job = visit.becomes(polls=visit.job.polls + polled)
    return finish(replace(visit, job=job), State.FAILED, because(visit))


def crashed(visit: Visit) -> Job:
    """Try again, but not for ever: the job may be poison."""
    crashes = visit.job.crashes + 1
    if crashes >= visit.policy.most_crashes:
        return finish(visit, State.FAILED, f"{crashes} steps crashed: {because(visit)}")
    return later(visit).but(crashes=crashes)


def expire(visit: Visit) -> Job:
    """The job has waited too long."""
    return finish(visit, State.EXPIRED, because(visit))

"""What each outcome does to a job: the rules that the state table names, one small function each.

A rule takes the visit (job, outcome, policy, time, chance) and gives the job as it will stand, but for its version,
which the state machine counts.
"""

from dataclasses import replace

from app.domain import outcome as o
from app.domain.job import Job, State
from app.domain.visit import Visit, because, finish

_THROTTLED_AGAIN_S = 1.0
_FOUND = (o.Adopted, o.AdoptDecided)


# --- submitting -------------------------------------------------------------------------------------------------------


def intend(visit: Visit) -> Job:
    """The intent to submit: named, counted, durable before anything is sent."""
    return visit.becomes(
        state=State.SUBMITTING,
        due_at=visit.now,
        intent_key=visit.outcome.key,
        intent_at=visit.now,
        submits=visit.job.submits + 1,
        shared=False,
        failures=0,
        reason=None,
        callback_hash=visit.outcome.callback_hash,
        hinted=False,
    )


def poll_from_now(visit: Visit) -> Job:
    """The remote job is known; the first poll comes after the delay of the spec, or when the provider wants it.

    It comes now where the callback was faster than our own commit. A remote job that was there before will not call
    us, for it was made with somebody else's callback URL.
    """
    shared = isinstance(visit.outcome, o.Duplicate) or (isinstance(visit.outcome, _FOUND) and visit.job.shared)
    polling = visit.becomes(
        state=State.POLLING,
        handle=visit.outcome.handle,
        shared=shared,
        submitted_at=visit.now,
        moved_at=visit.now,
        failures=0,
        reason=None,
        callback_hash=None if shared else visit.job.callback_hash,
    )
    asked = getattr(visit.outcome, "retry_after_s", None)
    first_s = visit.first_poll_in(polling) if asked is None else visit.policy.clamp(asked)
    return polling.but(due_at=visit.now + (0.0 if visit.job.hinted else first_s))


def share(visit: Visit) -> Job:
    """Somebody's remote job is followed; where the provider did not name it, it has to be found first."""
    if visit.outcome.handle is not None:
        return poll_from_now(visit)
    reason = "the provider has such a remote job already, and does not name it"
    return _in_doubt(visit, reason).but(shared=True)


def queue_again(visit: Visit) -> Job:
    """Nothing was made remotely; submit again after a while."""
    failures = visit.job.failures + 1
    delay = visit.retry_in(failures - 1)
    return visit.becomes(
        state=State.QUEUED,
        due_at=visit.now + delay,
        failures=failures,
        reason=because(visit) or None,
    )


def reconcile(visit: Visit) -> Job:
    """Find out first what became of the submit."""
    return _in_doubt(visit, because(visit))


def _in_doubt(visit: Visit, reason: str) -> Job:
    """A remote job may be there from now on at the latest: what lags behind it is reckoned from here."""
    return visit.becomes(state=State.RECONCILING, due_at=visit.now, submitted_at=visit.now, failures=0, reason=reason)


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
    )


def decide(visit: Visit) -> Job:
    """Nobody can find out: submit again where that is harmless, else leave it to a person."""
    if visit.policy.repeatable:
        return queue_again(visit).but(reason=f"submitting again, which is harmless here: {because(visit)}")
    came = "; its callback has come, so there is a remote job" if visit.job.hinted else ""
    return visit.becomes(state=State.PARKED, due_at=None, reason=f"{because(visit)}{came}")


# --- polling ----------------------------------------------------------------------------------------------------------


def wait(visit: Visit) -> Job:
    """Not ready: come back on the schedule. Waiting is no failure and clears those there were."""
    seen: o.Pending = visit.outcome
    job, policy = visit.job, visit.policy
    delay = visit.next_poll_in(job) if seen.retry_after_s is None else policy.clamp(seen.retry_after_s)
    return visit.becomes(
        due_at=visit.now + delay,
        polls=job.polls + 1,
        failures=0,
        crashes=0,
        reason=None,
        hinted=False,
        remote_status=seen.status if seen.status is not None else job.remote_status,
        progress=seen.progress if seen.progress is not None else job.progress,
        handle=seen.handle or job.handle,
        moved_at=visit.now if has_moved(job, seen) else job.moved_at,
    )


def has_moved(job: Job, seen: o.Pending) -> bool:
    """Whether a reply tells anything new of the remote job: another status, or another progress."""
    another_status = seen.status is not None and seen.status != job.remote_status
    another_progress = seen.progress is not None and seen.progress != job.progress
    return another_status or another_progress or job.moved_at is None


def fetch(visit: Visit) -> Job:
    """Ready: land the files."""
    return fetch_at_once(visit).but(polls=visit.job.polls + 1, hinted=False)


def stored_by_submit(visit: Visit) -> Job:
    """The reply was the file, and it has landed. What an earlier reply called the remote job is out of date."""
    answered = visit.becomes(ready_at=visit.now, remote_status=visit.outcome.status)
    return stored(replace(visit, job=answered))


def stored_by_poll(visit: Visit) -> Job:
    """The reply to a poll was the file, and it has landed."""
    polled = visit.becomes(polls=visit.job.polls + 1)
    return stored_by_submit(replace(visit, job=polled))


def gone(visit: Visit) -> Job:
    """The remote job is not there: lag at first, then a fresh submit, then the end."""
    job, policy = visit.job, visit.policy
    asked = visit.becomes(polls=job.polls + 1, hinted=False)
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
    landed = visit.becomes(landed_at=visit.now, failures=0, crashes=0, links=(), reason=None)
    if visit.policy.cleans and landed.handle is not None:
        return landed.but(state=State.CLEANING, due_at=visit.now)
    return finish(replace(visit, job=landed), State.SUCCEEDED, None)


def fetch_failed(visit: Visit) -> Job:
    """Try the download again, a bounded number of times."""
    if visit.job.fetches >= visit.policy.most_fetches:
        return finish(
            visit,
            State.FAILED,
            f"{visit.job.fetches} downloads failed: {because(visit)}",
        )
    return later(visit)


def ask_for_links(visit: Visit) -> Job:
    """The links are too old: ask for fresh ones, a bounded number of times; where nothing was submitted, all anew."""
    if visit.job.fetches >= visit.policy.most_fetches:
        return finish(
            visit,
            State.FAILED,
            f"{visit.job.fetches} downloads failed: {because(visit)}",
        )
    if visit.job.handle is None:
        return later(visit).but(state=State.QUEUED, links=())
    return visit.becomes(
        state=State.POLLING,
        due_at=visit.now,
        links=(),
        reason=because(visit),
    )


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
    """The file is not there yet: ask again later, with growing delay; that is no failed download."""
    return later(visit).but(fetches=max(0, visit.job.fetches - 1))


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


def account_paused_unsubmitted(visit: Visit) -> Job:
    """The provider did not look at the submit."""
    return account_paused(visit).but(state=State.QUEUED)


def unharmed(visit: Visit) -> Job:
    """The same step again, as soon as somebody serves the lane."""
    return visit.becomes(due_at=visit.now)


def unharmed_unsubmitted(visit: Visit) -> Job:
    """The submit was broken off before anything was sent."""
    return visit.becomes(state=State.QUEUED, due_at=visit.now)


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


def crashed_submitting(visit: Visit) -> Job:
    """A crash leaves open whether the submit was sent, unless the step knows that it was not."""
    crashes = visit.job.crashes + 1
    if not visit.outcome.sent:
        after = crashed(visit)
        return after if after.state is State.FAILED else after.but(state=State.QUEUED)
    if crashes >= visit.policy.most_crashes:
        return finish(
            visit,
            State.FAILED,
            f"{crashes} steps crashed, a remote job may exist: {because(visit)}",
        )
    return reconcile(visit).but(crashes=crashes)


def expire(visit: Visit) -> Job:
    """The job has waited too long."""
    return finish(visit, State.EXPIRED, because(visit))


# --- a person ---------------------------------------------------------------------------------------------------------


def submit_by_decision(visit: Visit) -> Job:
    """A person wants a fresh submit, with a fresh deadline."""
    return visit.becomes(
        state=State.QUEUED,
        due_at=visit.now,
        deadline_at=visit.now + visit.policy.deadline_s,
        failures=0,
        cancel_requested=False,
        reason="a person decided to submit again",
    )


def adopt_by_decision(visit: Visit) -> Job:
    """A person has found the remote job."""
    adopted = poll_from_now(visit)
    deadline_at = visit.now + visit.policy.deadline_s
    return adopted.but(due_at=visit.now, deadline_at=deadline_at, cancel_requested=False, hinted=False)

"""What each outcome does to a job: the rules that the state table names, one small function each.

A rule takes the visit (job, outcome, policy, time, chance) and gives the job as it will stand, but for its version,
which the state machine counts.
"""

from dataclasses import dataclass, replace
from random import Random
from typing import Any

from app.domain import outcome as o
from app.domain.job import Job, State
from app.domain.schedule import Policy

_THROTTLED_AGAIN_S = 1.0
_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Visit:
    """Everything that a rule of the table may look at."""

    job: Job
    outcome: Any
    policy: Policy
    now: float
    rand: Random
    version: int

    def becomes(self, **changes: Any) -> Job:
        """The job with these changes, at its next version."""
        return self.job.but(version=self.version, **changes)

    def retry_in(self, failures: int) -> float:
        """Seconds until the same step may be tried again."""
        asked = getattr(self.outcome, "retry_after_s", None)
        backoff = self.policy.retry.delay(failures, self.rand)
        return backoff if asked is None else max(self.policy.clamp(asked), min(backoff, self.policy.retry.base_s))


def _because(visit: Visit) -> str:
    reason = str(getattr(visit.outcome, "reason", "") or getattr(visit.outcome, "excerpt", ""))
    return reason[:_LONGEST_REASON]


def _finish(visit: Visit, state: State, reason: str | None) -> Job:
    return visit.becomes(
        state=state,
        due_at=None,
        reason=reason,
        finished_at=visit.now,
        links=(),
        cancel_requested=False,
    )


# --- submitting -------------------------------------------------------------------------------------------------------


def intend(visit: Visit) -> Job:
    """The intent to submit: named, counted, durable before anything is sent."""
    return visit.becomes(
        state=State.SUBMITTING,
        due_at=visit.now,
        intent_key=visit.outcome.key,
        intent_at=visit.now,
        submits=visit.job.submits + 1,
        failures=0,
        reason=None,
    )


def poll_from_now(visit: Visit) -> Job:
    """The remote job is known; the first poll comes after the delay of the spec, or when the provider wants it."""
    asked = getattr(visit.outcome, "retry_after_s", None)
    first = visit.policy.first_delay_s * (1.0 - visit.policy.poll.jitter * visit.rand.random())
    return visit.becomes(
        state=State.POLLING,
        due_at=visit.now + (first if asked is None else visit.policy.clamp(asked)),
        handle=visit.outcome.handle,
        shared=isinstance(visit.outcome, o.Duplicate),
        submitted_at=visit.now,
        failures=0,
        reason=None,
    )


def queue_again(visit: Visit) -> Job:
    """Nothing was made remotely; submit again after a while."""
    failures = visit.job.failures + 1
    delay = visit.retry_in(failures - 1)
    return visit.becomes(
        state=State.QUEUED,
        due_at=visit.now + delay,
        failures=failures,
        reason=_because(visit) or None,
    )


def reconcile(visit: Visit) -> Job:
    """Find out first what became of the submit."""
    return visit.becomes(
        state=State.RECONCILING,
        due_at=visit.now,
        failures=0,
        reason=_because(visit),
    )


def decide(visit: Visit) -> Job:
    """Nobody can find out: submit again where that is harmless, else leave it to a person."""
    if visit.policy.repeatable:
        return queue_again(visit).but(reason=f"submitting again, which is harmless here: {_because(visit)}")
    return visit.becomes(state=State.PARKED, due_at=None, reason=_because(visit))


# --- polling ----------------------------------------------------------------------------------------------------------


def wait(visit: Visit) -> Job:
    """Not ready: come back on the schedule. Waiting is no failure and clears those there were."""
    seen: o.Pending = visit.outcome
    job, policy = visit.job, visit.policy
    delay = policy.poll.delay(job.polls, visit.rand) if seen.retry_after_s is None else policy.clamp(seen.retry_after_s)
    return visit.becomes(
        due_at=visit.now + delay,
        polls=job.polls + 1,
        failures=0,
        crashes=0,
        reason=None,
        remote_status=seen.status if seen.status is not None else job.remote_status,
        progress=seen.progress if seen.progress is not None else job.progress,
        handle=seen.handle or job.handle,
    )


def fetch(visit: Visit) -> Job:
    """Ready: land the files."""
    return visit.becomes(
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


def stored_by_poll(visit: Visit) -> Job:
    """The reply was the file, and it has landed."""
    polled = visit.becomes(polls=visit.job.polls + 1, ready_at=visit.now)
    return stored(replace(visit, job=polled))


def gone(visit: Visit) -> Job:
    """The remote job is not there: lag at first, then a fresh submit, then the end."""
    job, policy = visit.job, visit.policy
    asked = visit.becomes(polls=job.polls + 1)
    lagging = job.submitted_at is not None and visit.now - job.submitted_at < policy.gone_grace_s
    if job.ready_at is None and lagging:
        delay = policy.poll.delay(0, visit.rand)
        return asked.but(due_at=visit.now + delay, reason=f"not there yet: {_because(visit)}")
    if job.resubmits >= policy.most_resubmits:
        return _finish(visit, State.FAILED, f"the remote job is gone: {_because(visit)}")
    return asked.but(
        state=State.QUEUED,
        due_at=visit.now,
        handle=None,
        shared=False,
        intent_key=None,
        resubmits=job.resubmits + 1,
        reason=f"submitting afresh, the remote job is gone: {_because(visit)}",
        links=(),
        ready_at=None,
    )


def unmapped(visit: Visit) -> Job:
    """A reply of which the spec says nothing: go on polling, loudly, until the deadline."""
    job = visit.job
    delay = visit.policy.poll.delay(job.polls, visit.rand)
    return visit.becomes(
        due_at=visit.now + delay,
        polls=job.polls + 1,
        failures=0,
        reason=f"no rule of the spec speaks of this reply: {_because(visit)}",
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
    if visit.policy.cleans and landed.handle is not None and not landed.shared:
        return landed.but(state=State.CLEANING, due_at=visit.now)
    return _finish(replace(visit, job=landed), State.SUCCEEDED, None)


def fetch_failed(visit: Visit) -> Job:
    """Try the download again, a bounded number of times."""
    if visit.job.fetches >= visit.policy.most_fetches:
        return _finish(
            visit,
            State.FAILED,
            f"{visit.job.fetches} downloads failed: {_because(visit)}",
        )
    return later(visit)


def ask_for_links(visit: Visit) -> Job:
    """The links are too old: ask for fresh ones, a bounded number of times."""
    if visit.job.fetches >= visit.policy.most_fetches:
        return _finish(
            visit,
            State.FAILED,
            f"{visit.job.fetches} downloads failed: {_because(visit)}",
        )
    return visit.becomes(
        state=State.POLLING,
        due_at=visit.now,
        links=(),
        reason=_because(visit),
    )


def refund_fetch(visit: Visit) -> Job:
    """The download did not fail: it had no room, or was broken off by us."""
    delay = visit.retry_in(visit.job.failures) if isinstance(visit.outcome, o.StorageFull) else 0.0
    reason = _because(visit) or visit.job.reason
    return visit.becomes(
        fetches=max(0, visit.job.fetches - 1),
        due_at=visit.now + delay,
        reason=reason,
    )


def succeed(visit: Visit) -> Job:
    """The end."""
    return _finish(visit, State.SUCCEEDED, None)


def succeed_untidily(visit: Visit) -> Job:
    """The end, with the remote job left behind."""
    return _finish(visit, State.SUCCEEDED, f"the remote job was not deleted: {_because(visit)}")


def clean_failed(visit: Visit) -> Job:
    """Try to tidy up again, a bounded number of times."""
    return succeed_untidily(visit) if visit.job.failures + 1 >= visit.policy.most_cleanups else later(visit)


# --- cancelling and every live state ----------------------------------------------------------------------------------


def cancel(visit: Visit) -> Job:
    """Tell the remote where it can be told and nobody else follows it; else the job just ends."""
    if visit.job.handle is None or visit.job.shared or not visit.policy.cancels:
        return cancelled(visit)
    return visit.becomes(state=State.CANCELLING, due_at=visit.now, failures=0, links=())


def cancelled(visit: Visit) -> Job:
    """The end that a person wanted. What was in doubt before stays on record."""
    return _finish(visit, State.CANCELLED, visit.job.reason)


def cancelled_untidily(visit: Visit) -> Job:
    """The end that a person wanted, though the remote does not know."""
    return _finish(visit, State.CANCELLED, f"the remote was not told: {_because(visit)}")


def cancel_failed(visit: Visit) -> Job:
    """Try to tell the remote again, a bounded number of times."""
    return cancelled_untidily(visit) if visit.job.failures + 1 >= visit.policy.most_cleanups else later(visit)


def later(visit: Visit) -> Job:
    """The same step again, later."""
    failures = visit.job.failures + 1
    return visit.becomes(
        due_at=visit.now + visit.retry_in(failures - 1),
        failures=failures,
        reason=_because(visit),
    )


def account_paused(visit: Visit) -> Job:
    """The lane is closed meanwhile; the job is due again as soon as the lane opens."""
    return visit.becomes(
        due_at=visit.now + _THROTTLED_AGAIN_S * visit.rand.random(),
        reason=_because(visit),
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
    return _finish(replace(visit, job=job), State.FAILED, _because(visit))


def crashed(visit: Visit) -> Job:
    """Try again, but not for ever: the job may be poison."""
    crashes = visit.job.crashes + 1
    if crashes >= visit.policy.most_crashes:
        return _finish(visit, State.FAILED, f"{crashes} steps crashed: {_because(visit)}")
    return later(visit).but(crashes=crashes)


def crashed_submitting(visit: Visit) -> Job:
    """A crash leaves open whether the submit was sent."""
    crashes = visit.job.crashes + 1
    if crashes >= visit.policy.most_crashes:
        return _finish(
            visit,
            State.FAILED,
            f"{crashes} steps crashed, a remote job may exist: {_because(visit)}",
        )
    return reconcile(visit).but(crashes=crashes)


def expire(visit: Visit) -> Job:
    """The job has waited too long."""
    return _finish(visit, State.EXPIRED, _because(visit))


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
    return adopted.but(due_at=visit.now, deadline_at=visit.now + visit.policy.deadline_s, cancel_requested=False)

"""What each outcome does to a job whose submit is under way or unclear, and what a person decides about it.

These are rules of the state table like those in :mod:`app.domain.rules`. A submit with an unclear outcome is sent again
only where that is harmless, after a growing delay, and a bounded number of times in a row.
"""

from app.domain import outcome as o
from app.domain.job import Job, State
from app.domain.rules import account_paused, crashed
from app.domain.visit import Visit, because, finish

_FOUND = (o.Adopted, o.AdoptDecided)


def intend(visit: Visit) -> Job:
    """The intent to submit: named, counted, durable before anything is sent.

    The failures stay: a submit that cannot be sent is tried again after a growing delay.
    """
    return visit.becomes(
        state=State.SUBMITTING,
        due_at=visit.now,
        intent_key=visit.outcome.key,
        intent_at=visit.now,
        submits=visit.job.submits + 1,
        shared=False,
        reason=None,
        callback_hash=visit.outcome.callback_hash,
        polls_at_submit=visit.job.polls,
        hinted=False,
    )


def poll_from_now(visit: Visit) -> Job:
    """The remote job is known; the first poll comes after the delay of the spec, or later if the provider says so.

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
        unknowns=0,
        polls_at_submit=visit.job.polls,
        reason=None,
        callback_hash=None if shared else visit.job.callback_hash,
    )
    first_s = visit.not_before(visit.first_poll_in(polling))
    return polling.but(due_at=visit.now + (0.0 if visit.job.hinted else first_s))


def share(visit: Visit) -> Job:
    """Somebody's remote job is followed; where the provider did not name it, it has to be found first."""
    if visit.outcome.handle is not None:
        return poll_from_now(visit)
    reason = "the provider has such a remote job already, and does not name it"
    return _in_doubt(visit, reason).but(shared=True)


def queue_again(visit: Visit) -> Job:
    """The submit was not sent; try again after a growing delay."""
    failures = visit.job.failures + 1
    return visit.becomes(
        state=State.QUEUED,
        due_at=visit.now + visit.retry_in(failures - 1),
        failures=failures,
        reason=because(visit) or None,
    )


def reconcile(visit: Visit) -> Job:
    """Find out first what became of the submit."""
    return _in_doubt(visit, because(visit))


def _in_doubt(visit: Visit, reason: str) -> Job:
    """A remote job may be there from now on at the latest: what lags behind it is reckoned from here."""
    return visit.becomes(
        state=State.RECONCILING,
        due_at=visit.now,
        submitted_at=visit.now,
        failures=0,
        unknowns=visit.job.unknowns + 1,
        reason=reason,
    )


def decide(visit: Visit) -> Job:
    """Nobody can find out: submit again where that is harmless, else leave it to a person."""
    if visit.policy.repeatable:
        return _submit_again(visit, f"submitting again, which is harmless here: {because(visit)}")
    came = "; its callback has come, so there is a remote job" if visit.job.hinted else ""
    return _park(visit, f"{because(visit)}{came}")


def submit_absent(visit: Visit) -> Job:
    """The submit made no remote job, as its provider's list shows: submit again.

    The submit before had no clear answer all the same, so it counts among the unknown ones.
    """
    return _submit_again(visit, because(visit))


def _submit_again(visit: Visit, reason: str) -> Job:
    """Submit again after a delay that grows with every unknown outcome in a row; too many are a person's business."""
    unknowns = max(1, visit.job.unknowns)
    if unknowns >= visit.policy.most_unknown:
        return _park(visit, f"{unknowns} submits in a row had no clear outcome: {because(visit)}")
    delay = visit.policy.unknown.delay(unknowns - 1, visit.rand)
    return visit.becomes(state=State.QUEUED, due_at=visit.now + delay, failures=0, reason=reason)


def _park(visit: Visit, reason: str) -> Job:
    return visit.becomes(state=State.PARKED, due_at=None, reason=reason)


def account_paused_unsubmitted(visit: Visit) -> Job:
    """The provider did not look at the submit."""
    return account_paused(visit).but(state=State.QUEUED)


def unharmed_unsubmitted(visit: Visit) -> Job:
    """The submit was broken off before anything was sent."""
    return visit.becomes(state=State.QUEUED, due_at=visit.now)


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


# --- a person ---------------------------------------------------------------------------------------------------------


def submit_by_decision(visit: Visit) -> Job:
    """A person wants a fresh submit, with a fresh deadline."""
    return visit.becomes(
        state=State.QUEUED,
        due_at=visit.now,
        deadline_at=visit.now + visit.policy.deadline_s,
        failures=0,
        unknowns=0,
        cancel_requested=False,
        links=(),
        ready_at=None,
        reason="a person decided to submit again",
    )


def adopt_by_decision(visit: Visit) -> Job:
    """A person has found the remote job."""
    adopted = poll_from_now(visit)
    deadline_at = visit.now + visit.policy.deadline_s
    return adopted.but(due_at=visit.now, deadline_at=deadline_at, cancel_requested=False, hinted=False)

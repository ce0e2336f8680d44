"""One visit of the state table to a job: what its rules may look at, and what they have in common."""

from dataclasses import dataclass
from random import Random
from typing import Any

from app.domain.job import Job, State
from app.domain.schedule import Policy

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
        return self.not_before(self.policy.retry.delay(failures, self.rand))

    def not_before(self, delay_s: float) -> float:
        """Our own delay, or the server's Retry-After within floor and cap, whichever is later.

        Where the spec says that its value is exact, it replaces our own. Source: RFC 9110, section 10.2.3.
        """
        asked = getattr(self.outcome, "retry_after_s", None)
        if asked is None:
            return delay_s
        clamped = self.policy.clamp(asked)
        return clamped if getattr(self.outcome, "exact", False) else max(delay_s, clamped)

    def first_poll_in(self, job: Job) -> float:
        """Seconds from the submit to the first poll."""
        share = 1.0 - self.policy.poll.jitter * self.rand.random()
        first_s = self.policy.first_delay_s * share
        return self._unless_called(job, first_s, self.policy.called_first_delay_s * share)

    def next_poll_in(self, job: Job) -> float:
        """Seconds until the next poll of a remote job that is not ready."""
        polls = job.polls - job.polls_at_submit
        next_s = self.policy.poll.delay(polls, self.rand)
        if job.callback_hash is None:
            return next_s
        return self._unless_called(job, next_s, self.policy.called_poll.delay(polls, self.rand))

    def stands_still(self, job: Job) -> bool:
        """Whether the provider has told nothing new of the remote job for half of the time that it may."""
        if job.moved_at is None:
            return False
        longest_s = min(self.policy.stall_s, job.deadline_at - (job.submitted_at or job.created_at))
        return self.now - job.moved_at >= longest_s / 2

    def _unless_called(self, job: Job, delay_s: float, called_s: float) -> float:
        """The slower delay of a job that may be called back, which may never happen: polling must suffice.

        So it is never more than half of the time that is left before the deadline.
        """
        if job.callback_hash is None:
            return delay_s
        return max(delay_s, min(called_s, (job.deadline_at - self.now) / 2))


def because(visit: Visit) -> str:
    """Why the step came to its outcome, cut to what is kept."""
    reason = str(getattr(visit.outcome, "reason", "") or getattr(visit.outcome, "excerpt", ""))
    return reason[:_LONGEST_REASON]


def finish(visit: Visit, state: State, reason: str | None) -> Job:
    """The job at its end."""
    return visit.becomes(
        state=state,
        due_at=None,
        reason=reason,
        finished_at=visit.now,
        links=(),
        cancel_requested=False,
        callback_hash=None,
        hinted=False,
    )

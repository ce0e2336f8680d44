"""The input of every rule of the state machine, and the rules that hold in every live state.

A rule takes the context and the outcome of a step, and returns the changed job. Each rule is typed by the outcomes that
it accepts.
"""

from dataclasses import replace
from random import Random
from typing import Any, Self

from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.failure_cause import cause_of
from tidewaiter.domain.immutable import immutable
from tidewaiter.domain.job import FAILURES, Job, State, fraction_of
from tidewaiter.domain.learned_schedule import LearnedSchedule, Progress

_LONGEST_REASON = 500
_ON_REQUEST = "cancelled on request"
_AFTER_PAUSE_S = 1.0
_AGAIN_SPREAD = 0.1


@immutable(frozen=True, slots=True)
class RuleContext:
    """The job before the step, the numbers of its operation, the time, and the source of jitter.

    ``version`` is the version of the job after the step. ``learned`` is what earlier jobs say about its polls.
    """

    job: Job
    policy: OperationPolicy
    now: float
    rand: Random
    version: int
    learned: LearnedSchedule | None = None

    @property
    def waiting_state(self) -> State:
        """The state in which the job waits for the request of its stage."""
        return self.policy.stages.waits_in(self.job)

    def becomes(self, **changes: Any) -> Job:
        """The job with these changes, at its next version."""
        return self.job.but(version=self.version, **changes)

    def of(self, job: Job) -> Self:
        """The same context for a job that an earlier part of the rule has changed."""
        return replace(self, job=job)

    def retry_in(self, failures: int, retry_after_s: float | None = None, *, exact: bool = False) -> float:
        """Seconds until the same step may be tried again, after this many failures before this one."""
        return self.not_before(self.policy.retry.delay(failures, self.rand), retry_after_s, exact=exact)

    def not_before(self, delay_s: float, retry_after_s: float | None, *, exact: bool = False) -> float:
        """The later of our own delay and the server's Retry-After within floor and cap.

        If the spec says that the server's value is ``exact``, it replaces our own.
        Source: RFC 9110, section 10.2.3.
        """
        if retry_after_s is None:
            return delay_s
        clamped = self.policy.clamp(retry_after_s)
        return clamped if exact else max(delay_s, clamped)

    def first_poll_in(self, job: Job) -> float:
        """Seconds from now to the first poll."""
        share = 1.0 - self.policy.poll.jitter * self.rand.random()
        first_s = self.policy.first_delay_s * share
        if self.learned is not None and is_timed(job):
            planned_s = self.learned.first_in(self.policy, self._elapsed_s(job), self.rand)
            first_s = first_s if planned_s is None else planned_s
        return self._slower_with_callback(job, first_s, self.policy.called_first_delay_s * share)

    def next_poll_in(self, job: Job, progress: str | None = None) -> float:
        """Seconds until the next poll of a remote job that is not ready, and reports this progress."""
        polls = job.polls - job.polls_at_submit
        next_s = self.policy.poll.delay(polls, self.rand)
        if self.learned is not None and is_timed(job):
            elapsed_s, seen = self._elapsed_s(job), self._progress(job, progress)
            next_s = self.learned.next_in(
                self.policy, elapsed_s, polls + 1, configured_s=next_s, progress=seen, rand=self.rand
            )
        if job.callback_hash is None:
            return next_s
        return self._slower_with_callback(job, next_s, self.policy.called_poll.delay(polls, self.rand))

    def _elapsed_s(self, job: Job) -> float:
        return max(0.0, self.now - (job.submitted_at or self.now))

    def _progress(self, job: Job, progress: str | None) -> Progress | None:
        """The progress as a number, beside that of the poll before."""
        done = fraction_of(progress)
        if done is None:
            return None
        before_at_s = None
        if job.submitted_at is not None and job.polled_at is not None and job.polled_at >= job.submitted_at:
            before_at_s = job.polled_at - job.submitted_at
        return Progress(self._elapsed_s(job), done, before_at_s, fraction_of(job.progress))

    def is_stalled(self, job: Job) -> bool:
        """Whether the provider has reported nothing new about the remote job for half of the permitted time."""
        if job.moved_at is None:
            return False
        longest_s = min(self.policy.stall_s, job.deadline_at - (job.submitted_at or job.created_at))
        return self.now - job.moved_at >= longest_s / 2

    def _slower_with_callback(self, job: Job, delay_s: float, called_s: float) -> float:
        """The slower delay of a job that expects a callback.

        The callback may never come, so the delay is at most half of the time before the deadline.
        """
        if job.callback_hash is None:
            return delay_s
        return max(delay_s, min(called_s, (job.deadline_at - self.now) / 2))


def is_timed(job: Job) -> bool:
    """Whether the time since the submit says how long the remote job takes: it was made by it, and is not ready."""
    return job.submitted_at is not None and job.ready_at is None and not job.shared


def cut(reason: str) -> str:
    """A reason, cut to the length that the database stores."""
    return reason[:_LONGEST_REASON]


def finish(context: RuleContext, state: State, reason: str | None) -> Job:
    """The job in a terminal state. The progress that a poll reported is out of date."""
    return context.becomes(
        state=state,
        due_at=None,
        progress=None,
        reason=reason,
        finished_at=context.now,
        links=(),
        cancel_requested=False,
        callback_hash=None,
        hinted=False,
        poll_at=None,
        cause=cause_of(reason) if reason and state in FAILURES else None,
    )


def try_again(context: RuleContext, reason: str, retry_after_s: float | None = None, *, exact: bool = False) -> Job:
    """The job with one more failure, due for the same step after a growing delay."""
    failures = context.job.failures + 1
    return context.becomes(
        due_at=context.now + context.retry_in(failures - 1, retry_after_s, exact=exact),
        failures=failures,
        reason=cut(reason),
    )


# --- another submit ---------------------------------------------------------------------------------------------------


def submit_anew(context: RuleContext, wait_s: float, reason: str) -> Job:
    """The job as before its submit, due after a delay; nothing is left of the remote job that it had.

    The unique key and the counters stay. An intent whose outcome is unknown keeps its key: a provider that knows such
    keys makes no second remote job. Where there was a remote job, no submit is in doubt any more.
    """
    job = context.job
    unknowns = job.unknowns if job.handle is None else 0
    return context.becomes(
        state=State.QUEUED,
        due_at=context.now + wait_s,
        handle=None,
        shared=False,
        intent_key=job.intent_key if unknowns else None,
        unknowns=unknowns,
        callback_hash=None,
        stage=None,
        kept={},
        failures=0,
        hinted=False,
        progress=None,
        links=(),
        ready_at=None,
        poll_at=None,
        expiries=0,
        expired_at=None,
        reason=cut(reason),
    )


def failed_for_now(context: RuleContext, outcome: o.FailedForNow) -> Job:
    """Submit again after a growing delay, a limited number of times, if the deadline leaves the time.

    A job whose remote job was reused has not submitted yet: if it cannot wait, it submits at once.
    """
    found, job, policy, reason = context, context.job, context.policy, cut(outcome.reason)
    if job.state is State.POLLING:
        job = job.but(polls=job.polls + 1)
        context = context.of(job)
    if job.agains >= policy.most_agains:
        return finish(context, State.FAILED, cut(f"submitted again {_times(job.agains)}, without success: {reason}"))
    delay_s = policy.again.delay(job.agains, context.rand) * (1.0 + _AGAIN_SPREAD * context.rand.random())
    wait_s = context.not_before(delay_s, outcome.retry_after_s)
    if context.now + wait_s >= job.deadline_at:
        if job.is_reused:
            return reused_failed(found, reason)
        return finish(context, State.FAILED, cut(f"the deadline leaves no time to submit again: {reason}"))
    number = job.agains + 1
    return submit_anew(context, wait_s, f"submitting again, {number} of {policy.most_agains}: {reason}").but(
        agains=number
    )


def reused_failed(context: RuleContext, reason: str) -> Job:
    """A remote job that was reused is of no use: make one, without another search.

    That is no failure of the job and is not counted; only a job that was never polled looks for one to reuse.
    """
    polled = context.job.but(polls=max(1, context.job.polls + int(context.job.state is State.POLLING)))
    return submit_anew(context.of(polled), 0.0, f"submitting, because the reused remote job is of no use: {reason}")


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


# --- every live state -------------------------------------------------------------------------------------------------


def retry(context: RuleContext, outcome: o.Retry) -> Job:
    """The same step again, later."""
    return try_again(context, outcome.reason, outcome.retry_after_s)


def storage_full(context: RuleContext, outcome: o.StorageFull) -> Job:
    """The same step again, later."""
    return try_again(context, outcome.reason)


def account_closed(context: RuleContext, outcome: o.Throttled | o.Unauthorized) -> Job:
    """The account is paused; the job is due again as soon as the pause ends."""
    return context.becomes(due_at=context.now + _AFTER_PAUSE_S * context.rand.random(), reason=cut(outcome.reason))


def interrupted(context: RuleContext, _outcome: o.Interrupted) -> Job:
    """The same step again, as soon as a daemon serves the lane."""
    return context.becomes(due_at=context.now)


def refused(context: RuleContext, outcome: o.Refused) -> Job:
    """The provider refuses the job permanently."""
    polled = int(context.job.state is State.POLLING)
    job = context.becomes(polls=context.job.polls + polled)
    return finish(context.of(job), State.FAILED, cut(outcome.reason))


def step_started(context: RuleContext, _outcome: o.StepStarted) -> Job:
    """Count the step before it begins: if the daemon ends in it, the next step comes after a growing delay.

    Other jobs, which were under way at the same time and are not the cause, end their steps meanwhile. The step goes on
    with the count before, so that its outcome takes this one back.
    """
    crashes = context.job.crashes
    return context.becomes(crashes=crashes + 1, due_at=context.now + context.retry_in(crashes))


def crashed(context: RuleContext, outcome: o.Crashed) -> Job:
    """The same step again, a limited number of times, because the job itself may cause the crash."""
    crashes = context.job.crashes + 1
    if crashes >= context.policy.most_crashes:
        return finish(context, State.FAILED, f"{crashes} steps crashed: {cut(outcome.reason)}")
    return try_again(context, outcome.reason).but(crashes=crashes)


def expire(context: RuleContext, outcome: o.DeadlinePassed) -> Job:
    """The job has waited too long."""
    return finish(context, State.EXPIRED, cut(outcome.reason))


# --- cancelling -------------------------------------------------------------------------------------------------------


def cancel(context: RuleContext, outcome: o.CancelAsked) -> Job:
    """Send the provider a cancel request, if it has one; else the job ends at once."""
    if context.job.handle is None or not context.policy.cancels:
        return cancelled(context, outcome)
    return context.becomes(state=State.CANCELLING, due_at=context.now, failures=0, links=())


def cancelled(context: RuleContext, outcome: o.CancelAsked | o.Cancelled | o.LeftAlone) -> Job:
    """The job ends as requested. The reason says so, and what is known of a remote job that may continue."""
    job = context.job
    if isinstance(outcome, o.LeftAlone):
        rest = "; the remote job was left alone, because other jobs follow it or none of Tidewaiter's has made it"
    elif isinstance(outcome, o.CancelAsked) and job.state is State.PARKED and job.reason:
        rest = f"; it was parked: {job.reason}"
    elif isinstance(outcome, o.CancelAsked) and job.handle is not None:
        rest = "; the provider has no cancel request, so the remote job may continue"
    else:
        rest = ""
    return finish(context, State.CANCELLED, cut(_ON_REQUEST + rest))


def cancelled_without_reply(context: RuleContext, outcome: o.Retry | o.Refused | o.Crashed | o.DeadlinePassed) -> Job:
    """The job ends as requested, but the remote job may continue."""
    return finish(context, State.CANCELLED, cut(f"{_ON_REQUEST}; the remote job was not cancelled: {outcome.reason}"))


def cancel_failed(context: RuleContext, outcome: o.Retry | o.Crashed) -> Job:
    """Send the cancel request again, a limited number of times."""
    if context.job.failures + 1 >= context.policy.most_cleanups:
        return cancelled_without_reply(context, outcome)
    return try_again(context, outcome.reason, outcome.retry_after_s if isinstance(outcome, o.Retry) else None)

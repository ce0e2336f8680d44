"""The outcome of the replies to the requests before the submit, and to those that start the remote job.

A request before the submit may be repeated, so its defaults are those of other such requests. One that starts the
remote job must not be sent twice, so every unclear reply is ``Unknown``, as for a submit.
"""

from collections.abc import Callable, Mapping
from typing import Final

from tidewaiter.domain.http_values import WireReply
from tidewaiter.domain.job import Job
from tidewaiter.domain.outcome import (
    FailedForNow,
    Gone,
    NotYet,
    Refused,
    Retry,
    StepDone,
    Throttled,
    Unauthorized,
    Unknown,
    Unsent,
)
from tidewaiter.providers.replies.messages import Messages
from tidewaiter.providers.replies.reply import Reading, is_own
from tidewaiter.providers.replies.reply_defaults import Trouble, is_success, unaccepted_submit
from tidewaiter.providers.replies.reply_headers import retry_after
from tidewaiter.providers.replies.reply_limits import NOT_BEFORE
from tidewaiter.providers.steps.compiled_operation import CompiledOperation
from tidewaiter.providers.steps.stage_steps import Prepared, Started, needed_stage
from tidewaiter.providers.steps.step_replies import by_sender, trouble_of

_BEFORE_ENDS: Final[Mapping[str | None, Callable[[str, float | None], NotYet | Trouble]]] = {
    "pending": NotYet,
    "refused": lambda reason, _: Refused(reason),
    "retry": Retry,
    "throttled": Throttled,
    "unauthorized": lambda reason, _: Unauthorized(reason),
}
_START_ENDS: Final[Mapping[str | None, Callable[[str, float | None], Started]]] = {
    "refused": lambda reason, _: Refused(reason),
    "throttled": Throttled,
    "unauthorized": lambda reason, _: Unauthorized(reason),
    "unsent": lambda reason, _: Unsent(reason),
    "unknown": lambda reason, _: Unknown(reason),
    "gone": lambda reason, _: Gone(reason),
    "again": FailedForNow,
}
_GONE: Final = frozenset({404, 410})


def read_before(parts: CompiledOperation, job: Job, reply: WireReply, now: float) -> Prepared:
    """The outcome of a request before the submit."""
    reading = parts.reading(reply, needed_stage(parts.steps.before, job, parts.policy.stages.at(job)))
    return by_sender(_prepared(parts, job, reading, now), reply, parts.account.origin)


def _prepared(parts: CompiledOperation, job: Job, reading: Reading, now: float) -> Prepared:
    stage, messages = parts.policy.stages.at(job), parts.account.messages
    step = needed_stage(parts.steps.before, job, stage)
    verdict = step.rules.judge(reading)
    wait_s = retry_after(reading.headers, now)
    if verdict is not None and verdict.effect in _BEFORE_ENDS:
        return _BEFORE_ENDS[verdict.effect](verdict.reason_with(messages.reason(reading)), wait_s)
    is_done = verdict is not None and verdict.effect == "done"
    if not is_done and not is_success(reading.status):
        return trouble_of(reading, messages, own=parts.account.origin, now=now)
    kept = step.keep.read(job, reading, parts.account.own)
    if kept.fault is not None:
        return Refused(_unusable(messages, reading, kept.fault))
    if kept.lacking is not None:
        return Retry(_unusable(messages, reading, kept.lacking), wait_s, unreadable=reading.malformed)
    wait = NOT_BEFORE.in_header(reading, now)
    return StepDone(stage, wait.seconds, wait.exact, kept.values)


def read_start(parts: CompiledOperation, job: Job, reply: WireReply, now: float) -> Started:
    """The outcome of a request that starts the remote job."""
    reading = parts.reading(reply, needed_stage(parts.steps.start, job, parts.policy.stages.at(job)))
    outcome = _started(parts, job, reading, now)
    if isinstance(outcome, Throttled | Unauthorized | Gone) and not is_own(reply, parts.account.origin):
        # Such a request does not follow a redirect to another host, so that host has started nothing.
        return Unsent(outcome.reason)
    return outcome


def _started(parts: CompiledOperation, job: Job, reading: Reading, now: float) -> Started:
    stage, messages = parts.policy.stages.at(job), parts.account.messages
    step = needed_stage(parts.steps.start, job, stage)
    verdict = step.rules.judge(reading)
    wait_s = retry_after(reading.headers, now)
    if verdict is not None and verdict.effect in _START_ENDS:
        return _START_ENDS[verdict.effect](verdict.reason_with(messages.of_submit(reading)), wait_s)
    is_done = verdict is not None and verdict.effect == "done"
    if not is_done and reading.status in _GONE:
        return Gone(messages.reason(reading))
    if not is_done and not is_success(reading.status):
        return unaccepted_submit(reading.status, messages.of_submit(reading), wait_s)
    kept = step.keep.read(job, reading, parts.account.own)
    if kept.problem is not None:
        return Unknown(_unusable(messages, reading, kept.problem))
    wait = NOT_BEFORE.in_header(reading, now)
    return StepDone(stage, wait.seconds, wait.exact, kept.values)


def _unusable(messages: Messages, reading: Reading, problem: str) -> str:
    """Why a reply cannot be used: it cannot be read, or it has this problem."""
    return messages.unreadable(reading) if reading.malformed else f"{problem}: {messages.unmapped(reading)}"

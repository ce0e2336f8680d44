"""How replies to a submit, a poll and a question for a file's link become outcomes.

Nothing here raises because of what a provider sent. The rules of the spec decide first. Where no rule matches, the same
defaults hold for every provider:

* submit is conservative, because a second POST may make a second remote job: only what a provider certainly did not
  process is tried again, and every doubt is ``Unknown``;
* a poll that is refused for a time is ``Throttled`` or ``Retry``, a job that is not there is ``Gone``, and a reply that
  no rule matches is ``Unmapped``, never a guess;
* trouble with the account (429, 503, 401, 403) concerns the account, and only the provider's own origin can cause it.
"""

from typing import Final

from app.domain.job import Job
from app.domain.outcome import (
    Accepted,
    Duplicate,
    Empty,
    Gone,
    LinksExpired,
    NotYet,
    Pending,
    Ready,
    Refused,
    Retry,
    Throttled,
    Unauthorized,
    Unknown,
    Unmapped,
    Unsent,
)
from app.domain.wire import Link, WireReply
from app.providers.defaults import FILE_ENDS, FileTrouble, is_success, unaccepted_submit
from app.providers.effects import POLL_ENDS, SUBMIT_ENDS, Polled, Submitted
from app.providers.headers import retry_after
from app.providers.operation import Poll, Submit
from app.providers.operation_parts import OperationParts
from app.providers.reading import Reading, is_own
from app.providers.replies import polled_by_default, said, trouble_of, unreadable
from app.providers.results import TooMany
from app.providers.rules import READY, Verdict
from app.providers.urls import origin_of
from app.providers.waits import NOT_BEFORE

_NOT_READY: Final = 202


def read_submit(parts: OperationParts, job: Job, reply: WireReply, now: float) -> Submitted:
    """What became of a submit."""
    outcome = _submitted(parts, job, parts.reading(reply), now)
    if isinstance(outcome, Throttled | Unauthorized) and not is_own(reply, parts.account.origin):
        # A submit does not follow a redirect to another host, so that host has made no remote job.
        return Unsent(outcome.reason)
    return outcome


def _submitted(parts: OperationParts, job: Job, reading: Reading, now: float) -> Submitted:
    step, messages = parts.steps.submit.of(job), parts.account.messages
    if step is None:
        return Unknown(messages.unmapped(reading))
    verdict = parts.judged(step.rules, reading)
    effect = verdict.effect if verdict is not None else None
    wait_s = retry_after(reading.headers, now)
    if verdict is not None and effect is not None and effect in SUBMIT_ENDS:
        return SUBMIT_ENDS[effect](verdict.reason_with(messages.of_submit(reading)), wait_s)
    if verdict is not None and effect == "empty":
        return Empty(verdict.word)
    if effect == "ready" or (effect is None and is_success(reading.status) and _is_large_file(parts, job, reading)):
        return _file_in_submit(parts, job, step, reading, verdict)
    if effect is None and not is_success(reading.status):
        return unaccepted_submit(reading.status, messages.of_submit(reading), wait_s)
    handle = parts.handle(job, step, reading)
    if effect == "duplicate":
        return Duplicate(handle)
    if handle is None:
        fault = step.handle_fault(reading)
        named = "" if fault is None else f"the remote job is named by {fault}: "
        return Unknown(f"{named}{messages.nameless(reading)}")
    poll = parts.steps.poll.of(job)
    wait = (NOT_BEFORE if poll is None else poll.waits).in_header(reading, now)
    return Accepted(handle, wait.seconds, wait.exact)


def _is_large_file(parts: OperationParts, job: Job, reading: Reading) -> bool:
    """Whether this is the file itself, so long that no rule can look into its JSON; no refusal is that long."""
    results = parts.steps.results.of(job)
    return reading.truncated and results is not None and results.inline and not results.head


def _file_in_submit(
    parts: OperationParts, job: Job, step: Submit, reading: Reading, verdict: Verdict | None
) -> Submitted:
    results = parts.steps.results.of(job)
    if results is None:
        return Unknown(parts.account.messages.unmapped(reading))
    word, certain = (None, False) if verdict is None else (verdict.word, verdict.certain)
    return parts.inline(job, results, reading, word, parts.handle(job, step, reading), certain=certain)


def read_poll(parts: OperationParts, job: Job, reply: WireReply, now: float) -> Polled:
    """What a poll learned."""
    outcome = _polled(parts, job, parts.reading(reply), now)
    if isinstance(outcome, Gone) and origin_of(reply.url) == origin_of(job.handle or ""):
        return outcome  # a handle that is a URL on another host: that host knows its remote jobs
    return said(outcome, reply, parts.account.origin)


def _polled(parts: OperationParts, job: Job, reading: Reading, now: float) -> Polled:
    step, messages = parts.steps.poll.of(job), parts.account.messages
    if step is None:
        return Unmapped(messages.unmapped(reading))
    verdict = parts.judged(step.rules, reading)
    if verdict is None or verdict.effect is None:
        return polled_by_default(reading, verdict, messages, own=parts.account.origin, now=now)
    if verdict.effect in POLL_ENDS:
        reason = verdict.reason_with(messages.says(reading, verdict.word))
        return POLL_ENDS[verdict.effect](reason, retry_after(reading.headers, now))
    if verdict.effect == "empty":
        return Empty(verdict.word, parts.handle(job, step, reading))
    if verdict.effect in READY:
        return _ready(parts, job, step, reading, verdict)
    wait = step.waits.of(reading, now)
    progress = messages.note(step.progress(reading))
    return Pending(verdict.word, progress, wait.seconds, parts.handle(job, step, reading), wait.exact)


def _ready(parts: OperationParts, job: Job, step: Poll, reading: Reading, verdict: Verdict) -> Polled:
    results, handle = parts.steps.results.of(job), parts.handle(job, step, reading)
    messages, most_files = parts.account.messages, parts.account.bounds.most_files
    # A rule that says "partial" without a word gives that as the status.
    status = verdict.word or ("partial" if verdict.effect == "partial" else None)
    if results is None:
        return Unmapped(messages.unmapped(reading, verdict.word))
    is_body = results.inline and not results.head
    in_full = is_body and not reading.truncated and "json" in (parts.spec.media_type or "")
    if in_full and reading.document() is None and reading.malformed:
        # A body that was promised as JSON and is not JSON is a broken reply, whatever a rule has found in its text.
        return unreadable(reading, messages)
    if results.inline:
        return parts.inline(job, results, reading, status, handle, certain=verdict.certain)
    if results.listed is None:
        return Ready(status=status, handle=handle)
    links = results.listed(reading, most_files)
    if isinstance(links, TooMany):
        return Refused(
            f"the provider lists {links.files} files, and {most_files} are taken: "
            f"raise accounts.{job.account}.bounds.most_files, or ask for less"
        )
    if isinstance(links, tuple):
        return Ready(messages.labelled(tuple(map(parts.account.own.link, links))), status, handle)
    if links is None:
        return unreadable(reading, messages)
    return Unmapped(f"{links}: {messages.unmapped(reading, verdict.word)}")


def read_resolve(parts: OperationParts, job: Job, reply: WireReply, now: float) -> tuple[Link, ...] | FileTrouble:
    """The link to the file, or why there is none."""
    return said(_resolved(parts, job, parts.reading(reply), now), reply, parts.account.origin)


def _resolved(parts: OperationParts, job: Job, reading: Reading, now: float) -> tuple[Link, ...] | FileTrouble:
    results, messages = parts.steps.results.of(job), parts.account.messages
    verdict = None if results is None else results.rules.judge(reading)
    if verdict is not None and verdict.effect is not None:
        reason = verdict.reason_with(messages.reason(reading))
        return FILE_ENDS[verdict.effect](reason, retry_after(reading.headers, now))
    if results is None or not is_success(reading.status):
        if reading.status in (404, 410):
            return LinksExpired(messages.reason(reading))
        return trouble_of(reading, messages, own=parts.account.origin, now=now)
    url = results.resolved(reading)
    if url is not None:
        link = results.link(job, url, gzip=results.packed(reading), send_auth=results.trusts(reading))
        return messages.labelled((parts.account.own.link(link),))
    if reading.status == _NOT_READY:
        return NotYet(messages.reason(reading), retry_after(reading.headers, now))
    fault = results.unresolved(reading)
    return Retry(f"the reply names {fault or 'no URL of a file'}: {messages.unmapped(reading)}")

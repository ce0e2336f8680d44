"""The outcome of the reply to each step.

No reply raises an exception here. The rules of the spec decide first. If no rule matches, the same defaults apply to
every provider:

* submit is conservative, because a second POST may make a second remote job: only a request that the provider certainly
  did not process is sent again, and every unclear reply is ``Unknown``;
* a temporary refusal of a poll is ``Throttled`` or ``Retry``, a remote job that is not found is ``Gone``, and a reply
  that no rule matches is ``Unmapped``;
* 429, 503, 401 and 403 concern the account, if they come from the provider's own origin. No other host can throttle or
  refuse the account, or say that the remote job is gone.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar

from tidewaiter.domain.http_values import Link, WireReply
from tidewaiter.domain.job import Job
from tidewaiter.domain.outcome import (
    Accepted,
    Duplicate,
    Empty,
    FailedForNow,
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
from tidewaiter.domain.own_origins import OwnOrigins
from tidewaiter.providers.replies.messages import Messages
from tidewaiter.providers.replies.reply import Reading, host_of, is_own
from tidewaiter.providers.replies.reply_defaults import (
    BUSY,
    ENDING_ENDS,
    FILE_ENDS,
    POLL_ENDS,
    SUBMIT_ENDS,
    FileTrouble,
    Polled,
    Submitted,
    Trouble,
    file_trouble,
    from_other_host,
    is_success,
    missing_file,
    provider_trouble,
    storage_trouble,
    unaccepted_submit,
)
from tidewaiter.providers.replies.reply_headers import retry_after
from tidewaiter.providers.replies.reply_limits import NOT_BEFORE
from tidewaiter.providers.replies.reply_rules import READY, Rules, RuleVerdict
from tidewaiter.providers.results.listed_files import TooManyFiles
from tidewaiter.providers.results.nested_lists import NestedLists
from tidewaiter.providers.results.result_files import FileLists, Results
from tidewaiter.providers.steps.compiled_operation import CompiledOperation
from tidewaiter.providers.steps.compiled_steps import PollStep, RemoteJobEndStep, SubmitStep
from tidewaiter.providers.values.addresses import origin_of
from tidewaiter.providers.values.jmespath_expressions import is_true

T = TypeVar("T")


def by_sender(outcome: T, reply: WireReply, own: OwnOrigins) -> T | Retry:
    """The outcome of a step that may be repeated, limited to what the sender of the reply may decide."""
    return outcome if is_own(reply, own) else from_other_host(outcome, host_of(reply, own))


def trouble_of(reading: Reading, messages: Messages, *, own: OwnOrigins, now: float) -> Trouble:
    """The outcome of an error reply by its status, for a step that may be repeated."""
    wait_s, reason = retry_after(reading.headers, now), messages.reason(reading)
    if is_own(reading, own):
        return provider_trouble(reading.status, reason, wait_s)
    stored = storage_trouble(reading, lambda: reason, wait_s, own=False)
    outcome = stored or file_trouble(reading.status, reason, wait_s, own=False, authenticated=False, has_handle=True)
    # A host that needs other credentials says nothing about the remote job either.
    return Retry(reason, wait_s) if reading.status == 401 or isinstance(outcome, LinksExpired | NotYet) else outcome


def polled_by_default(
    reading: Reading, verdict: RuleVerdict | None, messages: Messages, *, own: OwnOrigins, now: float
) -> Gone | Unmapped | Trouble:
    """The outcome of a poll if no rule matches its reply; ``verdict`` may have a word that no rule knows."""
    if reading.malformed and is_success(reading.status):
        return unreadable(reading, messages)
    if reading.status in (404, 410):
        return Gone(messages.reason(reading))
    if 400 <= reading.status < 600:
        return trouble_of(reading, messages, own=own, now=now)
    return Unmapped(messages.unmapped(reading, verdict.word if verdict is not None else None))


def unreadable(reading: Reading, messages: Messages) -> Retry | Refused:
    """Invalid JSON may come from a proxy, so the poll is repeated; JSON that is too large stays too large."""
    reason = messages.unreadable(reading)
    return Retry(reason, unreadable=True) if reading.fault is None else Refused(reason)


def ended(
    step: RemoteJobEndStep | None, reading: Reading, messages: Messages, *, own: OwnOrigins, now: float
) -> Trouble | None:
    """Why a request to end the remote job failed; ``None`` if the remote job has ended."""
    verdict = None if step is None else step.rules.judge(reading)
    if verdict is not None and verdict.effect in ENDING_ENDS:
        reason = verdict.reason_with(messages.reason(reading))
        return ENDING_ENDS[verdict.effect](reason, retry_after(reading.headers, now))
    is_done = step is not None and reading.status in step.done
    if is_done or (verdict is not None and verdict.effect == "done"):
        return None
    return trouble_of(reading, messages, own=own, now=now)


def file_reply(
    reading: Reading,
    link: Link,
    rules: Rules | None,
    messages: Messages,
    *,
    own: OwnOrigins,
    has_handle: bool,
    now: float,
) -> FileTrouble | None:
    """Why a reply does not bring the file; ``None`` if it does.

    Args:
        reading: the head of the reply, with the first bytes of its body.
        link: the file.
        rules: of the spec, for replies in place of a file.
        messages: writes the reasons.
        own: the provider's own origins. Another host can only pause its own downloads, not the account.
        has_handle: whether there is a remote job that can be asked for new links.
        now: epoch seconds.
    """
    origin = origin_of(reading.url or link.url)
    # The provider's own origin is never paused as a file host, because its own links would wait, too.
    host = None if own.has(origin) else origin
    is_own_reply = host is None and not reading.foreign
    # Made only if something is wrong: it quotes the body, without its secrets.
    wait_s, reason = retry_after(reading.headers, now), partial(messages.reason, reading)
    verdict = None if rules is None else rules.judge(reading)
    if verdict is not None and verdict.effect is not None:
        outcome = FILE_ENDS[verdict.effect](verdict.reason_with(reason()), wait_s)
        # A file host knows whether its file is still there, and the spec says that only another submit brings it back.
        decides = is_own_reply or isinstance(outcome, FailedForNow)
        return outcome if decides else from_other_host(outcome, host)
    stored = storage_trouble(reading, reason, wait_s, own=is_own_reply)
    if stored is not None:
        return stored
    if is_success(reading.status):
        return missing_file(reading.status, wait_s)
    if not is_own_reply and reading.status in BUSY:
        return Retry(reason(), wait_s, host=host)
    return file_trouble(
        reading.status,
        reason(),
        wait_s,
        own=is_own_reply,
        authenticated=is_own_reply and link.send_auth,
        has_handle=has_handle,
    )


def read_submit(parts: CompiledOperation, job: Job, reply: WireReply, now: float) -> Submitted:
    """The outcome of a submit."""
    outcome = _submitted(parts, job, parts.reading(reply, parts.steps.submit.of(job)), now)
    if isinstance(outcome, Throttled | Unauthorized) and not is_own(reply, parts.account.origin):
        # A submit does not follow a redirect to another host, so that host has made no remote job.
        return Unsent(outcome.reason)
    return outcome


def _submitted(parts: CompiledOperation, job: Job, reading: Reading, now: float) -> Submitted:
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
    return _named(parts, job, step, reading, is_new=effect != "duplicate", now=now)


def _named(
    parts: CompiledOperation, job: Job, step: SubmitStep, reading: Reading, *, is_new: bool, now: float
) -> Accepted | Duplicate | Unknown:
    """The remote job that a reply names, new or not, with the values that are kept of the reply.

    A reply without one of them cannot be used, although a remote job may exist.
    """
    messages = parts.account.messages
    kept = step.keep.read(job, reading, parts.account.own)
    if kept.problem is not None:
        return Unknown(_unusable(messages, reading, kept.problem))
    handle = parts.handle(job, step, reading)
    if step.handle_from is not None:
        handle = step.handle_from(job.but(kept={**job.kept, **kept.values}))
        if handle is None:
            return Unknown(_unusable(messages, reading, "handle_from makes no handle of the values of this job"))
    if not is_new:
        return Duplicate(handle, kept.values)
    if handle is None:
        fault = step.handle_fault(reading)
        named = "" if fault is None else f"the remote job is named by {fault}: "
        return Unknown(f"{named}{messages.no_handle(reading)}")
    poll = parts.steps.poll.of(job)
    wait = (NOT_BEFORE if poll is None else poll.waits).in_header(reading, now)
    return Accepted(handle, wait.seconds, wait.exact, kept.values)


def _unusable(messages: Messages, reading: Reading, problem: str) -> str:
    """Why a reply cannot be used: it cannot be read, or it has this problem."""
    return messages.unreadable(reading) if reading.malformed else f"{problem}: {messages.unmapped(reading)}"


def _is_large_file(parts: CompiledOperation, job: Job, reading: Reading) -> bool:
    """Whether this is the file itself: too long for a rule to examine its JSON. No refusal is that long."""
    results = parts.steps.results.of(job)
    return reading.truncated and results is not None and results.is_body


def _file_in_submit(
    parts: CompiledOperation, job: Job, step: SubmitStep, reading: Reading, verdict: RuleVerdict | None
) -> Submitted:
    results = parts.steps.results.of(job)
    if results is None:
        return Unknown(parts.account.messages.unmapped(reading))
    word, certain = (None, False) if verdict is None else (verdict.word, verdict.certain)
    kept = step.keep.read(job, reading, parts.account.own).values
    return parts.inline(job, results, reading, word, parts.handle(job, step, reading), certain=certain, kept=kept)


def read_poll(parts: CompiledOperation, job: Job, reply: WireReply, now: float) -> Polled:
    """The outcome of a poll."""
    outcome = _polled(parts, job, parts.reading(reply, parts.steps.poll.of(job)), now)
    if isinstance(outcome, Gone | FailedForNow) and origin_of(reply.url) == origin_of(job.handle or ""):
        return outcome  # a handle that is a URL on another host: that host knows its remote jobs
    return by_sender(outcome, reply, parts.account.origin)


def _polled(parts: CompiledOperation, job: Job, reading: Reading, now: float) -> Polled:
    step, messages = parts.steps.poll.of(job), parts.account.messages
    if step is None:
        return Unmapped(messages.unmapped(reading))
    verdict = parts.judged(step.rules, reading)
    if verdict is None or verdict.effect is None:
        return polled_by_default(reading, verdict, messages, own=parts.account.origin, now=now)
    if verdict.effect in POLL_ENDS:
        reason = verdict.reason_with(messages.job_failure(reading, verdict.word))
        return POLL_ENDS[verdict.effect](reason, step.waits.of(reading, now).seconds)
    kept = _kept_of_poll(parts, job, step, reading, verdict)
    if not isinstance(kept, Mapping):
        return kept
    handle = parts.handle(job, step, reading)
    if verdict.effect == "empty":
        # Where replies list only new files, there are those of the earlier ones.
        return Ready((), verdict.word, handle, kept) if job.links else Empty(verdict.word, handle, kept)
    if verdict.effect in READY:
        # The values that this reply names decide, too, where the results are.
        job = job.but(kept={**job.kept, **kept}) if kept else job
        return _ready(parts, job, reading, verdict, handle=handle, kept=kept)
    wait = step.waits.of(reading, now)
    progress = messages.note(step.progress(reading))
    pending = Pending(verdict.word, progress, wait.seconds, handle, wait.exact, kept)
    return _with_early_files(parts, job.but(kept={**job.kept, **kept}) if kept else job, reading, pending)


def _with_early_files(parts: CompiledOperation, job: Job, reading: Reading, pending: Pending) -> Pending | Refused:
    """The outcome with the files that a running remote job has made already.

    A list with a fault is ignored: the remote job goes on, and the reply that says ready has a list as well.
    """
    results = parts.steps.results.of(job)
    if results is None or results.while_running is None or not is_true(results.while_running(reading.document())):
        return pending
    if isinstance(results.source, NestedLists):
        return replace(pending, lists=True)
    links = _listed(parts, job, reading, results)
    if isinstance(links, Refused):
        return links
    return replace(pending, links=links) if isinstance(links, tuple) else pending


def _listed(
    parts: CompiledOperation, job: Job, reading: Reading, results: Results
) -> tuple[Link, ...] | Refused | str | None:
    """The links in a reply, a refusal of too many, the fault of one, or ``None`` if the reply cannot be read."""
    most_files = parts.account.bounds.most_files
    if isinstance(results.source, FileLists):
        parts.account.messages.hide(results.source.reader.secrets(reading.document()))
    links = results.source.read(job, reading, most_files) if isinstance(results.source, FileLists) else ()
    if isinstance(links, TooManyFiles):
        return too_many_files(job, links.files, most_files)
    if isinstance(links, tuple):
        return parts.account.messages.redact_labels(tuple(map(parts.account.own.link, links)))
    return links


def too_many_files(job: Job, files: int, most: int) -> Refused:
    """The outcome if a provider lists more files than are accepted."""
    return Refused(
        f"the provider lists {files} files, and {most} are permitted: "
        f"raise accounts.{job.account}.bounds.most_files, or request fewer"
    )


def _kept_of_poll(
    parts: CompiledOperation, job: Job, step: PollStep, reading: Reading, verdict: RuleVerdict
) -> Mapping[str, str] | Refused | Retry | Unmapped:
    """The values that are kept of a reply to a poll, or why it cannot be used; only ``ready`` needs all of them.

    A value that cannot be kept does not end the job: the remote job runs on, and one odd reply may be the only one.
    """
    messages = parts.account.messages
    kept = step.keep.read(job, reading, parts.account.own)
    if kept.fault is not None:
        return Unmapped(f"{kept.fault}: {messages.unmapped(reading, verdict.word)}")
    if kept.lacking is None or verdict.effect not in READY:
        return kept.values
    if reading.document() is None and reading.malformed:
        return unreadable(reading, messages)
    return Unmapped(f"{kept.lacking}: {messages.unmapped(reading, verdict.word)}")


def _ready(
    parts: CompiledOperation,
    job: Job,
    reading: Reading,
    verdict: RuleVerdict,
    *,
    handle: str | None,
    kept: Mapping[str, str],
) -> Polled:
    results, messages = parts.steps.results.of(job), parts.account.messages
    # A rule that says "partial" without a word gives that as the status.
    status = verdict.word or ("partial" if verdict.effect == "partial" else None)
    if results is None:
        return Unmapped(messages.unmapped(reading, verdict.word))
    in_full = results.is_body and not reading.truncated and reading.form.lower() in (parts.spec.media_type or "")
    if in_full and reading.document() is None and reading.malformed:
        # If the file must be JSON, a body that is not JSON is a broken reply, whatever a rule has found in its text;
        # and so for XML.
        return unreadable(reading, messages)
    if results.is_inline:
        return parts.inline(job, results, reading, status, handle, certain=verdict.certain, kept=kept)
    if not isinstance(results.source, FileLists):
        first = isinstance(results.source, NestedLists) and results.source.levels[0].begins_with_poll
        return Ready(status=status, handle=handle, kept=kept, lists=first)
    links = _listed(parts, job, reading, results)
    if isinstance(links, Refused):
        return links
    if isinstance(links, tuple):
        return Ready(links, status, handle, kept)
    if links is None:
        return unreadable(reading, messages)
    return Unmapped(f"{links}: {messages.unmapped(reading, verdict.word)}")

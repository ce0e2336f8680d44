"""The interpreter: a job becomes a request, a reply becomes an outcome.

No IO and no clock, and nothing here raises because of what a provider sent. The rules of the spec speak first. Where
none does, the same defaults hold for every provider:

* submit is conservative, because a second POST may make a second remote job: only what a provider surely did not
  process is tried again, and whatever leaves a doubt is ``Unknown``;
* a poll that is refused for a while is ``Throttled`` or ``Retry``, a job that is not there is ``Gone``, and a reply
  of which nobody speaks is ``Unmapped``, never a guess;
* trouble with the account (429, 503, 401, 403) is the account's, and only the provider's own origin can cause it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from app.domain.bounds import USUAL, Bounds
from app.domain.job import Job
from app.domain.jsonvalue import Json
from app.domain.outcome import (
    Accepted,
    Cancelled,
    Cleaned,
    Duplicate,
    Empty,
    Gone,
    Inline,
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
from app.domain.schedule import Policy
from app.domain.wire import Link, SealedLinks, WireReply, WireRequest
from app.providers.adoption import Adoption
from app.providers.checks import check_params
from app.providers.defaults import (
    BUSY,
    FILE_ENDS,
    FileTrouble,
    Trouble,
    file_trouble,
    is_success,
    missing_file,
    provider_trouble,
    unaccepted_submit,
)
from app.providers.download_plan import Asked, Decision, FileHead, decide
from app.providers.faults import UnsendableError
from app.providers.headers import retry_after
from app.providers.messages import Messages
from app.providers.operation import Choice, Ending, Poll, S, Steps, Submit
from app.providers.own import OwnCredentials
from app.providers.pages import PageReader
from app.providers.reading import Reading
from app.providers.results import Results, TooMany
from app.providers.rules import READY, Rules, Verdict
from app.providers.sharing import Sharing
from app.providers.spec.provider import OperationSpec
from app.providers.storage_errors import storage_trouble
from app.providers.urls import origin_of
from app.providers.waits import NOT_BEFORE

Submitted: TypeAlias = Accepted | Duplicate | Inline | Ready | Throttled | Unauthorized | Refused | Unsent | Unknown
Polled: TypeAlias = Pending | Ready | Inline | Empty | Gone | Unmapped | Retry | Throttled | Unauthorized | Refused
Fetched: TypeAlias = FileTrouble

_NOT_READY = 202

_SUBMIT_ENDS: Mapping[str, Callable[[str, float | None], Submitted]] = {
    "refused": lambda reason, _: Refused(reason),
    "throttled": Throttled,
    "unauthorized": lambda reason, _: Unauthorized(reason),
    "unsent": lambda reason, _: Unsent(reason),
    "unknown": lambda reason, _: Unknown(reason),
}
_POLL_ENDS: Mapping[str, Callable[[str, float | None], Polled]] = {
    "failed": lambda reason, _: Refused(reason),
    "cancelled": lambda reason, _: Refused(reason),
    "gone": lambda reason, _: Gone(reason),
    "retry": Retry,
    "throttled": Throttled,
    "unauthorized": lambda reason, _: Unauthorized(reason),
}
_ENDING_ENDS: Mapping[str | None, Callable[[str, float | None], Trouble]] = {
    "refused": lambda reason, _: Refused(reason),
    "retry": Retry,
    "throttled": Throttled,
    "unauthorized": lambda reason, _: Unauthorized(reason),
}


@dataclass(frozen=True, slots=True)
class BoundOperation:
    """One operation under one account: it builds the requests of each step and reads the replies.

    Every method is pure. Those that build raise ``UnsendableError`` where the job lacks what the spec needs (a bug, or
    a spec that was changed under a waiting job); those that read never raise. ``now`` is epoch seconds, and serves
    only to understand a Retry-After that is a date.
    """

    name: str
    policy: Policy
    media_type: str | None
    origin: str
    spec: OperationSpec = field(repr=False)
    steps: Steps = field(repr=False)
    messages: Messages = field(repr=False)
    sharing: Sharing | None = None
    bounds: Bounds = USUAL
    own: OwnCredentials = field(default_factory=OwnCredentials, repr=False)

    def check_params(self, raw: Mapping[str, Json]) -> dict[str, Json]:
        """A job's parameters as they will be stored: typed, spelled as the spec spells them, with defaults.

        Raises:
            ParameterError: it lists every fault.
        """
        return check_params(self.spec, raw)

    def submit(self, job: Job, callback_url: str | None = None) -> WireRequest:
        """The request that makes the remote job; it wants a connection of its own."""
        return self._for_inline(job, _needed(self.steps.submit, job, "submit").build(job, callback_url))

    def may_answer_at_once(self, job: Job) -> bool:
        """Whether the reply to the submit may be the file."""
        step, results = self.steps.submit.of(job), self.steps.results.of(job)
        return (results is not None and results.inline) or (step is not None and step.rules.may_mean("ready"))

    def calls_back(self, job: Job) -> bool:
        """Whether the submit names the callback URL, where there is one."""
        step = self.steps.submit.of(job)
        return step is not None and step.names_callback

    def read_submit(self, job: Job, reply: WireReply, now: float) -> Submitted:
        """What became of a submit."""
        step, reading = self.steps.submit.of(job), Reading(reply, self.bounds.most_values)
        if step is None:
            return Unknown(self.messages.unmapped(reading))
        verdict = self._judged(step.rules, reading)
        effect = verdict.effect if verdict is not None else None
        wait_s = retry_after(reading.headers, now)
        if verdict is not None and effect is not None and effect in _SUBMIT_ENDS:
            return _SUBMIT_ENDS[effect](verdict.tell(self.messages.of_submit(reading)), wait_s)
        if effect == "ready" or (effect is None and is_success(reading.status) and self._is_large_answer(job, reading)):
            return self._answered_at_once(job, step, reading, verdict.word if verdict is not None else None)
        if effect is None and not is_success(reading.status):
            return unaccepted_submit(reading.status, self.messages.of_submit(reading), wait_s)
        handle = self._handle(job, step, reading)
        if effect == "duplicate":
            return Duplicate(handle)
        if handle is None:
            fault = step.handle_fault(reading)
            named = "" if fault is None else f"the remote job is named by {fault}: "
            return Unknown(f"{named}{self.messages.nameless(reading)}")
        poll = self.steps.poll.of(job)
        wait = (NOT_BEFORE if poll is None else poll.waits).in_header(reading, now)
        return Accepted(handle, wait.seconds, wait.exact)

    def poll(self, job: Job) -> WireRequest:
        """The request that asks after the remote job."""
        return self._for_inline(job, _needed(self.steps.poll, job, "poll").build(job, None))

    def may_bring_file(self, job: Job) -> bool:
        """Whether the reply to a poll may be the file."""
        results = self.steps.results.of(job)
        return results is not None and results.inline

    def read_poll(self, job: Job, reply: WireReply, now: float) -> Polled:
        """What a poll learned."""
        step, reading = self.steps.poll.of(job), Reading(reply, self.bounds.most_values)
        if step is None:
            return Unmapped(self.messages.unmapped(reading))
        verdict = self._judged(step.rules, reading)
        if verdict is None or verdict.effect is None:
            return self._polled_by_default(reading, verdict, now)
        if verdict.effect in _POLL_ENDS:
            reason = verdict.tell(self.messages.says(reading, verdict.word))
            return _POLL_ENDS[verdict.effect](reason, retry_after(reading.headers, now))
        if verdict.effect == "empty":
            return Empty(verdict.word, self._handle(job, step, reading))
        if verdict.effect in READY:
            return self._ready(job, step, reading, verdict)
        return self._pending(job, step, reading, verdict, now)

    def resolve(self, job: Job) -> WireRequest | None:
        """The request that asks for the file's URL; ``None`` where ``links`` knows the links without asking."""
        results = self.steps.results.of(job)
        return results.resolve(job, None) if results is not None and results.resolve is not None else None

    def read_resolve(self, job: Job, reply: WireReply, now: float) -> tuple[Link, ...] | Fetched:
        """The link to the file, or why there is none."""
        results, reading = self.steps.results.of(job), Reading(reply, self.bounds.most_values)
        verdict = None if results is None else results.rules.judge(reading)
        if verdict is not None and verdict.effect is not None:
            reason = verdict.tell(self.messages.reason(reading))
            return FILE_ENDS[verdict.effect](reason, retry_after(reading.headers, now))
        if results is None or not is_success(reading.status):
            if reading.status in (404, 410):
                return LinksExpired(self.messages.reason(reading))
            return self._trouble(reading, now)
        url = results.resolved(reading)
        if url is not None:
            link = self.own.link(results.link(job, url, gzip=results.packed(reading)))
            return self.messages.labelled((link,))
        if reading.status == _NOT_READY:
            return NotYet(self.messages.reason(reading), retry_after(reading.headers, now))
        fault = results.unresolved(reading)
        return Retry(f"the reply names {fault or 'no URL of a file'}: {self.messages.unmapped(reading)}")

    def submits(self, job: Job) -> bool:
        """Whether a remote job is made for the job; without one its results can be asked for at once."""
        return self.steps.submit.of(job) is not None

    def pages(self, job: Job) -> PageReader | None:
        """Reads the job's results where they are a list over several pages."""
        results = self.steps.results.of(job)
        if results is None or results.pages is None:
            return None
        media_type = self.media_type or ("text/csv" if results.csv else "application/json")
        label = results.label(job) or self.name
        return PageReader(results.pages, self.messages, self.origin, label, media_type, results.csv, self.bounds)

    def adoption(self, job: Job) -> Adoption | None:
        """Finds the remote job of a submit that did not tell its name; ``None`` where the spec has no such list."""
        adopt = self.steps.adopt.of(job)
        if adopt is None:
            return None
        reader = PageReader(adopt.paged, self.messages, self.origin, bounds=self.bounds)
        return Adoption(adopt, reader, self.own)

    def links(self, job: Job) -> tuple[Link, ...]:
        """The links to the job's files where they are known: from the poll that said ready, or from the spec."""
        results = self.steps.results.of(job)
        if results is None or results.url is None:
            if isinstance(job.links, SealedLinks):
                raise UnsendableError("the links are encrypted still")
            return job.links
        return (results.link(job, results.url(job, None)),)

    def file_headers(self, job: Job) -> Mapping[str, str]:
        """What the spec adds to the headers of every request for a file."""
        results = self.steps.results.of(job)
        return {} if results is None else results.headers(job, None)

    def read_download(
        self, job: Job, link: Link, asked: Asked, reply: WireReply, *, now: float, largest_bytes: int
    ) -> Decision:
        """What the reply to a download means, and what is to be done next; see :mod:`app.providers.download_plan`.

        Args:
            job: whose file it is.
            link: the file.
            asked: how it was asked for.
            reply: its head; ``body`` holds the first bytes, unpacked where that can be done. They are left out of a 206
                that was asked for: amid a file any bytes may stand.
            now: epoch seconds.
            largest_bytes: a file that is announced as larger is refused.
        """
        return decide(
            asked,
            FileHead(reply.status, reply.headers, reply.body),
            trouble=self.read_file(job, link, reply, now),
            expected=link.media_type or self.media_type,
            largest_bytes=largest_bytes,
        )

    def read_file(self, job: Job, link: Link, reply: WireReply, now: float) -> NotYet | Fetched | None:
        """What the rules of the spec and the status say of a reply to a download; ``None`` where it brings a file.

        Only the provider's own origin can throttle or refuse the account; a file host has no say in that, and closes
        but itself. A link that is not served is asked for afresh: most often it has expired.
        """
        reading, results = Reading(reply, self.bounds.most_values), self.steps.results.of(job)
        origin = origin_of(reply.url or link.url)
        own = origin == self.origin
        wait_s = retry_after(reading.headers, now)
        verdict = results.rules.judge(reading) if results is not None else None
        if verdict is not None and verdict.effect is not None:
            reason = verdict.tell(self.messages.reason(reading))
            told = FILE_ENDS[verdict.effect](reason, wait_s)
            return told if own or not isinstance(told, Throttled) else Retry(reason, told.retry_after_s, host=origin)
        reason = self.messages.reason(reading)
        stored = storage_trouble(reading, reason, wait_s, own=own)
        if stored is not None:
            return stored
        if is_success(reading.status):
            return missing_file(reading.status, wait_s)
        if not own and reading.status in BUSY:
            return Retry(reason, wait_s, host=origin)
        return file_trouble(
            reading.status, reason, wait_s, own=own, proved=own and link.send_auth, named=job.handle is not None
        )

    def cancel(self, job: Job) -> WireRequest | None:
        """The request that stops the remote job; ``None`` where there is no such request, or no remote job."""
        return _ending_request(self.steps.cancel, job)

    def read_cancel(self, job: Job, reply: WireReply, now: float) -> Cancelled | Trouble:
        """Whether the remote job has been stopped."""
        return self._ended(self.steps.cancel.of(job), Reading(reply, self.bounds.most_values), now) or Cancelled()

    def clean(self, job: Job) -> WireRequest | None:
        """The request that deletes the remote job; ``None`` where there is no such request, or no remote job."""
        return _ending_request(self.steps.cleanup, job)

    def read_clean(self, job: Job, reply: WireReply, now: float) -> Cleaned | Trouble:
        """Whether the remote job has been deleted."""
        return self._ended(self.steps.cleanup.of(job), Reading(reply, self.bounds.most_values), now) or Cleaned()

    def _handle(self, job: Job, step: Submit | Poll, reading: Reading) -> str | None:
        """The handle that a reply gives, without credentials of ours; ``None`` where it gives none.

        A handle that was stored with credentials is replaced by the same one without them.
        """
        given = step.handle(reading)
        if given is not None or job.handle is None:
            return None if given is None else self.own.without(given)
        kept = self.own.without(job.handle)
        return None if kept == job.handle else kept

    def _judged(self, rules: Rules, reading: Reading) -> Verdict | None:
        """What a reply means, its word fit to be shown and stored."""
        verdict = rules.judge(reading)
        if verdict is None or verdict.word is None:
            return verdict
        return replace(verdict, word=self.messages.note(verdict.word))

    def _ended(self, step: Ending | None, reading: Reading, now: float) -> Trouble | None:
        """What stands in the way of the remote job's end; ``None`` where it has ended."""
        verdict = None if step is None else step.rules.judge(reading)
        if verdict is not None and verdict.effect in _ENDING_ENDS:
            reason = verdict.tell(self.messages.reason(reading))
            return _ENDING_ENDS[verdict.effect](reason, retry_after(reading.headers, now))
        is_done = step is not None and reading.status in step.done
        return None if is_done or (verdict is not None and verdict.effect == "done") else self._trouble(reading, now)

    def _for_inline(self, job: Job, request: WireRequest) -> WireRequest:
        """A request whose reply may be the file, with the headers of one; what the step sets itself stays."""
        results = self.steps.results.of(job)
        if results is None or not results.inline or not (more := results.headers(job, None)):
            return request
        given = {name.lower() for name in request.headers}
        added = {name: value for name, value in more.items() if name.lower() not in given}
        return replace(request, headers={**request.headers, **added})

    def _is_large_answer(self, job: Job, reading: Reading) -> bool:
        """Whether this is the file itself, so long that no rule can look into its JSON; no refusal is."""
        results = self.steps.results.of(job)
        return reading.truncated and results is not None and results.inline

    def _answered_at_once(self, job: Job, step: Submit, reading: Reading, word: str | None) -> Submitted:
        results = self.steps.results.of(job)
        if results is None:
            return Unknown(self.messages.unmapped(reading))
        return self._inline(job, results, reading, word, self._handle(job, step, reading))

    def _inline(self, job: Job, results: Results, reading: Reading, word: str | None, handle: str | None) -> Inline:
        media_type = reading.headers.get("content-type") or self.media_type
        return Inline(results.label(job) or self.name, media_type, word, handle)

    def _polled_by_default(self, reading: Reading, verdict: Verdict | None, now: float) -> Polled:
        if reading.malformed and is_success(reading.status):
            return self._unreadable(reading)
        if reading.status in (404, 410):
            return Gone(self.messages.reason(reading))
        if 400 <= reading.status < 600:
            return self._trouble(reading, now)
        return Unmapped(self.messages.unmapped(reading, verdict.word if verdict is not None else None))

    def _pending(self, job: Job, step: Poll, reading: Reading, verdict: Verdict, now: float) -> Pending:
        wait = step.waits.of(reading, now)
        progress = self.messages.note(step.progress(reading))
        return Pending(verdict.word, progress, wait.seconds, self._handle(job, step, reading), wait.exact)

    def _ready(self, job: Job, step: Poll, reading: Reading, verdict: Verdict) -> Polled:
        results, handle = self.steps.results.of(job), self._handle(job, step, reading)
        # A rule that says "partial" without a word says it in the place of one.
        status = verdict.word or ("partial" if verdict.effect == "partial" else None)
        if results is None:
            return Unmapped(self.messages.unmapped(reading, verdict.word))
        in_full = results.inline and not reading.truncated and "json" in (self.media_type or "")
        if in_full and reading.document() is None and reading.malformed:
            # What was promised as JSON and is none is a broken reply, whatever a rule has found in its text.
            return self._unreadable(reading)
        if results.inline:
            return self._inline(job, results, reading, status, handle)
        if results.listed is None:
            return Ready(status=status, handle=handle)
        links = results.listed(reading, self.bounds.most_files)
        if isinstance(links, TooMany):
            return Refused(
                f"the provider lists {links.files} files, and {self.bounds.most_files} are taken: "
                f"raise accounts.{job.account}.bounds.most_files, or ask for less"
            )
        if isinstance(links, tuple):
            return Ready(self.messages.labelled(tuple(map(self.own.link, links))), status, handle)
        if links is None:
            return self._unreadable(reading)
        return Unmapped(f"{links}: {self.messages.unmapped(reading, verdict.word)}")

    def _unreadable(self, reading: Reading) -> Retry | Refused:
        """JSON that is none may come from a proxy; what is too much, or too large, comes again."""
        reason = self.messages.unread(reading)
        return Retry(reason, unreadable=True) if reading.why is None else Refused(reason)

    def _trouble(self, reading: Reading, now: float) -> Trouble:
        wait_s = retry_after(reading.headers, now)
        return provider_trouble(reading.status, self.messages.reason(reading), wait_s)


def _needed(choice: Choice[S], job: Job, step: str) -> S:
    chosen = choice.of(job)
    if chosen is None:
        raise UnsendableError(f"operation {job.operation!r} has no {step} for this job")
    return chosen


def _ending_request(choice: Choice[Ending], job: Job) -> WireRequest | None:
    step = choice.of(job) if job.handle is not None else None
    return None if step is None else step.build(job, None)

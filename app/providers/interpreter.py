"""The interpreter: a job becomes a request, a reply becomes an outcome.

No IO and no clock, and nothing here raises because of what a provider sent. The rules of the spec speak first. Where
none does, the same defaults hold for every provider:

* submit is conservative, because a second POST may make a second remote job: only what a provider surely did not
  process is tried again, and whatever leaves a doubt is ``Unknown``;
* a poll that is refused for a while is ``Throttled`` or ``Retry``, a job that is not there is ``Gone``, and a reply
  of which nobody speaks is ``Unmapped``, never a guess;
* trouble with the account (429, 503, 401, 403) is the account's, and only the provider's own origin can cause it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

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
from app.providers.checks import check_params, unlisted_values
from app.providers.defaults import (
    FILE_ENDS,
    FileTrouble,
    Trouble,
    is_success,
    unaccepted_submit,
)
from app.providers.download_plan import Asked, Decision, FileHead, decide
from app.providers.effects import POLL_ENDS, SUBMIT_ENDS, Polled, Submitted
from app.providers.faults import UnsendableError
from app.providers.headers import retry_after
from app.providers.heads import head_of
from app.providers.messages import Messages
from app.providers.operation import Choice, Ending, Poll, Steps, Submit
from app.providers.own import OwnCredentials
from app.providers.pages import PageReader
from app.providers.reading import Reading, is_own
from app.providers.replies import ended, file_reply, polled_by_default, said, trouble_of, unreadable
from app.providers.results import Results, TooMany
from app.providers.rules import READY, Rules, Verdict
from app.providers.sharing import Sharing
from app.providers.spec.provider import OperationSpec
from app.providers.urls import origin_of
from app.providers.waits import NOT_BEFORE

_ANY_CALLBACK: Final = "https://callback.invalid/"
_NOT_READY: Final = 202


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

    def unlisted(self, params: Mapping[str, Json]) -> list[tuple[str, str]]:
        """The checked parameters that go out although the spec does not know them: where, and what a person reads."""
        return unlisted_values(self.spec, params)

    def submit(self, job: Job, callback_url: str | None = None) -> WireRequest:
        """The request that makes the remote job; it wants a connection of its own."""
        return self._for_inline(job, self.steps.submit.needed(job, "submit").build(job, callback_url))

    def may_answer_at_once(self, job: Job) -> bool:
        """Whether the reply to the submit may be the file."""
        step, results = self.steps.submit.of(job), self.steps.results.of(job)
        return (results is not None and results.inline) or (step is not None and step.rules.may_mean("ready"))

    def calls_back(self, job: Job) -> bool:
        """Whether the submit of this job would name the callback URL: not where the job has an address of its own.

        Raises:
            UnsendableError: the job lacks what the submit needs.
        """
        step = self.steps.submit.of(job)
        if step is None or not step.names_callback:
            return False
        return step.build(job, _ANY_CALLBACK) != step.build(job, None)

    def policy_of(self, job: Job) -> Policy:
        """The policy for this job: its variant of the submit may say otherwise whether a repetition does harm."""
        step = self.steps.submit.of(job)
        if step is None or step.repeatable is None:
            return self.policy
        return replace(self.policy, repeatable=step.repeatable)

    def read_submit(self, job: Job, reply: WireReply, now: float) -> Submitted:
        """What became of a submit."""
        told = self._read_submit(job, reply, now)
        if isinstance(told, Throttled | Unauthorized) and not is_own(reply, self.origin):
            # Only what merely asks is led to another host; see app.transport.redirects.
            return Unsent(told.reason)
        return told

    def _read_submit(self, job: Job, reply: WireReply, now: float) -> Submitted:
        step, reading = self.steps.submit.of(job), Reading(reply, self.bounds.most_values)
        if step is None:
            return Unknown(self.messages.unmapped(reading))
        verdict = self._judged(step.rules, reading)
        effect = verdict.effect if verdict is not None else None
        wait_s = retry_after(reading.headers, now)
        if verdict is not None and effect is not None and effect in SUBMIT_ENDS:
            return SUBMIT_ENDS[effect](verdict.tell(self.messages.of_submit(reading)), wait_s)
        if verdict is not None and effect == "empty":
            return Empty(verdict.word)
        if effect == "ready" or (effect is None and is_success(reading.status) and self._is_large_answer(job, reading)):
            return self._answered_at_once(job, step, reading, verdict)
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
        return self._for_inline(job, self.steps.poll.needed(job, "poll").build(job, None))

    def may_bring_file(self, job: Job) -> bool:
        """Whether the reply to a poll may be the file."""
        results = self.steps.results.of(job)
        return results is not None and results.inline

    def read_poll(self, job: Job, reply: WireReply, now: float) -> Polled:
        """What a poll learned."""
        told = self._read_poll(job, reply, now)
        if isinstance(told, Gone) and origin_of(reply.url) == origin_of(job.handle or ""):
            return told  # a handle that is a URL on another host: that host knows its remote jobs
        return said(told, reply, self.origin)

    def _read_poll(self, job: Job, reply: WireReply, now: float) -> Polled:
        step, reading = self.steps.poll.of(job), Reading(reply, self.bounds.most_values)
        if step is None:
            return Unmapped(self.messages.unmapped(reading))
        verdict = self._judged(step.rules, reading)
        if verdict is None or verdict.effect is None:
            return polled_by_default(reading, verdict, self.messages, own=self.origin, now=now)
        if verdict.effect in POLL_ENDS:
            reason = verdict.tell(self.messages.says(reading, verdict.word))
            return POLL_ENDS[verdict.effect](reason, retry_after(reading.headers, now))
        if verdict.effect == "empty":
            return Empty(verdict.word, self._handle(job, step, reading))
        if verdict.effect in READY:
            return self._ready(job, step, reading, verdict)
        return self._pending(job, step, reading, verdict, now)

    def resolve(self, job: Job) -> WireRequest | None:
        """The request that asks for the file's URL; ``None`` where ``links`` knows the links without asking."""
        results = self.steps.results.of(job)
        return results.resolve(job, None) if results is not None and results.resolve is not None else None

    def read_resolve(self, job: Job, reply: WireReply, now: float) -> tuple[Link, ...] | FileTrouble:
        """The link to the file, or why there is none."""
        return said(self._read_resolve(job, reply, now), reply, self.origin)

    def _read_resolve(self, job: Job, reply: WireReply, now: float) -> tuple[Link, ...] | FileTrouble:
        results, reading = self.steps.results.of(job), Reading(reply, self.bounds.most_values)
        verdict = None if results is None else results.rules.judge(reading)
        if verdict is not None and verdict.effect is not None:
            reason = verdict.tell(self.messages.reason(reading))
            return FILE_ENDS[verdict.effect](reason, retry_after(reading.headers, now))
        if results is None or not is_success(reading.status):
            if reading.status in (404, 410):
                return LinksExpired(self.messages.reason(reading))
            return trouble_of(reading, self.messages, own=self.origin, now=now)
        url = results.resolved(reading)
        if url is not None:
            link = results.link(job, url, gzip=results.packed(reading), send_auth=results.trusts(reading))
            link = self.own.link(link)
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

    def read_file(self, job: Job, link: Link, reply: WireReply, now: float) -> FileTrouble | None:
        """What the rules of the spec and the status say of a reply to a download; ``None`` where it brings a file.

        Only the provider's own origin can throttle or refuse the account; a file host has no say in that, and closes
        but itself. A link that is not served is asked for afresh: most often it has expired.
        """
        results = self.steps.results.of(job)
        rules = results.rules if results is not None else None
        reading = Reading(reply, self.bounds.most_values)
        return file_reply(reading, link, rules, self.messages, own=self.origin, named=job.handle is not None, now=now)

    def cancel(self, job: Job) -> WireRequest | None:
        """The request that stops the remote job; ``None`` where there is no such request, or no remote job."""
        return _ending_request(self.steps.cancel, job)

    def read_cancel(self, job: Job, reply: WireReply, now: float) -> Cancelled | Trouble:
        """Whether the remote job has been stopped."""
        step = self.steps.cancel.of(job)
        return self._ended(step, reply, now) or Cancelled()

    def clean(self, job: Job) -> WireRequest | None:
        """The request that deletes the remote job; ``None`` where there is no such request, or no remote job."""
        return _ending_request(self.steps.cleanup, job)

    def read_clean(self, job: Job, reply: WireReply, now: float) -> Cleaned | Trouble:
        """Whether the remote job has been deleted."""
        step = self.steps.cleanup.of(job)
        return self._ended(step, reply, now) or Cleaned()

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

    def _ended(self, step: Ending | None, reply: WireReply, now: float) -> Trouble | None:
        reading = Reading(reply, self.bounds.most_values)
        return said(ended(step, reading, self.messages, own=self.origin, now=now), reply, self.origin)

    def _for_inline(self, job: Job, request: WireRequest) -> WireRequest:
        """A request whose reply may be the file, with the headers of one; what the step sets itself stays."""
        results = self.steps.results.of(job)
        if results is None or not results.inline or not (more := results.headers(job, None)):
            return request
        return request.with_headers(more)

    def _is_large_answer(self, job: Job, reading: Reading) -> bool:
        """Whether this is the file itself, so long that no rule can look into its JSON; no refusal is."""
        results = self.steps.results.of(job)
        return reading.truncated and results is not None and results.inline and not results.head

    def _answered_at_once(self, job: Job, step: Submit, reading: Reading, verdict: Verdict | None) -> Submitted:
        results = self.steps.results.of(job)
        if results is None:
            return Unknown(self.messages.unmapped(reading))
        handle = self._handle(job, step, reading)
        if verdict is None:
            return self._inline(job, results, reading, None, handle)
        return replace(self._inline(job, results, reading, verdict.word, handle), certain=verdict.certain)

    def _inline(self, job: Job, results: Results, reading: Reading, word: str | None, handle: str | None) -> Inline:
        label = results.label(job) or self.name
        if results.head:
            return Inline(label, "application/json", word, handle, head_of(reading))
        media_type = reading.headers.get("content-type") or self.media_type
        return Inline(label, media_type, word, handle)

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
        is_body = results.inline and not results.head
        in_full = is_body and not reading.truncated and "json" in (self.media_type or "")
        if in_full and reading.document() is None and reading.malformed:
            # What was promised as JSON and is none is a broken reply, whatever a rule has found in its text.
            return unreadable(reading, self.messages)
        if results.inline:
            return replace(self._inline(job, results, reading, status, handle), certain=verdict.certain)
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
            return unreadable(reading, self.messages)
        return Unmapped(f"{links}: {self.messages.unmapped(reading, verdict.word)}")


def _ending_request(choice: Choice[Ending], job: Job) -> WireRequest | None:
    step = choice.of(job) if job.handle is not None else None
    return None if step is None else step.build(job, None)

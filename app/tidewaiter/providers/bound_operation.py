"""One operation under one account: it builds the requests of each step and reads the replies.

This is the class that a provider in Python extends (:mod:`tidewaiter.sdk`). Its methods do no IO and look at no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from tidewaiter.domain.backoff_and_limits import Bounds, OperationPolicy
from tidewaiter.domain.http_values import Json, Link, SealedLinks, WireReply, WireRequest
from tidewaiter.domain.job import Job
from tidewaiter.domain.outcome import Cancelled, Cleaned, Retry
from tidewaiter.providers.credentials.own_credentials import OwnCredentials
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.replies.reply_defaults import FileTrouble, Polled, Submitted, Trouble
from tidewaiter.providers.results.download_replies import Decision, DownloadRequest, FileHead, decide
from tidewaiter.providers.results.paged_lists import PagePosition, PageReader
from tidewaiter.providers.results.result_files import JoinedPages, OneFile
from tidewaiter.providers.results.result_sharing import Sharing
from tidewaiter.providers.steps import step_replies
from tidewaiter.providers.steps.compiled_operation import CompiledOperation
from tidewaiter.providers.steps.compiled_steps import RemoteJobEndStep, Steps
from tidewaiter.providers.steps.file_listing import listing_of
from tidewaiter.providers.steps.kept_values import NOTHING_KEPT
from tidewaiter.providers.steps.parameters import check_params, unlisted_values
from tidewaiter.providers.steps.remote_job_search import RemoteJobSearch, ReuseSearch
from tidewaiter.providers.steps.stage_replies import read_before, read_start
from tidewaiter.providers.steps.stage_steps import Prepared, Started, needed_stage, with_own_key
from tidewaiter.providers.steps.step_replies import by_sender, ended, file_reply
from tidewaiter.providers.steps.step_variants import StepVariants

_ANY_CALLBACK: Final = "https://callback.invalid/"
_JOINED_AS: Final = {"csv": "text/csv", "json": "application/json", "jsonl": "application/x-ndjson"}


@dataclass(frozen=True, slots=True)
class BoundOperation:
    """One operation under one account, as its spec describes it.

    The methods of a step come in pairs: one builds the request, one reads the reply. Those that build raise
    ``UnsendableError`` if the job lacks a value; nothing is sent then. Methods that read never raise.
    ``now`` is epoch seconds, and serves only to understand a Retry-After that is a date.

    A reply may come from another host, after a redirect: ``reply.url`` says from where.
    """

    parts: CompiledOperation

    # --- submit -------------------------------------------------------------------------------------------------------

    def submit(self, job: Job, callback_url: str | None = None) -> WireRequest:
        """The request that makes the remote job.

        Args:
            job: the job, which has no handle yet; ``job.intent_key`` is the same for each repetition of one intent.
            callback_url: where the provider can report the end of the remote job; ``None`` if callbacks are off.

        Returns:
            A request with ``fresh=True``: it gets a new connection, because a kept-alive connection may close
            under a submit and leave its outcome unknown. It is committed as an intent first, then sent at most once.

        Raises:
            UnsendableError: the job lacks a value for the request.
        """
        return self._for_inline(job, self.parts.steps.submit.needed(job, "submit").build(job, callback_url))

    def read_submit(self, job: Job, reply: WireReply, now: float) -> Submitted:
        """The outcome of a submit.

        Returns:
            ``Accepted`` with the handle of the remote job, ``Duplicate`` if it existed before, ``Inline`` or ``Ready``
            if the results are ready, ``Unsent`` if the provider certainly made nothing, ``Refused``, ``Throttled``,
            ``Unauthorized``, and ``Unknown`` for every unclear reply.
        """
        return step_replies.read_submit(self.parts, job, reply, now)

    # --- before the submit and after it -------------------------------------------------------------------------------

    def before(self, job: Job) -> WireRequest:
        """The request of the job's stage, which comes before the submit. It may be sent any number of times.

        Raises:
            UnsendableError: the job lacks a value for the request, or the spec does not have this stage any more.
        """
        stage = self.policy.stages.at(job)
        return needed_stage(self.parts.steps.before, job, stage).build(job, None)

    def read_before(self, job: Job, reply: WireReply, now: float) -> Prepared:
        """The outcome of a request before the submit: ``StepDone``, ``NotYet``, or why it failed."""
        return read_before(self.parts, job, reply, now)

    def start(self, job: Job) -> WireRequest:
        """The request of the job's stage, which starts the remote job. An intent is committed first, as for a submit.

        Raises:
            UnsendableError: the job lacks a value for the request, or the spec does not have this stage any more.
        """
        stage = self.policy.stages.at(job)
        return needed_stage(self.parts.steps.start, job, stage).build(with_own_key(job, stage), None)

    def read_start(self, job: Job, reply: WireReply, now: float) -> Started:
        """The outcome of a request that starts the remote job: ``StepDone``, or as for a submit; ``Gone``."""
        return read_start(self.parts, job, reply, now)

    # --- poll ---------------------------------------------------------------------------------------------------------

    def poll(self, job: Job) -> WireRequest:
        """The request that asks for the status of the remote job.

        It may be sent any number of times, so a repetition must do no harm.

        Args:
            job: the job; ``job.handle`` names the remote job, ``job.remote_status`` is the status of the last reply.

        Raises:
            UnsendableError: the job lacks a value for the request.
        """
        return self._for_inline(job, self.parts.steps.poll.needed(job, "poll").build(job, None))

    def read_poll(self, job: Job, reply: WireReply, now: float) -> Polled:
        """The outcome of a poll.

        Returns:
            ``Pending`` (poll again later), ``Ready`` with the links or without, ``Inline`` if the reply is the file,
            ``Empty`` if there is no file, ``Gone`` if the provider does not know the remote job, ``Retry``,
            ``Refused``, ``Throttled``, ``Unauthorized``, and ``Unmapped`` for a reply that no rule matches.
        """
        return step_replies.read_poll(self.parts, job, reply, now)

    # --- results ------------------------------------------------------------------------------------------------------

    def resolve(self, job: Job) -> WireRequest | None:
        """The request for the link to the file; ``None`` if :meth:`links` has the links without a request.

        Raises:
            UnsendableError: the job lacks a value for the request.
        """
        listing = listing_of(self.parts, job)
        return None if listing is None or not listing.is_one_link else listing.request(job, 0, PagePosition())

    def read_resolve(self, job: Job, reply: WireReply, now: float) -> tuple[Link, ...] | FileTrouble:
        """The link to the file, or why there is none: ``LinksExpired``, ``NotYet``, ``Retry`` and others."""
        listing = listing_of(self.parts, job)
        return Retry("the spec has no such request") if listing is None else listing.read_link(job, reply, now)

    def links(self, job: Job) -> tuple[Link, ...]:
        """The links to the job's files, if they are known from the poll that said ready or from the spec.

        Raises:
            UnsendableError: the job lacks a value for the links.
        """
        results = self.parts.steps.results.of(job)
        if results is not None and isinstance(results.source, OneFile):
            request = results.source.build(job, "")
            return (results.requested(job, request, send_auth=results.source.send_auth),)
        if isinstance(job.links, SealedLinks):
            raise UnsendableError("the links are still encrypted")
        return job.links

    def read_file(self, job: Job, link: Link, reply: WireReply, now: float) -> FileTrouble | None:
        """Why a reply to a download brings no file; ``None`` if it brings one.

        Only the provider's own origin can throttle or refuse the account; another file host can pause only its own
        downloads. If a link does not work, a new one is requested, because it has usually expired.

        Args:
            job: the job.
            link: the file.
            reply: its status and headers; ``body`` has only the first bytes.
            now: epoch seconds.
        """
        results = self.parts.steps.results.of(job)
        rules = results.rules if results is not None else None
        reading, account = self.parts.reading(reply, results), self.parts.account
        return file_reply(
            reading, link, rules, account.messages, own=account.origin, has_handle=job.handle is not None, now=now
        )

    # --- the end of the remote job ------------------------------------------------------------------------------------

    def cancel(self, job: Job) -> WireRequest | None:
        """The request that stops the remote job; ``None`` if there is no such request or no remote job.

        Raises:
            UnsendableError: the job lacks a value for the request.
        """
        return _ending_request(self.parts.steps.cancel, job)

    def read_cancel(self, job: Job, reply: WireReply, now: float) -> Cancelled | Trouble:
        """``Cancelled`` if the remote job has stopped or was not found; else why it has not stopped."""
        return self._ended(self.parts.steps.cancel.of(job), reply, now) or Cancelled()

    def clean(self, job: Job) -> WireRequest | None:
        """The request that deletes the remote job; ``None`` if there is no such request or no remote job.

        Raises:
            UnsendableError: the job lacks a value for the request.
        """
        return _ending_request(self.parts.steps.cleanup, job)

    def read_clean(self, job: Job, reply: WireReply, now: float) -> Cleaned | Trouble:
        """``Cleaned`` if the remote job was deleted or not found; else why it was not deleted."""
        return self._ended(self.parts.steps.cleanup.of(job), reply, now) or Cleaned()

    # --- what else the worker needs ----------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name of the operation, as in the spec."""
        return self.parts.name

    @property
    def policy(self) -> OperationPolicy:
        """The numbers for the state machine, unless a variant of the submit says otherwise; see :meth:`policy_of`."""
        return self.parts.policy

    @property
    def media_type(self) -> str | None:
        """The media type of its files, if the spec gives one."""
        return self.parts.spec.media_type

    @property
    def steps(self) -> Steps:
        """The compiled steps."""
        return self.parts.steps

    @property
    def sharing(self) -> Sharing | None:
        """How jobs share one result; ``None`` if they do not."""
        return self.parts.sharing

    @property
    def bounds(self) -> Bounds:
        """The most that is read from the provider."""
        return self.parts.account.bounds

    @property
    def own(self) -> OwnCredentials:
        """The account's credentials, as they can occur in an address."""
        return self.parts.account.own

    def check_params(self, raw: Mapping[str, Json]) -> dict[str, Json]:
        """A job's parameters as they will be stored: typed, spelled as the spec spells them, with defaults.

        Raises:
            ParameterError: it lists every fault.
        """
        return check_params(self.parts.spec, raw)

    def unlisted(self, params: Mapping[str, Json]) -> list[tuple[str, str]]:
        """The checked values that are sent but are not in the spec: the path, and a message."""
        return unlisted_values(self.parts.spec, params)

    def policy_of(self, job: Job) -> OperationPolicy:
        """The policy for this job: its variant of the submit, or its stage, may have its own ``repeatable``."""
        if self.policy.stages.starts(job):
            variants = self.parts.steps.start.get(self.policy.stages.at(job))
            starting = None if variants is None else variants.of(job)
            return replace(self.policy, repeatable=starting is not None and starting.repeatable)
        step = self.parts.steps.submit.of(job)
        if step is None or step.repeatable is None:
            return self.policy
        return replace(self.policy, repeatable=step.repeatable)

    def submits(self, job: Job) -> bool:
        """Whether the job needs a remote job; without one its results can be requested at once."""
        return self.parts.steps.submit.of(job) is not None

    def prepares(self, job: Job) -> bool:
        """Whether the next request of a job that waits for its submit comes before the submit."""
        return self.policy.stages.at(job) in self.parts.steps.before

    def kept_by_stage(self, job: Job, given: Mapping[str, str]) -> dict[str, str] | str:
        """The values of a lost reply to the request of the job's stage, as a person gives them, or their fault."""
        steps = self.parts.steps
        if self.policy.stages.starts(job):
            stages = steps.start.get(self.policy.stages.at(job))
            step = None if stages is None else stages.of(job)
            keep = NOTHING_KEPT if step is None else step.keep
        else:
            submit = steps.submit.of(job)
            keep = NOTHING_KEPT if submit is None else submit.keep
        return keep.given(job, given, self.own)

    def calls_back(self, job: Job) -> bool:
        """Whether the submit of this job sends the callback URL, and not an address in the job's parameters.

        Raises:
            UnsendableError: the job lacks a value for the submit.
        """
        step = self.parts.steps.submit.of(job)
        if step is None or not step.names_callback:
            return False
        return step.build(job, _ANY_CALLBACK) != step.build(job, None)

    def may_answer_at_once(self, job: Job) -> bool:
        """Whether the reply to the submit may be the file."""
        step = self.parts.steps.submit.of(job)
        return self.may_bring_file(job) or (step is not None and step.rules.may_mean("ready"))

    def may_bring_file(self, job: Job) -> bool:
        """Whether the reply to a poll may be the file."""
        results = self.parts.steps.results.of(job)
        return results is not None and results.is_inline

    def pages(self, job: Job) -> PageReader | None:
        """Reads the job's results if they are a list over several pages; else ``None``."""
        results, account = self.parts.steps.results.of(job), self.parts.account
        if results is None or not isinstance(results.source, JoinedPages):
            return None
        pages, join = results.source.pages, results.source.join
        return PageReader(
            pages,
            account.messages,
            account.origin,
            results.label(job) or self.name,
            self.media_type or _JOINED_AS[join],
            csv=join == "csv",
            lines=join == "jsonl",
            bounds=account.bounds,
        )

    def adoption(self, job: Job) -> RemoteJobSearch | None:
        """Finds the remote job of a submit with an unknown outcome; ``None`` if the spec has no ``adopt``."""
        adopt, account = self.parts.steps.adopt.of(job), self.parts.account
        if adopt is None:
            return None
        return RemoteJobSearch(
            adopt, PageReader(adopt.paged, account.messages, account.origin, bounds=account.bounds), self.own
        )

    def unpack(self, job: Job) -> str | None:
        """How the file in a reply is packed: gzip, or a kind of archive; ``None`` if it lands as it comes."""
        results = self.parts.steps.results.of(job)
        return None if results is None else results.unpack

    def reuse(self, job: Job, now: float) -> ReuseSearch | None:
        """Finds a remote job that this one can use in place of its own; ``None`` if it must have its own.

        Only before its first request: after a remote job that was reused and failed, the job makes its own.

        Args:
            job: the job.
            now: epoch seconds, from which the age of remote jobs is counted.
        """
        reuse, account = self.parts.steps.reuse.of(job), self.parts.account
        began = job.submits or job.polls or job.stage is not None
        if reuse is None or began or not reuse.is_for({**self.parts.steps.reuse.defaults, **job.params}):
            return None
        bounds = replace(account.bounds, most_pages=min(account.bounds.most_pages, reuse.most_pages))
        reader = PageReader(reuse.paged, account.messages, account.origin, bounds=bounds)
        return ReuseSearch(reuse, reader, now, self.own)

    def file_headers(self, job: Job) -> Mapping[str, str]:
        """The headers that the spec adds to every request for a file."""
        results = self.parts.steps.results.of(job)
        return {} if results is None else results.headers(job, None)

    def read_download(
        self, job: Job, link: Link, asked: DownloadRequest, reply: WireReply, *, now: float, largest_bytes: int
    ) -> Decision:
        """What the reply to a download means, and what to do; see :mod:`tidewaiter.providers.results.download_replies`.

        Args:
            job: the job.
            link: the file.
            asked: the request for the file.
            reply: its head; ``body`` has the first bytes, decoded if possible. They are left out of a requested 206:
                bytes in the middle of a file prove nothing.
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

    def _ended(self, step: RemoteJobEndStep | None, reply: WireReply, now: float) -> Trouble | None:
        account = self.parts.account
        reading = self.parts.reading(reply, step)
        return by_sender(ended(step, reading, account.messages, own=account.origin, now=now), reply, account.origin)

    def _for_inline(self, job: Job, request: WireRequest) -> WireRequest:
        """A request whose reply may be the file, with the headers for files; headers of the step itself stay."""
        results = self.parts.steps.results.of(job)
        if results is None or not results.is_inline or not (more := results.headers(job, None)):
            return request
        return request.with_headers(more)


def _ending_request(choice: StepVariants[RemoteJobEndStep], job: Job) -> WireRequest | None:
    step = choice.of(job) if job.handle is not None else None
    return None if step is None else step.build(job, None)

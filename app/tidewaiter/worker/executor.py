"""The executor: takes one step of a job and returns one outcome. The only place that turns exceptions into outcomes.

A step goes downwards only: the executor picks the step for the job's state, the step asks the provider through its
session, and the reply is read as an outcome. The account observer decides what a reply means for the account, and the
state table what an outcome means for the job.
"""

import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import Link, SealedLinks, WireReply
from tidewaiter.domain.job import CANCELLED_AT_ONCE, Job, RemoteJobEndDecision, State, remote_job_end_decision
from tidewaiter.domain.poll_transitions import has_moved
from tidewaiter.log import EventLog
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.steps.file_listing import NamedFile, listing_of, with_kept_values
from tidewaiter.transport.reply_bodies import ReplyBeginning
from tidewaiter.transport.wire import AccountClosedError, AccountPausedError, LeaseOverError
from tidewaiter.worker.authenticated_client import SignInError
from tidewaiter.worker.committer import Committer
from tidewaiter.worker.early_files import EarlyFiles
from tidewaiter.worker.file_walk import FileWalk
from tidewaiter.worker.job_download import not_open
from tidewaiter.worker.outcome_texts import cleaned, expired
from tidewaiter.worker.page_walk import ListWalk
from tidewaiter.worker.result_fetcher import ResultFetcher
from tidewaiter.worker.reusing import Reuser
from tidewaiter.worker.secret_opening import SecretOpening
from tidewaiter.worker.step_context import StepContext, SupersededError
from tidewaiter.worker.submitting import Reconciler, Submitter, share
from tidewaiter.worker.uploads import UploadError

_UNREADABLE: Final = (
    "the stored links to the files cannot be decrypted: database.key_file lacks the key that encrypted them"
)
_ENDED_DAEMON: Final = "the daemon ended during the last steps of this job, each time before the step could report"
_COUNTED_OTHERWISE: Final = frozenset({State.SUBMITTING, State.FETCHING})
_REUSE_TRIES: Final = 2


class Executor:
    """Takes steps.

    Args:
        fetcher: lands files.
        jobs: knows which jobs follow a remote job, and has the keys to what is encrypted.
        committer: makes durable what must be, before a step goes on.
        clock: the time.
        rand: makes the keys of intents and spreads retries.
        log: takes secrets out of every outcome before it is stored.
        public_url: where providers can call back; ``None`` if they cannot.
    """

    def __init__(
        self,
        fetcher: ResultFetcher,
        jobs: JobStore,
        committer: Committer,
        *,
        clock: Clock,
        rand: Random,
        log: EventLog,
        public_url: str | None = None,
    ) -> None:
        self._fetcher = fetcher
        self._committer = committer
        self._submitter = Submitter(fetcher, committer, clock=clock, rand=rand, log=log, public_url=public_url)
        self._reuser = Reuser(jobs, clock, log)
        self._reconciler = Reconciler(jobs, clock)
        self._endings = RemoteJobEndings(jobs, clock)
        self._stored_links = jobs.links
        self._secrets = SecretOpening(jobs.seal, log.redactor)
        self._early = EarlyFiles(fetcher, self._walk, self._known_links)
        self._clock = clock
        self._rand = rand
        self._log = log

    def asks_provider(self, job: Job, operation: BoundOperation) -> bool:
        """Whether the next step of this job begins with a request to the provider, which the budget must admit."""
        if job.cancel_requested and job.state in CANCELLED_AT_ONCE:
            return False
        if job.state is State.QUEUED:
            return operation.submits(job) or operation.prepares(job)
        if job.state is State.RECONCILING:
            return operation.adoption(job) is not None and not operation.policy.stages.starts(job)
        return job.state in (State.STARTING, State.POLLING, State.CLEANING, State.CANCELLING)

    async def take(self, step: StepContext) -> o.Outcome:
        """Take the step that is due and return its outcome.

        Raises:
            SupersededError: job or lane changed meanwhile; there is nothing to commit.
        """
        clean = self._log.redactor.clean
        try:
            outcome = await self._take(step)
        except SupersededError:
            raise
        except SignInError as error:
            outcome = step.session.not_signed_in(error)
        except UnsendableError as error:
            outcome = _not_built(step.job, error)
        except (AccountPausedError, LeaseOverError) as error:
            # The next request was not sent; the requests before it are done.
            return self.interrupted(step, str(error))
        except StoreUnavailableError:
            return self.interrupted(step)
        except MemoryError:
            raise  # not this job's fault: the daemon ends, and starts again with all its memory
        except Exception as error:  # noqa: BLE001  # an error in a step must never end the lane
            reason = clean(f"{type(error).__name__}: {error} ({_place_of(error)})")
            return o.Crashed(reason, sent=step.session.sent)
        anew = isinstance(outcome, o.FailedForNow) or (isinstance(outcome, o.Refused) and step.job.is_reused)
        if anew and step.job.state is State.FETCHING:
            await self.drop_parts(step.job)  # another remote job makes other files
        return cleaned(outcome, clean)

    @staticmethod
    def interrupted(step: StepContext, why: str = "the daemon was stopped while the submit was under way") -> o.Outcome:
        """The outcome of a step that was interrupted."""
        if step.job.state is State.SUBMITTING and step.session.sent:
            return o.Unknown(why)
        return o.Interrupted()

    @staticmethod
    def cancelled(step: StepContext) -> o.Outcome:
        """The outcome of a step that a cancel request stopped; an interruption if a remote job may exist by now."""
        return o.CancelAsked() if step.job.state in CANCELLED_AT_ONCE else Executor.interrupted(step)

    async def drop_parts(self, job: Job) -> None:
        """Remove what a download has left for a later one."""
        await self._fetcher.drop_parts(job)

    async def _take(self, step: StepContext) -> o.Outcome:
        with self._secrets.opened(step) as unreadable:
            return await self._next(step, unreadable)

    async def _next(self, step: StepContext, unreadable: o.Outcome | None) -> o.Outcome:
        job = step.job
        if job.cancel_requested and job.state in CANCELLED_AT_ONCE:
            if job.state is State.FETCHING:
                await self.drop_parts(job)
            return o.CancelAsked()
        if step.suspect and job.state not in _COUNTED_OTHERWISE:
            if job.crashes >= step.operation.policy_of(job).most_crashes:
                return o.Crashed(_ENDED_DAEMON)
            await step.count(self._committer, self._clock.now(), self._rand)
            job = step.job
        if self._clock.now() >= job.deadline_at and job.state is not State.SUBMITTING:
            return await self._expire(step)
        return unreadable or await _STEPS[job.state](self, step)

    # --- submitting ---------------------------------------------------------------------------------------------------

    async def _begin(self, step: StepContext) -> o.Outcome:
        if step.shared_result is None and (found := await self._reuse(step)) is not None:
            return found
        return await self._submitter.begin(step)

    async def _start(self, step: StepContext) -> o.Outcome:
        return await self._submitter.start(step)

    async def _interrupted_submit(self, _: StepContext) -> o.Outcome:
        return o.Unknown("the daemon ended between the intent and the reply")

    async def _reconcile(self, step: StepContext) -> o.Outcome:
        job, operation = step.job, step.operation
        if operation.policy.stages.starts(job):
            return o.Undecidable(job.reason or f"the outcome of {job.stage} is unknown")
        adoption = operation.adoption(job)
        if adoption is None:
            return o.Undecidable(job.reason or "the submit's outcome is unknown")
        return await self._reconciler.find(job, adoption, operation.policy, self._walk(step))

    def _walk(self, step: StepContext, *, waits: bool = True) -> ListWalk:
        return ListWalk(step.job, step.session, self._clock, self._rand, waits=waits)

    async def _reuse(self, step: StepContext) -> o.Reused | o.Retry | None:
        """The remote job that is used in place of a new one; ``None`` if the job is submitted."""
        search = step.operation.reuse(step.job, self._clock.now())
        if search is None or step.job.failures:
            return None
        walk = ListWalk(step.job, step.session, self._clock, self._rand, tries=_REUSE_TRIES)
        return await self._reuser.find(step.job, search, walk)

    # --- polling ------------------------------------------------------------------------------------------------------

    async def _poll(self, step: StepContext) -> o.Outcome:
        operation, job, session = step.operation, step.job, step.session
        async with session.open_reply(operation.poll(job), may_be_file=operation.may_bring_file(job)) as beginning:
            if not isinstance(beginning, ReplyBeginning):
                return beginning
            read = await session.read(beginning.reply, partial(operation.read_poll, job))
            outcome = await self._land_polled(step, read, beginning) if isinstance(read, o.Inline | o.Empty) else read
        if isinstance(outcome, o.Pending | o.Ready) and (outcome.links or outcome.lists or job.links):
            outcome = await self._early.find(step, outcome, beginning.reply)
        if isinstance(outcome, o.Pending) and (still_s := self._still_for(job, outcome)) >= operation.policy.stall_s:
            reason = f"for {still_s:.0f} s the provider reported nothing new about the job"
            # A reused remote job that stands still is of no use, but this job has not been submitted yet.
            return o.Refused(reason) if job.is_reused else await self._expire(step, reason)
        return outcome

    async def _land_polled(self, step: StepContext, read: o.Inline | o.Empty, beginning: ReplyBeginning) -> o.Outcome:
        """Land the file that the reply to a poll contains, or only the manifest, under the handle in the reply.

        Returns:
            The outcome of the poll; if nothing landed, the next poll asks again.
        """
        job = step.job.but(handle=read.handle or step.job.handle)
        if isinstance(read, o.Inline):
            landed = await self._fetcher.land_reply(job, step.operation, read, beginning)
        else:
            landed = await self._fetcher.land_no_files(job, read)
        outcome = landed
        if isinstance(landed, o.Stored):
            outcome = replace(landed, handle=read.handle, kept=read.kept)
        elif isinstance(landed, o.NotYet):
            outcome = o.Pending(retry_after_s=landed.retry_after_s)
        elif isinstance(landed, o.LinksExpired):
            outcome = o.Retry(landed.reason)
        step.session.report(outcome)
        return outcome

    def _still_for(self, job: Job, read: o.Pending) -> float:
        """For how many seconds the provider has reported nothing new, this reply included."""
        return 0.0 if job.moved_at is None or has_moved(job, read) else self._clock.now() - job.moved_at

    # --- fetching -----------------------------------------------------------------------------------------------------

    async def _fetch(self, step: StepContext) -> o.Outcome:
        """Count the download before it begins, get the links, land the files."""
        begun = o.FetchStarted(step.suspect)
        started = step.update(begun, self._clock.now(), self._rand)
        if started.job.state is not State.FETCHING:  # the downloads before have used up their number
            return begun
        job = await step.commit(started, self._committer)
        if step.shared_result is not None:
            return await share(step, step.shared_result, self._fetcher)
        step.record_through(self._committer, self._clock, self._rand)
        pages = step.operation.pages(job)
        try:
            if pages is not None:
                # Downloads from other hosts go on while the account is closed: a step must not wait in their slots.
                return await self._fetcher.land_pages(step, pages, self._walk(step, waits=False))
            links = await self._links(step)
        except AccountClosedError as error:
            return not_open(error)
        land = self._fetcher.land_early if job.fetches_early else self._fetcher.land_files
        outcome = await land(step, links) if isinstance(links, tuple) else links
        return replace(outcome, kept=step.kept) if isinstance(outcome, o.Stored) and step.kept else outcome

    async def _links(self, step: StepContext) -> tuple[Link, ...] | o.Outcome:
        """The links of a remote job: known since the poll, or requested now if it has finished."""
        job, operation = step.job, step.operation
        if (request := operation.resolve(job)) is not None:
            named = await self._walk(step, waits=False).once(lambda: step.session.send(request, partial(_named, step)))
            if not isinstance(named, NamedFile):
                return named
            step.kept = named.kept
            return named.links
        listing = None if job.fetches_early else listing_of(operation.parts, job)
        if listing is not None and not (listing.begins_with_poll and job.links):
            walks = self._walk(step, waits=False), self._walk(step)
            return await FileWalk(job, listing, step.session, *walks).links()
        return await self._known_links(step)

    async def _known_links(self, step: StepContext) -> tuple[Link, ...] | o.Outcome:
        """The links that the last poll or the spec has named."""
        job, links = step.job, step.job.links
        if isinstance(links, SealedLinks):
            known = await self._stored_links.read(job.id, links)
            if known is None:
                named = {"job": job.id, "account": job.account, "operation": job.operation}
                self._log.emit("links.unreadable", **named, reason=_UNREADABLE)
                return o.LinksLost(_UNREADABLE)
            links = known
        return links if job.fetches_early else step.operation.links(job.but(links=links))

    # --- ending the remote job ----------------------------------------------------------------------------------------

    async def _clean_up(self, step: StepContext) -> o.Outcome:
        return await self._endings.clean(step)

    async def _cancel(self, step: StepContext) -> o.Outcome:
        return await self._endings.cancel(step)

    async def _expire(self, step: StepContext, waited: str | None = None) -> o.Outcome:
        """The job has waited too long: cancel the remote job once, if the provider can, and end the job."""
        return await self._endings.expire(step, waited or expired(step.job))


_STEPS: Mapping[State, Callable[[Executor, StepContext], Awaitable[o.Outcome]]] = {
    State.QUEUED: Executor._begin,
    State.SUBMITTING: Executor._interrupted_submit,
    State.RECONCILING: Executor._reconcile,
    State.STARTING: Executor._start,
    State.POLLING: Executor._poll,
    State.FETCHING: Executor._fetch,
    State.CLEANING: Executor._clean_up,
    State.CANCELLING: Executor._cancel,
}


class RemoteJobEndings:
    """Ends remote jobs, each once, by the last of our jobs that follow it.

    Args:
        jobs: knows which jobs follow a remote job.
        clock: the time.
    """

    def __init__(self, jobs: JobStore, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock

    async def clean(self, step: StepContext) -> o.Outcome:
        """Delete the remote job, whose files have landed."""
        request = step.operation.clean(step.job)
        if request is None:
            return o.Cleaned()
        if (left := await self._left_to_others(step)) is not None:
            return left
        return await step.session.send(request, partial(step.operation.read_clean, step.job))

    async def cancel(self, step: StepContext) -> o.Outcome:
        """Cancel the remote job on request."""
        request = step.operation.cancel(step.job)
        if request is None:
            return o.Cancelled()
        if (left := await self._left_to_others(step)) is not None:
            return left
        return await step.session.send(request, partial(step.operation.read_cancel, step.job))

    async def expire(self, step: StepContext, reason: str) -> o.DeadlinePassed:
        """End a job that has waited too long; its remote job is cancelled in one try, if the provider can cancel."""
        job, operation = step.job, step.operation
        try:
            request = operation.cancel(job) if job.handle is not None and operation.policy.cancels else None
        except UnsendableError as error:
            return o.DeadlinePassed(f"{reason}; the remote job could not be cancelled: {error}")
        if request is not None and await self._duty(job, operation) is RemoteJobEndDecision.ACT:
            try:
                was_answered = isinstance(await step.session.exchange(request), WireReply)
            except SignInError:
                was_answered = False
            if not was_answered:
                reason = f"{reason}; the remote job could not be cancelled"
        return o.DeadlinePassed(reason)

    async def _left_to_others(self, step: StepContext) -> o.LeftAlone | o.Retry | None:
        """The outcome if other jobs follow the same remote job; ``None`` if this job ends it."""
        duty = await self._duty(step.job, step.operation)
        if duty is RemoteJobEndDecision.LEAVE:
            return o.LeftAlone()
        if duty is RemoteJobEndDecision.WAIT:
            return o.Retry("another job that follows the same remote job is about to end it")
        return None

    async def _duty(self, job: Job, operation: BoundOperation) -> RemoteJobEndDecision:
        """What the job does about its remote job, which it no longer needs."""
        if not (job.shared or operation.policy.shares or operation.policy.reuses):
            return RemoteJobEndDecision.ACT
        return remote_job_end_decision(job, await self._jobs.followers(job), self._clock.now())


def _named(step: StepContext, reply: WireReply, now: float) -> NamedFile | o.Outcome:
    """What the reply to the request for the link has."""
    operation, job = step.operation, step.job
    return with_kept_values(operation.parts, job, reply, operation.read_resolve(job, reply, now))


def _not_built(job: Job, error: UnsendableError) -> o.Outcome:
    """The outcome if the next request cannot be built, because the spec has changed.

    Before the submit the job ends. Later a remote job or files exist, so the job waits for a corrected spec.
    """
    if isinstance(error, UploadError):
        return o.Refused(str(error)) if job.state is State.QUEUED else o.Retry(str(error))
    if job.state is State.QUEUED:
        return o.Refused(f"the submit cannot be built from the provider's spec as it is now: {error}")
    return o.Retry(f"the request cannot be built from the provider's spec as it is now; correct the spec: {error}")


def _place_of(error: Exception) -> str:
    """Where an exception was raised, as file and line: enough to find it, without the values that a traceback holds."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"

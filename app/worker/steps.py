"""The executor: takes one step of a job and returns one outcome. The only place that turns exceptions into outcomes.

A step goes downwards only: the executor picks the step for the job's state, the step asks the provider through its
session, and the reply is read as an outcome. What a reply means for the account is the account observer's business;
what an outcome means for the job is the state table's.
"""

import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from app.clock import Clock
from app.domain import outcome as o
from app.domain.job import CANCELLED_AT_ONCE, Job, State
from app.domain.rules import has_moved
from app.domain.wire import Link, SealedLinks
from app.log import EventLog
from app.providers.faults import UnsendableError
from app.providers.interpreter import BoundOperation
from app.store.engine import StoreUnavailableError
from app.store.jobs import JobStore
from app.transport.errors import AccountClosedError, AccountPausedError, LeaseOverError
from app.transport.stream_replies import Begun
from app.worker.ending import Endings
from app.worker.fetch import Fetcher
from app.worker.list_download import until_open
from app.worker.pages import Walk
from app.worker.reading import in_time
from app.worker.reconcile import Reconciler
from app.worker.recorder import Recorder
from app.worker.session import SignInError
from app.worker.submitting import Submitter, share
from app.worker.visit import SupersededError, Visit

_UNREADABLE: Final = (
    "the stored links to the files cannot be decrypted: database.key_file lacks the key that encrypted them"
)


class Stepper:
    """Takes steps.

    Args:
        fetcher: lands files.
        jobs: knows which jobs follow a remote job, and has the keys to what is encrypted.
        committer: makes durable what must be, before a step goes on.
        clock: the time.
        rand: makes the keys of intents and spreads retries.
        log: takes secrets out of every outcome before it is stored.
        public_url: where providers can call back; ``None`` where they cannot.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        jobs: JobStore,
        committer: Recorder,
        *,
        clock: Clock,
        rand: Random,
        log: EventLog,
        public_url: str | None = None,
    ) -> None:
        self._fetcher = fetcher
        self._committer = committer
        self._submitter = Submitter(fetcher, committer, clock=clock, rand=rand, log=log, public_url=public_url)
        self._reconciler = Reconciler(jobs, clock)
        self._endings = Endings(jobs, clock)
        self._seal = jobs.seal
        self._clock = clock
        self._rand = rand
        self._log = log

    def asks_provider(self, job: Job, operation: BoundOperation) -> bool:
        """Whether the next step of this job begins with a request to the provider, which its budget must admit."""
        if job.cancel_requested and job.state in CANCELLED_AT_ONCE:
            return False
        if job.state is State.QUEUED:
            return operation.submits(job)
        if job.state is State.RECONCILING:
            return operation.adoption(job) is not None
        return job.state in (State.POLLING, State.CLEANING, State.CANCELLING)

    async def take(self, step: Visit) -> o.Outcome:
        """Take the step that is due and return its outcome.

        Raises:
            SupersededError: the job or its lane has moved on; there is nothing to commit.
        """
        clean = self._log.redactor.clean
        try:
            outcome = await self._take(step)
        except SupersededError:
            raise
        except SignInError as error:
            outcome = step.session.not_signed_in(error)
        except UnsendableError as error:
            outcome = _unbuilt(step.job, error)
        except (AccountPausedError, LeaseOverError) as error:
            # The request that was to come next was not sent; what came before it is done.
            return self.interrupted(step, str(error))
        except StoreUnavailableError:
            return self.interrupted(step)
        except Exception as error:  # noqa: BLE001  # an error in a step must never end the lane
            reason = clean(f"{type(error).__name__}: {error} ({_place_of(error)})")
            return o.Crashed(reason, sent=step.session.sent)
        return _cleaned(outcome, clean)

    @staticmethod
    def interrupted(step: Visit, why: str = "the daemon was stopped while the submit was under way") -> o.Outcome:
        """The outcome of a step that was stopped half way."""
        if step.job.state is State.SUBMITTING and step.session.sent:
            return o.Unknown(why)
        return o.Interrupted()

    @staticmethod
    def cancelled(step: Visit) -> o.Outcome:
        """The outcome of a step that a cancel request stopped; the job waits where a remote job may exist by now."""
        return o.CancelAsked() if step.job.state in CANCELLED_AT_ONCE else Stepper.interrupted(step)

    async def drop_parts(self, job: Job) -> None:
        """Remove what a download has left for a later one."""
        await self._fetcher.drop_parts(job)

    async def _take(self, step: Visit) -> o.Outcome:
        job = step.job
        if job.cancel_requested and job.state in CANCELLED_AT_ONCE:
            if job.state is State.FETCHING:
                await self.drop_parts(job)
            return o.CancelAsked()
        if self._clock.now() >= job.deadline_at and job.state is not State.SUBMITTING:
            return await self._expire(step)
        return await _STEPS[job.state](self, step)

    # --- submitting ---------------------------------------------------------------------------------------------------

    async def _begin(self, step: Visit) -> o.Outcome:
        return await self._submitter.begin(step)

    async def _found_submitting(self, _: Visit) -> o.Outcome:
        return o.Unknown("the daemon ended between the intent and the answer")

    async def _reconcile(self, step: Visit) -> o.Outcome:
        job, operation = step.job, step.operation
        adoption = operation.adoption(job)
        if adoption is None:
            return o.Undecidable(job.reason or "the submit's outcome is unknown")
        return await self._reconciler.find(job, adoption, operation.policy, self._walk(step))

    def _walk(self, step: Visit, *, waits: bool = True) -> Walk:
        return Walk(step.job, step.session, self._clock, self._rand, waits=waits)

    # --- polling ------------------------------------------------------------------------------------------------------

    async def _poll(self, step: Visit) -> o.Outcome:
        operation, job, session = step.operation, step.job, step.session
        async with session.begin(operation.poll(job), may_be_file=operation.may_bring_file(job)) as begun:
            if not isinstance(begun, Begun):
                return begun
            read = await session.read(begun.reply, partial(operation.read_poll, job))
            outcome = await self._land_polled(step, read, begun) if isinstance(read, o.Inline | o.Empty) else read
        if isinstance(outcome, o.Pending) and (still_s := self._still_for(job, outcome)) >= operation.policy.stall_s:
            return await self._expire(step, f"for {still_s:.0f} s the provider told nothing new of the job")
        return outcome

    async def _land_polled(self, step: Visit, read: o.Inline | o.Empty, begun: Begun) -> o.Outcome:
        """Land the file that a reply to a poll is, or only the manifest, under the handle that the reply names.

        Returns:
            The outcome of the poll; where nothing landed, the next poll asks again.
        """
        job = step.job.but(handle=read.handle or step.job.handle)
        if isinstance(read, o.Inline):
            landed = await self._fetcher.land_reply(job, step.operation, read, begun)
        else:
            landed = await self._fetcher.land_nothing(job, read)
        outcome = landed
        if isinstance(landed, o.Stored):
            outcome = replace(landed, handle=read.handle)
        elif isinstance(landed, o.NotYet):
            outcome = o.Pending(retry_after_s=landed.retry_after_s)
        elif isinstance(landed, o.LinksExpired):
            outcome = o.Retry(landed.reason)
        step.session.learned(outcome)
        return outcome

    def _still_for(self, job: Job, read: o.Pending) -> float:
        """For how many seconds the provider has said nothing new, this reply included."""
        return 0.0 if job.moved_at is None or has_moved(job, read) else self._clock.now() - job.moved_at

    # --- fetching -----------------------------------------------------------------------------------------------------

    async def _fetch(self, step: Visit) -> o.Outcome:
        """Count the download before it begins, learn the links, land the files."""
        started = step.update(o.FetchStarted(), self._clock.now(), self._rand)
        job = await step.commit(started, self._committer)
        if step.shared_result is not None:
            return await share(step, step.shared_result, self._fetcher)
        pages = step.operation.pages(job)
        try:
            if pages is not None:
                # While the account is closed downloads from other hosts go on: nothing that waits may take their slots.
                return await self._fetcher.fetch_pages(step, pages, self._walk(step, waits=False))
            links = await self._links(step)
        except AccountClosedError as error:
            return until_open(error)
        return await self._fetcher.fetch(step, links) if isinstance(links, tuple) else links

    async def _links(self, step: Visit) -> tuple[Link, ...] | o.Outcome:
        """The links of a finished remote job: known since the poll, or asked for now."""
        job, operation = step.job, step.operation
        request = operation.resolve(job)
        if request is not None:
            step.session.check_open()
            return await step.session.send(request, partial(operation.read_resolve, job))
        if isinstance(job.links, SealedLinks):
            links = await in_time(len(job.links.text), partial(self._seal.links, job.links))
            if links is None:
                named = {"job": job.id, "account": job.account, "operation": job.operation}
                self._log.emit("links.unreadable", **named, reason=_UNREADABLE)
                return o.LinksLost(_UNREADABLE)
            job = job.but(links=links)
        return operation.links(job)

    # --- ending the remote job ----------------------------------------------------------------------------------------

    async def _clean_up(self, step: Visit) -> o.Outcome:
        return await self._endings.clean(step)

    async def _cancel(self, step: Visit) -> o.Outcome:
        return await self._endings.cancel(step)

    async def _expire(self, step: Visit, waited: str | None = None) -> o.Outcome:
        """The job has waited too long: cancel the remote job where that can be done, once, and end the job."""
        job = step.job
        late = f"after {job.deadline_at - job.created_at:.0f} s the job was still {job.state}"
        late = f"{late}: {job.reason}" if job.reason else late
        return await self._endings.expire(step, waited or late)


_STEPS: Mapping[State, Callable[[Stepper, Visit], Awaitable[o.Outcome]]] = {
    State.QUEUED: Stepper._begin,
    State.SUBMITTING: Stepper._found_submitting,
    State.RECONCILING: Stepper._reconcile,
    State.POLLING: Stepper._poll,
    State.FETCHING: Stepper._fetch,
    State.CLEANING: Stepper._clean_up,
    State.CANCELLING: Stepper._cancel,
}


def _unbuilt(job: Job, error: UnsendableError) -> o.Outcome:
    """The outcome where the next request cannot be built: the spec, or the job's place in it, has changed.

    Before the submit that is the end. Later there is a remote job, or there are files, and a spec that is corrected
    lets the job go on.
    """
    if job.state is State.QUEUED:
        return o.Refused(f"the submit cannot be built from the provider's spec as it is now: {error}")
    return o.Retry(f"the request cannot be built from the provider's spec as it is now; correct the spec: {error}")


def _place_of(error: Exception) -> str:
    """Where an exception was raised, as file and line: enough to find it, without the values that a traceback holds."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"


def _cleaned(outcome: o.Outcome, clean: Callable[[str], str]) -> o.Outcome:
    """The outcome with every secret taken out of its texts, before any of it is stored."""
    match outcome:
        case o.Unmapped(excerpt=excerpt):
            return replace(outcome, excerpt=clean(excerpt))
        case o.Pending(status=status, progress=progress):
            return replace(
                outcome,
                status=None if status is None else clean(status),
                progress=None if progress is None else clean(progress),
            )
        case o.Ready(status=status) | o.Stored(status=status):
            return replace(outcome, status=None if status is None else clean(status))
        case (
            o.Unsent() | o.Unknown() | o.Absent() | o.Undecidable() | o.LinksExpired() | o.LinksLost() | o.Gone()
            | o.Retry() | o.NotYet() | o.Throttled() | o.Unauthorized() | o.StorageFull() | o.Refused()
            | o.DeadlinePassed()
        ):  # fmt: skip
            return replace(outcome, reason=clean(outcome.reason))
        case (
            o.Intended() | o.Accepted() | o.Duplicate() | o.Adopted() | o.FetchStarted() | o.Cleaned() | o.Cancelled()
            | o.LeftAlone() | o.Interrupted() | o.Crashed() | o.CancelAsked() | o.RetryDecided() | o.AdoptDecided()
        ):  # fmt: skip
            return outcome

"""Steps: one visit to a job, from what is due to what was learned. The only place that turns exceptions into outcomes.

A step reads as its story: ask the provider, let the spec read the reply, report one outcome. What the reply means for
the account (it throttles, it is down, it refuses our credentials) goes to the budget by way of
:mod:`app.worker.account_effects`; what it means for the job is the state table's business.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from random import Random
from typing import TypeVar

from app.clock import Clock
from app.domain import outcome as o
from app.domain.callback import hash_of, new_token, url_of
from app.domain.job import CANCELLED_AT_ONCE, Job, State
from app.domain.machine import Update, advance
from app.domain.rules import has_moved
from app.domain.wire import Link, WireReply, WireRequest
from app.log import EventLog
from app.providers.faults import UnsendableError
from app.providers.interpreter import BoundOperation
from app.store.engine import StoreUnavailableError
from app.store.jobs import Answer, JobStore
from app.transport.budget import Permit
from app.transport.errors import (
    AccountClosedError,
    AccountPausedError,
    BrokenBodyError,
    LeaseOverError,
    LostReplyError,
    NotSentError,
    RedirectRefusedError,
    TlsError,
)
from app.transport.stream_replies import Begun
from app.transport.wire import OnSend
from app.worker.account_effects import AccountEffects
from app.worker.cleaning import cleaned
from app.worker.ending import Endings
from app.worker.fetch import Fetcher
from app.worker.inline import begin, land_answer, land_polled
from app.worker.pages import Walk, Way
from app.worker.pauses import Pauses
from app.worker.reading import in_time
from app.worker.reconcile import Reconciler
from app.worker.recorder import Verdict
from app.worker.sealed import opened
from app.worker.session import SignInError
from app.worker.unfinished import place_of, unbuilt, until_open
from app.worker.visit import SupersededError, Visit

_KEY_BITS = 128

T = TypeVar("T")


class Stepper:
    """Takes steps.

    Args:
        fetcher: lands files.
        jobs: tells who else follows a remote job, and has the keys to what is encrypted.
        clock: the time.
        rand: names intents and spreads retries.
        log: told of accounts that are paused for a moment.
        pauses: told of accounts whose provider refuses to deal with them.
        clean: takes secrets out of a text before it is stored.
        public_url: where providers can call back; ``None`` where they cannot.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        jobs: JobStore,
        *,
        clock: Clock,
        rand: Random,
        log: EventLog,
        pauses: Pauses,
        clean: Callable[[str], str],
        public_url: str | None = None,
    ) -> None:
        self._fetcher = fetcher
        self._endings = Endings(jobs, clock)
        self._reconciler = Reconciler(jobs, clock)
        self._clock = clock
        self._rand = rand
        self._log = log
        self._effects = AccountEffects(clock, log, pauses, clean)
        self._clean = clean
        self._seal = jobs.seal
        self._public_url = public_url

    def asks_provider(self, job: Job, operation: BoundOperation) -> bool:
        """Whether the next step of this job begins with a request to the provider, which its budget must admit."""
        if job.cancel_requested and job.state in CANCELLED_AT_ONCE:
            return False
        if job.state is State.QUEUED:
            return operation.submits(job)
        if job.state is State.RECONCILING:
            return operation.adoption(job) is not None
        return job.state in (State.POLLING, State.CLEANING, State.CANCELLING)

    async def take(self, visit: Visit) -> o.Outcome:
        """Take the step that is due and say what it learned.

        Raises:
            SupersededError: the job or its lane has moved on; there is nothing to record.
        """
        try:
            outcome = await self._take(visit)
        except SupersededError:
            raise
        except SignInError as error:
            outcome = self._effects.not_signed_in(visit, error)
        except UnsendableError as error:
            outcome = unbuilt(visit.job, error)
        except (AccountPausedError, LeaseOverError) as error:
            # The request that was to come next was not sent; what came before it is done.
            return self.interrupted(visit, str(error))
        except StoreUnavailableError:
            return self.interrupted(visit)
        except Exception as error:  # noqa: BLE001  # whatever a step dies of is that job's trouble, never the lane's
            reason = self._clean(f"{type(error).__name__}: {error} ({place_of(error)})")
            return o.Crashed(reason, sent=visit.sent)
        return cleaned(outcome, self._clean)

    @staticmethod
    def interrupted(visit: Visit, why: str = "the daemon was stopped while the submit was under way") -> o.Outcome:
        """What a step learned that was stopped half way."""
        if visit.job.state is State.SUBMITTING and visit.sent:
            return o.Unknown(why)
        return o.Interrupted()

    @staticmethod
    def cancelled(visit: Visit) -> o.Outcome:
        """What a step learned that was stopped by a cancel request; it waits where a remote job may exist by now."""
        return o.CancelAsked() if visit.job.state in CANCELLED_AT_ONCE else Stepper.interrupted(visit)

    async def drop_parts(self, job: Job) -> None:
        """Remove what a download has left for a later one."""
        await self._fetcher.drop_parts(job)

    async def _take(self, visit: Visit) -> o.Outcome:
        job = visit.job
        if job.cancel_requested and job.state in CANCELLED_AT_ONCE:
            if job.state is State.FETCHING:
                await self.drop_parts(job)
            return o.CancelAsked()
        if self._clock.now() >= job.deadline_at and job.state is not State.SUBMITTING:
            return await self._expire(visit)
        return await _STEPS[job.state](self, visit)

    def _advanced(self, visit: Visit, outcome: o.Outcome) -> Update:
        return advance(visit.job, outcome, visit.operation.policy_of(visit.job), self._clock.now(), self._rand)

    async def _commit(self, visit: Visit, update: Update) -> Job:
        """Make an update durable in the middle of a step; the visit goes on with the job that comes of it."""
        try:
            verdict = await visit.commit(update)
        except asyncio.CancelledError:
            # It has been handed in: what the interrupted step says next comes after it.
            visit.job = update.job
            raise
        if verdict is not Verdict.ACCEPTED:
            raise SupersededError
        visit.job = update.job
        return update.job

    # --- submitting ---------------------------------------------------------------------------------------------------

    async def _begin(self, visit: Visit) -> o.Outcome:
        """Take an answer that is here already, ask for results that need no submit, or submit."""
        if visit.answer is not None:
            return await self._share(visit, visit.answer)
        return await self._submit(visit) if visit.operation.submits(visit.job) else o.Ready()

    async def _submit(self, visit: Visit) -> o.Outcome:
        """Build the request, make the intent durable, see that the lane is still ours, and only then send."""
        operation = visit.operation
        # The key stays when a submit's outcome was unknown: a provider that knows such keys makes no second remote job.
        key = visit.job.intent_key or f"{self._rand.getrandbits(_KEY_BITS):032x}"
        callback_url, callback_hash = self._callback(operation, visit.job)
        intent = self._advanced(visit, o.Intended(key, callback_hash))
        request = operation.submit(intent.job, callback_url)
        job = await self._commit(visit, intent)

        def on_send(sent: bool) -> None:
            if sent and not visit.hold.held():
                raise LeaseOverError("the lane's lease ran out before the request was sent")
            visit.sent = sent

        async with AsyncExitStack() as stack:
            begun = await self._submitted(visit, job, request, stack, on_send)
            if not isinstance(begun, Begun):
                return begun
            read = partial(operation.read_submit, job, begun.reply, self._clock.now())
            outcome = self._effects.weighed(visit, begun.reply, await in_time(len(begun.reply.body), read))
            if not isinstance(outcome, o.Inline):
                return await self._fetcher.land_nothing(job, outcome) if isinstance(outcome, o.Empty) else outcome
            return await land_answer(self._fetcher, visit, request, outcome, begun)

    async def _submitted(
        self, visit: Visit, job: Job, request: WireRequest, stack: AsyncExitStack, on_send: OnSend
    ) -> Begun | o.Outcome:
        """The reply to a submit, or what its failing means."""
        may_be_file = visit.operation.may_answer_at_once(job)
        try:
            return await begin(visit.client, request, stack, visit.permit, on_send, may_be_file=may_be_file)
        except LeaseOverError as error:
            return o.Unknown(str(error)) if visit.sent else o.Unsent(str(error))
        except SignInError as error:
            # Without a token nothing was sent, or it was refused unread.
            told = self._effects.not_signed_in(visit, error)
            return o.Unsent(told.reason) if isinstance(told, o.Retry) else told
        except TlsError as error:
            return self._effects.distrusted(visit, str(error))
        except NotSentError as error:
            visit.budget.failed(str(error))
            return o.Unsent(str(error))
        except (LostReplyError, BrokenBodyError, RedirectRefusedError) as error:
            visit.budget.failed(str(error))
            return o.Unknown(str(error)) if visit.sent else o.Unsent(str(error))

    def _callback(self, operation: BoundOperation, job: Job) -> tuple[str | None, str | None]:
        """An address for the provider to call, new for every intent, and what is stored of it; often neither."""
        if self._public_url is None or not operation.calls_back(job):
            return None, None
        token = new_token(self._rand)
        self._log.redactor.add_recent(token)
        return url_of(self._public_url, token), hash_of(token)

    async def _share(self, visit: Visit, promise: asyncio.Future[Answer | None]) -> o.Outcome:
        """Take another job's answer; where that comes to nothing, the job is due at once and asks for itself."""
        # Whoever else waits for it goes on waiting when this step is stopped.
        answer = await asyncio.shield(promise)
        return o.Interrupted() if answer is None else await self._fetcher.copy(visit.job, answer)

    async def _found_submitting(self, _: Visit) -> o.Outcome:
        return o.Unknown("the daemon ended between the intent and the answer")

    async def _reconcile(self, visit: Visit) -> o.Outcome:
        job, operation = visit.job, visit.operation
        adoption = operation.adoption(job)
        if adoption is None:
            return o.Undecidable(job.reason or "the submit's outcome is unknown")
        return await self._reconciler.find(job, adoption, operation.policy, self._walk(visit))

    def _walk(self, visit: Visit) -> Walk:
        return Walk(visit.job, self._way(visit), self._clock, self._rand)

    def _way(self, visit: Visit) -> Way:
        """The way to the provider, for what a step has done by others."""

        async def ask(request: WireRequest) -> WireReply | o.Outcome:
            return await self._asked(visit, request)

        def weigh(reply: WireReply, read: T) -> T:
            return self._effects.weighed(visit, reply, read)

        return Way(ask, weigh, visit.client, visit.budget.rest)

    # --- polling ------------------------------------------------------------------------------------------------------

    async def _poll(self, visit: Visit) -> o.Outcome:
        operation, job = visit.operation, visit.job
        request = operation.poll(job)
        async with AsyncExitStack() as stack:
            bringing = operation.may_bring_file(job)
            begun = await self._tried(visit, lambda one: begin(visit.client, request, stack, one, may_be_file=bringing))
            if not isinstance(begun, Begun):
                return begun
            read = partial(operation.read_poll, job, begun.reply, self._clock.now())
            outcome: o.Outcome | o.Inline | o.Empty = self._effects.weighed(
                visit, begun.reply, await in_time(len(begun.reply.body), read)
            )
            if isinstance(outcome, o.Inline | o.Empty):
                outcome = await land_polled(self._fetcher, visit, outcome, begun)
                self._effects.weigh(visit, outcome)
        if isinstance(outcome, o.Pending) and (still_s := self._still_for(job, outcome)) >= operation.policy.stall_s:
            return await self._expire(visit, f"for {still_s:.0f} s the provider told nothing new of the job")
        return outcome

    def _still_for(self, job: Job, seen: o.Pending) -> float:
        """For how many seconds the provider has told nothing new, this reply included."""
        return 0.0 if job.moved_at is None or has_moved(job, seen) else self._clock.now() - job.moved_at

    # --- fetching -----------------------------------------------------------------------------------------------------

    async def _fetch(self, visit: Visit) -> o.Outcome:
        """Count the download before it begins, learn the links, land the files."""
        job, operation = await self._commit(visit, self._advanced(visit, o.FetchStarted())), visit.operation
        if visit.answer is not None:
            return await self._share(visit, visit.answer)
        pages = operation.pages(job)
        try:
            if pages is not None:
                # While the account is closed downloads from other hosts go on: nothing that waits may take their slots.
                way = replace(self._way(visit), check_open=visit.client.check_open)
                walk = Walk(job, way, self._clock, self._rand)
                return await self._fetcher.fetch_pages(job, operation, pages, walk, visit.artifacts)
            links = await self._links(visit, job)
        except AccountClosedError as error:
            return until_open(error)
        if not isinstance(links, tuple):
            return links
        weigh, held = partial(self._effects.weigh, visit), visit.hold.held
        return await self._fetcher.fetch(job, operation, visit.client, links, visit.artifacts, weigh=weigh, held=held)

    async def _links(self, visit: Visit, job: Job) -> tuple[Link, ...] | o.Outcome:
        """The links of a finished remote job: known since the poll, or asked for now."""
        request = visit.operation.resolve(job)
        if request is None:
            told = await opened(job, self._seal, self._log)
            return visit.operation.links(told) if isinstance(told, Job) else told
        visit.client.check_open()
        reply = await self._asked(visit, request)
        if not isinstance(reply, WireReply):
            return reply
        read = partial(visit.operation.read_resolve, job, reply, self._clock.now())
        resolved = await in_time(len(reply.body), read)
        if isinstance(resolved, tuple):
            visit.budget.succeeded()
            return resolved
        return self._effects.weighed(visit, reply, resolved)

    # --- cleaning, cancelling, expiring -------------------------------------------------------------------------------

    async def _clean_up(self, visit: Visit) -> o.Outcome:
        return await self._endings.clean(visit.job, visit.operation, self._way(visit))

    async def _cancel(self, visit: Visit) -> o.Outcome:
        return await self._endings.cancel(visit.job, visit.operation, self._way(visit))

    async def _expire(self, visit: Visit, waited: str | None = None) -> o.Outcome:
        """The job has waited too long: tell the remote where that can be done, once, and let the job go."""
        job = visit.job
        late = f"after {job.deadline_at - job.created_at:.0f} s the job was still {job.state}"
        late = f"{late}: {job.reason}" if job.reason else late
        return await self._endings.expire(job, visit.operation, self._way(visit), waited or late)

    # --- what a reply means for the account ---------------------------------------------------------------------------

    async def _asked(self, visit: Visit, request: WireRequest) -> WireReply | o.Outcome:
        """The reply to a request that may be repeated, or what its failing means."""
        return await self._tried(visit, lambda permit: visit.client.exchange(request, permit))

    async def _tried(self, visit: Visit, send: Callable[[Permit | None], Awaitable[T]]) -> T | o.Outcome:
        try:
            # The permit is for one request, and a list has many pages.
            permit, visit.permit = visit.permit, None
            return await send(permit)
        except SignInError as error:
            return self._effects.not_signed_in(visit, error)
        except TlsError as error:
            return self._effects.distrusted(visit, str(error))
        except (NotSentError, LostReplyError, BrokenBodyError, RedirectRefusedError) as error:
            visit.budget.failed(str(error))
            return o.Retry(str(error))


_STEPS: Mapping[State, Callable[[Stepper, Visit], Awaitable[o.Outcome]]] = {
    State.QUEUED: Stepper._begin,
    State.SUBMITTING: Stepper._found_submitting,
    State.RECONCILING: Stepper._reconcile,
    State.POLLING: Stepper._poll,
    State.FETCHING: Stepper._fetch,
    State.CLEANING: Stepper._clean_up,
    State.CANCELLING: Stepper._cancel,
}

"""Steps: one visit to a job, from what is due to what was learned. The only place that turns exceptions into outcomes.

A step reads as its story: ask the provider, let the spec read the reply, report one outcome. What the reply means for
the account (it throttles, it is down, it refuses our credentials) goes to the budget here; what it means for the job is
the state table's business.
"""

import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Protocol, TypeVar

from app.clock import Clock
from app.domain import outcome as o
from app.domain.job import CANCELLED_AT_ONCE, Job, State
from app.domain.machine import Update, advance
from app.domain.manifest import Artifact
from app.domain.wire import Link, WireReply, WireRequest
from app.log import EventLog
from app.providers.interpreter import BoundOperation
from app.transport.budget import Budget, Permit
from app.transport.client import AccountClient
from app.transport.errors import BrokenBodyError, LostReplyError, NotSentError, RedirectRefusedError, TlsError
from app.worker.fetch import Fetcher
from app.worker.hold import Hold
from app.worker.recorder import Verdict

_REFUSED_AGAIN_S = 300.0
_KEY_BITS = 128

_AnyOutcome = TypeVar("_AnyOutcome", bound=o.Outcome | o.Inline)


class SupersededError(Exception):
    """A write that had to come first was refused: the job or its lane has moved on, and the step ends unheard."""


class Commit(Protocol):
    """How a step makes an update durable before it goes on."""

    async def __call__(self, update: Update) -> Verdict:
        """Commit the update; the verdict says whether it was taken."""


@dataclass(slots=True)
class Visit:
    """One visit to a job: its operation, the way to the provider, the lane's hold, and what has come of it so far.

    ``job`` is the job as it was last made durable: a step that commits an update on its way puts the new job here.
    ``sent`` says that a submit may have left the process; ``artifacts`` are the files that have landed.
    """

    job: Job
    operation: BoundOperation
    client: AccountClient
    budget: Budget
    hold: Hold
    commit: Commit
    permit: Permit | None = None
    sent: bool = False
    artifacts: list[Artifact] = field(default_factory=list)


class Stepper:
    """Takes steps.

    Args:
        fetcher: lands files.
        clock: the time.
        rand: names intents and spreads retries.
        log: told of accounts that are paused.
        clean: takes secrets out of a text before it is stored.
    """

    def __init__(
        self, fetcher: Fetcher, clock: Clock, rand: Random, log: EventLog, clean: Callable[[str], str]
    ) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._rand = rand
        self._log = log
        self._clean = clean

    def asks_provider(self, job: Job) -> bool:
        """Whether the next step of this job begins with a request to the provider, which its budget must admit."""
        if job.cancel_requested and job.state in CANCELLED_AT_ONCE:
            return False
        return job.state in (State.QUEUED, State.POLLING, State.CLEANING, State.CANCELLING)

    async def take(self, visit: Visit) -> o.Outcome:
        """Take the step that is due and say what it learned.

        Raises:
            SupersededError: the job or its lane has moved on; there is nothing to record.
        """
        try:
            outcome = await self._take(visit)
        except SupersededError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a step dies of is that job's trouble, never the lane's
            return o.Crashed(self._clean(f"{type(error).__name__}: {error} ({_place_of(error)})"))
        return self._cleaned(outcome)

    @staticmethod
    def interrupted(visit: Visit) -> o.Outcome:
        """What a step learned that was stopped half way."""
        if visit.job.state is State.SUBMITTING and visit.sent:
            return o.Unknown("the daemon was stopped while the submit was under way")
        return o.Interrupted()

    async def _take(self, visit: Visit) -> o.Outcome:
        job = visit.job
        if job.cancel_requested and job.state in CANCELLED_AT_ONCE:
            return o.CancelAsked()
        if self._clock.now() >= job.deadline_at and job.state is not State.SUBMITTING:
            return await self._expire(visit)
        return await _STEPS[job.state](self, visit)

    async def _commit(self, visit: Visit, outcome: o.Outcome) -> Job:
        """Make an outcome durable in the middle of a step; the visit goes on with the job that comes of it."""
        update = advance(visit.job, outcome, visit.operation.policy, self._clock.now(), self._rand)
        if await visit.commit(update) is not Verdict.ACCEPTED:
            raise SupersededError
        visit.job = update.job
        return update.job

    # --- submitting ---------------------------------------------------------------------------------------------------

    async def _submit(self, visit: Visit) -> o.Outcome:
        """Make the intent durable, see that the lane is still ours, and only then send."""
        operation = visit.operation
        # The key stays when a submit's outcome was unknown: a provider that knows such keys makes no second remote job.
        key = visit.job.intent_key or f"{self._rand.getrandbits(_KEY_BITS):032x}"
        job = await self._commit(visit, o.Intended(key))
        request = operation.submit(job)
        if not visit.hold.held():
            return o.Unsent("the lane's lease ran out before the request was sent")
        visit.sent = True
        try:
            reply = await visit.client.exchange(request, visit.permit)
        except TlsError as error:
            return self._refused(visit, o.Unauthorized(str(error)))
        except NotSentError as error:
            visit.budget.failed(str(error))
            return o.Unsent(str(error))
        except (LostReplyError, BrokenBodyError, RedirectRefusedError) as error:
            visit.budget.failed(str(error))
            return o.Unknown(str(error))
        outcome = self._weighed(visit, reply, operation.read_submit(job, reply, self._clock.now()))
        if isinstance(outcome, o.Inline):
            return await self._fetcher.land_reply(job, operation, outcome, reply)
        return outcome

    async def _found_submitting(self, _: Visit) -> o.Outcome:
        return o.Unknown("the daemon ended between the intent and the answer")

    async def _reconcile(self, visit: Visit) -> o.Outcome:
        return o.Undecidable(visit.job.reason or "the submit's outcome is unknown")

    # --- polling ------------------------------------------------------------------------------------------------------

    async def _poll(self, visit: Visit) -> o.Outcome:
        operation, job = visit.operation, visit.job
        reply = await self._asked(visit, operation.poll(job))
        if not isinstance(reply, WireReply):
            return reply
        outcome = self._weighed(visit, reply, operation.read_poll(job, reply, self._clock.now()))
        if isinstance(outcome, o.Inline):
            return await self._fetcher.land_reply(job, operation, outcome, reply)
        return outcome

    # --- fetching -----------------------------------------------------------------------------------------------------

    async def _fetch(self, visit: Visit) -> o.Outcome:
        """Count the download before it begins, learn the links, land the files."""
        job, operation = await self._commit(visit, o.FetchStarted()), visit.operation
        links = await self._links(visit, job)
        if not isinstance(links, tuple):
            return links
        outcome = await self._fetcher.fetch(job, operation, visit.client, links, visit.artifacts)
        if isinstance(outcome, o.Throttled):
            self._throttled(visit, outcome)
        elif isinstance(outcome, o.Unauthorized):
            self._refused(visit, outcome)
        return outcome

    async def _links(self, visit: Visit, job: Job) -> tuple[Link, ...] | o.Outcome:
        """The links of a finished remote job: known since the poll, or asked for now."""
        request = visit.operation.resolve(job)
        if request is None:
            return visit.operation.links(job)
        reply = await self._asked(visit, request)
        if not isinstance(reply, WireReply):
            return reply
        resolved = visit.operation.read_resolve(job, reply, self._clock.now())
        if isinstance(resolved, tuple):
            visit.budget.succeeded()
            return resolved
        return self._weighed(visit, reply, resolved)

    # --- cleaning, cancelling, expiring -------------------------------------------------------------------------------

    async def _clean_up(self, visit: Visit) -> o.Outcome:
        operation = visit.operation
        return await self._tell(visit, operation.clean(visit.job), operation.read_clean, o.Cleaned())

    async def _cancel(self, visit: Visit) -> o.Outcome:
        operation = visit.operation
        return await self._tell(visit, operation.cancel(visit.job), operation.read_cancel, o.Cancelled())

    async def _tell(
        self,
        visit: Visit,
        request: WireRequest | None,
        read: Callable[[Job, WireReply, float], o.Outcome],
        done: o.Outcome,
    ) -> o.Outcome:
        """Send a request by which the provider is told something; nothing to send is done."""
        if request is None:
            return done
        reply = await self._asked(visit, request)
        if not isinstance(reply, WireReply):
            return reply
        return self._weighed(visit, reply, read(visit.job, reply, self._clock.now()))

    async def _expire(self, visit: Visit) -> o.Outcome:
        """The deadline has passed: tell the remote where that can be done, once, and let the job go."""
        job = visit.job
        waited = f"after {job.deadline_at - job.created_at:.0f} s the job was still {job.state}"
        reason = f"{waited}: {job.reason}" if job.reason else waited
        tells = job.handle is not None and not job.shared and visit.operation.policy.cancels
        request = visit.operation.cancel(job) if tells else None
        if request is not None:
            told = await self._asked(visit, request)
            if not isinstance(told, WireReply):
                reason = f"{reason}; the remote could not be told"
        return o.DeadlinePassed(reason)

    # --- what a reply means for the account ---------------------------------------------------------------------------

    async def _asked(self, visit: Visit, request: WireRequest) -> WireReply | o.Outcome:
        """The reply to a request that may be repeated, or what its failing means."""
        try:
            return await visit.client.exchange(request, visit.permit)
        except TlsError as error:
            return self._refused(visit, o.Unauthorized(str(error)))
        except (NotSentError, LostReplyError, BrokenBodyError, RedirectRefusedError) as error:
            visit.budget.failed(str(error))
            return o.Retry(str(error))

    def _weighed(self, visit: Visit, reply: WireReply, outcome: _AnyOutcome) -> _AnyOutcome:
        """Let the budget know what this reply says of the account."""
        if isinstance(outcome, o.Throttled):
            self._throttled(visit, outcome)
        elif isinstance(outcome, o.Unauthorized):
            self._refused(visit, outcome)
        elif reply.status >= 500:
            visit.budget.failed(f"HTTP {reply.status}")
        else:
            visit.budget.succeeded()
        return outcome

    def _throttled(self, visit: Visit, outcome: o.Throttled) -> None:
        asked = outcome.retry_after_s
        visit.budget.throttled(None if asked is None else visit.operation.policy.clamp(asked), outcome.reason)
        self._log.emit(
            "account.paused",
            lane=visit.hold.lane,
            account=visit.job.account,
            reason=outcome.reason,
            until_s=round(max(0.0, visit.budget.closed_until - self._clock.now()), 1),
        )

    def _refused(self, visit: Visit, outcome: o.Unauthorized) -> o.Unauthorized:
        visit.budget.close(self._clock.now() + _REFUSED_AGAIN_S, outcome.reason)
        self._log.emit(
            "account.refused",
            lane=visit.hold.lane,
            account=visit.job.account,
            reason=self._clean(outcome.reason),
            until_s=_REFUSED_AGAIN_S,
        )
        return outcome

    def _cleaned(self, outcome: o.Outcome) -> o.Outcome:
        """The outcome with every secret taken out of what it quotes."""
        match outcome:
            case o.Unmapped(excerpt=excerpt):
                return replace(outcome, excerpt=self._clean(excerpt))
            case (
                o.Unsent() | o.Unknown() | o.Absent() | o.Undecidable() | o.LinksExpired() | o.Gone() | o.Retry()
                | o.Throttled() | o.Unauthorized() | o.StorageFull() | o.Refused() | o.DeadlinePassed()
            ):  # fmt: skip
                return replace(outcome, reason=self._clean(outcome.reason))
            case _:
                return outcome


_STEPS: Mapping[State, Callable[[Stepper, Visit], Awaitable[o.Outcome]]] = {
    State.QUEUED: Stepper._submit,
    State.SUBMITTING: Stepper._found_submitting,
    State.RECONCILING: Stepper._reconcile,
    State.POLLING: Stepper._poll,
    State.FETCHING: Stepper._fetch,
    State.CLEANING: Stepper._clean_up,
    State.CANCELLING: Stepper._cancel,
}


def _place_of(error: Exception) -> str:
    """Where an exception was raised, as file and line: enough to find it, without the values that a traceback holds."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"

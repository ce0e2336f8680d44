"""Submitting: the intent is made durable before the request is sent, and nothing is sent twice without need."""

import asyncio
from functools import partial
from random import Random

from app.clock import Clock
from app.domain import outcome as o
from app.domain.callback import hash_of, new_token, url_of
from app.domain.job import Job
from app.domain.wire import WireRequest
from app.log import EventLog
from app.providers.interpreter import BoundOperation
from app.store.jobs import Answer
from app.transport.stream_replies import Begun
from app.worker.fetch import Fetcher
from app.worker.recorder import Recorder
from app.worker.visit import Visit

_KEY_BITS = 128


class Submitter:
    """Takes the steps that submit.

    Args:
        fetcher: lands a file that comes as the reply to a submit.
        committer: makes intents durable.
        clock: the time.
        rand: makes the keys of intents and the tokens of callbacks.
        log: redacts those tokens.
        public_url: where providers can call back; ``None`` where they cannot.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        committer: Recorder,
        *,
        clock: Clock,
        rand: Random,
        log: EventLog,
        public_url: str | None,
    ) -> None:
        self._fetcher = fetcher
        self._committer = committer
        self._clock = clock
        self._rand = rand
        self._log = log
        self._public_url = public_url

    async def begin(self, step: Visit) -> o.Outcome:
        """Share another job's result, or ask for results that need no submit, or submit."""
        if step.shared_result is not None:
            return await share(step, step.shared_result, self._fetcher)
        return await self._submit(step) if step.operation.submits(step.job) else o.Ready()

    async def _submit(self, step: Visit) -> o.Outcome:
        """Build the request, make the intent durable, and only then send it."""
        operation = step.operation
        # The key stays when a submit's outcome was unknown: a provider that knows such keys makes no second remote job.
        key = step.job.intent_key or f"{self._rand.getrandbits(_KEY_BITS):032x}"
        callback_url, callback_hash = self._callback(operation, step.job)
        intent = step.update(o.Intended(key, callback_hash), self._clock.now(), self._rand)
        request = operation.submit(intent.job, callback_url)
        job = await step.commit(intent, self._committer)
        async with step.session.submit(request, may_be_file=operation.may_answer_at_once(job)) as begun:
            if not isinstance(begun, Begun):
                return begun
            outcome = await step.session.read(begun.reply, partial(operation.read_submit, job))
            if isinstance(outcome, o.Empty):
                return await self._fetcher.land_nothing(job, outcome)
            return await self._land(step, request, outcome, begun) if isinstance(outcome, o.Inline) else outcome

    async def _land(self, step: Visit, request: WireRequest, inline: o.Inline, begun: Begun) -> o.Outcome:
        """Land the file that the reply is; where that fails, what is known of the submit."""
        repeatable = request.method == "GET"
        if repeatable:  # a GET only asks: a step that is stopped from here on may ask again
            step.session.sent = False
        landed = await self._fetcher.land_reply(step.job, step.operation, inline, begun)
        if isinstance(landed, o.Stored):
            return landed
        reason = f"the answer could not be kept: {getattr(landed, 'reason', '')}"
        return o.Unsent(reason) if repeatable else o.Unknown(reason)

    def _callback(self, operation: BoundOperation, job: Job) -> tuple[str | None, str | None]:
        """An address for the provider to call, new for every intent, and the stored hash of it; often neither."""
        if self._public_url is None or not operation.calls_back(job):
            return None, None
        token = new_token(self._rand)
        self._log.redactor.add_recent(token)
        return url_of(self._public_url, token), hash_of(token)


async def share(step: Visit, promise: asyncio.Future[Answer | None], fetcher: Fetcher) -> o.Outcome:
    """Take another job's result; where there is none, the job is due at once and asks for itself."""
    # Other jobs that wait for it go on waiting when this step is stopped.
    result = await asyncio.shield(promise)
    return o.Interrupted() if result is None else await fetcher.copy(step.job, result)

"""Submitting, and finding the remote job of a submit whose reply did not name it.

The intent is made durable before the request is sent, and nothing is sent twice without need.
"""

import asyncio
from dataclasses import replace
from functools import partial
from random import Random

from tidewaiter.clock import Clock
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.job import LIVE, Job
from tidewaiter.domain.manifest import StoredResult
from tidewaiter.domain.url import callback_hash_of, callback_url_of, new_callback_token, shown_handle
from tidewaiter.log import EventLog
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.steps.remote_job_search import RemoteJobSearch
from tidewaiter.transport.reply_bodies import ReplyBeginning
from tidewaiter.worker.committer import Committer
from tidewaiter.worker.page_walk import ListWalk
from tidewaiter.worker.result_fetcher import ResultFetcher
from tidewaiter.worker.step_context import StepContext

_KEY_BITS = 128
_MOST_MATCHES = 1000
_NAMED = 5
_SHORTEST_WAIT_S = 1.0


class Submitter:
    """Takes the steps that submit.

    Args:
        fetcher: lands a file that comes as the reply to a submit.
        committer: makes intents durable.
        clock: the time.
        rand: makes the keys of intents and the tokens of callbacks.
        log: redacts those tokens.
        public_url: where providers can call back; ``None`` if they cannot.
    """

    def __init__(
        self,
        fetcher: ResultFetcher,
        committer: Committer,
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

    async def begin(self, step: StepContext) -> o.Outcome:
        """Share another job's result, send a request before the submit, submit, or go on to the download.

        An operation that needs no submit goes on to the download at once.
        """
        if step.shared_result is not None:
            return await share(step, step.shared_result, self._fetcher)
        if step.operation.prepares(step.job):
            request = step.operation.before(step.job)
            return await step.session.send(request, partial(step.operation.read_before, step.job))
        return await self._submit(step) if step.operation.submits(step.job) else o.Ready()

    async def start(self, step: StepContext) -> o.Outcome:
        """Start the remote job: build the request, make the intent durable, and only then send it."""
        intent = step.update(o.Intended(self._key_for(step.job)), self._clock.now(), self._rand)
        request = await step.session.filled(step.operation.start(intent.job))
        job = await step.commit(intent, self._committer)
        async with step.session.submit(request, may_be_file=False) as beginning:
            if not isinstance(beginning, ReplyBeginning):
                return beginning
            return await step.session.read(beginning.reply, partial(step.operation.read_start, job))

    def _key_for(self, job: Job) -> str:
        """The key of the job's intent.

        It stays when a submit's outcome was unknown: a provider that knows such keys makes no second remote job.
        """
        return job.intent_key or f"{self._rand.getrandbits(_KEY_BITS):032x}"

    async def _submit(self, step: StepContext) -> o.Outcome:
        """Build the request, make the intent durable, and only then send it."""
        operation = step.operation
        await step.session.admitted()  # a search may have used the step's permit
        callback_url, callback_hash = self._callback(operation, step.job)
        intent = step.update(o.Intended(self._key_for(step.job), callback_hash), self._clock.now(), self._rand)
        request = await step.session.filled(operation.submit(intent.job, callback_url))
        job = await step.commit(intent, self._committer)
        async with step.session.submit(request, may_be_file=operation.may_answer_at_once(job)) as beginning:
            if not isinstance(beginning, ReplyBeginning):
                return beginning
            outcome = await step.session.read(beginning.reply, partial(operation.read_submit, job))
            if isinstance(outcome, o.Empty):
                return await self._fetcher.land_no_files(job, outcome)
            return await self._land(step, request, outcome, beginning) if isinstance(outcome, o.Inline) else outcome

    async def _land(
        self, step: StepContext, request: WireRequest, inline: o.Inline, beginning: ReplyBeginning
    ) -> o.Outcome:
        """Land the file in the reply; if that fails, the outcome says whether the submit was done."""
        repeatable = request.method == "GET"
        if repeatable:  # a GET changes nothing, so a step that is stopped from here on may repeat it
            step.session.sent = False
        landed = await self._fetcher.land_reply(step.job, step.operation, inline, beginning)
        if isinstance(landed, o.Stored):
            return replace(landed, kept=inline.kept)
        if isinstance(landed, o.FailedForNow):
            return landed  # the provider has said that there is no result
        if isinstance(landed, o.Refused):
            # The submit is done, and the same reply would be refused again.
            return o.Refused(f"the file in the reply to the submit is refused: {landed.reason}")
        reason = f"the file in the reply could not be stored: {getattr(landed, 'reason', '')}"
        return o.Unsent(reason) if repeatable else o.Unknown(reason)

    def _callback(self, operation: BoundOperation, job: Job) -> tuple[str | None, str | None]:
        """A callback address, new for every intent, and the hash that is stored; ``None`` twice without callbacks."""
        if self._public_url is None or not operation.calls_back(job):
            return None, None
        token = new_callback_token(self._rand)
        self._log.redactor.add_recent(token)
        return callback_url_of(self._public_url, token), callback_hash_of(token)


async def share(step: StepContext, promise: asyncio.Future[StoredResult | None], fetcher: ResultFetcher) -> o.Outcome:
    """Copy another job's result; if it got none, the job is due at once and sends its own request."""
    # If this step is stopped, other jobs still wait for the result.
    result = await asyncio.shield(promise)
    return o.Interrupted() if result is None else await fetcher.land_copies(step.job, result)


class Reconciler:
    """Finds remote jobs in the provider's own list.

    Args:
        jobs: knows which of them other jobs of ours follow, or have followed.
        clock: the time; the list may lag behind the submit for a while.
    """

    def __init__(self, jobs: JobStore, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock

    async def find(self, job: Job, adoption: RemoteJobSearch, policy: OperationPolicy, walk: ListWalk) -> o.Outcome:
        """Look for the job's remote job in every page of the list.

        A list without the remote job proves nothing for a while: it may lag behind the submit.
        """
        found = await walk.matches(adoption, _MOST_MATCHES)
        if isinstance(found, o.Refused | o.LinksExpired):
            return o.Undecidable(f"the remote job cannot be looked up: {found.reason}")
        if isinstance(found, o.NotYet):
            return o.Retry(found.reason, found.retry_after_s)
        if not isinstance(found, dict):
            return found
        possible = await self._possible(job, sorted(found), policy)
        if len(possible) == 1:
            return o.Adopted(possible[0], found[possible[0]])
        if possible:
            named = ", ".join(map(shown_handle, possible[:_NAMED])) + (" ..." if len(possible) > _NAMED else "")
            return o.Undecidable(f"{len(possible)} remote jobs could be it: {named}")
        return self._absent(job, adoption)

    def _absent(self, job: Job, adoption: RemoteJobSearch) -> o.Outcome:
        since = max(job.intent_at or 0.0, job.submitted_at or 0.0)
        left_s = since + adoption.lag_s - self._clock.now()
        if left_s > 0:
            wait_s = max(_SHORTEST_WAIT_S, min(left_s, adoption.lag_s / 4))
            return o.Retry("the provider's list does not have the remote job yet", wait_s)
        reason = f"{adoption.lag_s:.0f} s after the submit the provider's list does not have the remote job"
        return o.Undecidable(reason) if adoption.parks else o.Absent(reason)

    async def _possible(self, job: Job, handles: list[str], policy: OperationPolicy) -> list[str]:
        """The handles that can be the job's own.

        A handle that another job follows counts only if the provider shares remote jobs.

        Many lists keep the remote jobs of our ended jobs. They are skipped, unless the provider has said that the
        remote job exists, and no other is left.
        """
        unknown, followed, ended = [], [], []
        for handle in handles:
            followers = await self._jobs.followers_of(job, handle)
            if not policy.shares:
                # A job that reuses the remote job has not made it.
                followers = [one for one in followers if not one.shared]
            if not followers:
                unknown.append(handle)
            elif any(follower.state in LIVE for follower in followers):
                followed.append(handle)
            else:
                ended.append(handle)
        if not policy.shares:
            return unknown
        return unknown + followed or (ended if job.shared else [])

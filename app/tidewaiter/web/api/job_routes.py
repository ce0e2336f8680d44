"""Jobs through the API: make one, show one, and decide about one."""

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import ETag, hdrs, web

from tidewaiter.domain.formatting import rfc3339
from tidewaiter.domain.job import TERMINAL, Job, NewJob, State
from tidewaiter.domain.job_context import JobContext
from tidewaiter.domain.job_json import entry_json, job_json
from tidewaiter.services import JobRequest, JobService, RefusedError
from tidewaiter.services.audit import target_of
from tidewaiter.services.job_pace import expected_ready
from tidewaiter.web.api import body_schemas as shapes
from tidewaiter.web.api.http_headers import (
    IDEMPOTENCY_KEY,
    KEY_PATTERN,
    REPLAYED,
    TRACEPARENT,
    applied,
    entity_tag,
    idempotency_key,
    known_tags,
    traceparent,
    wait_of,
)
from tidewaiter.web.api.job_changes import JobWatch
from tidewaiter.web.api.job_schemas import NextStepShape
from tidewaiter.web.api.paging import TEXT
from tidewaiter.web.api.request_input import LARGE, job_number, read_body, refusal_of_one
from tidewaiter.web.api.routing import ApiContext, ApiParameter, ApiResponse, ApiRoute, QueryParameters, json_reply
from tidewaiter.web.callers import TARGET, Role, actor_of, scope_of
from tidewaiter.web.problems import FieldFault, ProblemError

_LONGEST_AGAIN_S: Final = 3600.0
_FULL_AGAIN_S: Final = 5.0
_ENDS: Final = TERMINAL | {State.PARKED}
PREFER: Final = ApiParameter("Prefer", "wait=N: wait up to N seconds, at most 60 (RFC 7240)", {"type": "string"})
KEY: Final = ApiParameter(
    IDEMPOTENCY_KEY,
    "identifies this request: repeated with the same key, it makes nothing new",
    {"type": "string", "pattern": KEY_PATTERN},
)
TRACE: Final = ApiParameter(
    TRACEPARENT, "the caller's trace, which the job keeps (W3C Trace Context); an invalid one is ignored", TEXT
)
_LOCATION: Final[dict[str, str]] = {hdrs.LOCATION: "address of the job"}
_AGAIN: Final[dict[str, str]] = {hdrs.RETRY_AFTER: "seconds after which to look again"}
_REPLAYED: Final[dict[str, str]] = {REPLAYED: "true if nothing new was made"}
_TAG: Final[dict[str, str]] = {hdrs.ETAG: "changes with the job"}


class JobRoutes:
    """The routes of single jobs."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def routes(self) -> list[ApiRoute]:
        """The routes."""
        job = shapes.JobShape
        asked = ApiResponse("the request is stored; the job as it is now", job, headers=_AGAIN)
        return [
            ApiRoute(
                "POST", "/v1/jobs", "submitJob", "Make a job", self.submit,
                {
                    202: ApiResponse("the job, not at its end yet", job, headers=_LOCATION | _AGAIN | _REPLAYED),
                    201: ApiResponse("a new job that has ended already", job, headers=_LOCATION),
                    200: ApiResponse("the ended job of an earlier request", job, headers=_LOCATION | _REPLAYED),
                },
                headers=(KEY, PREFER, TRACE), body=shapes.NewJobBody, role=Role.SUBMIT, problems=(409,), limited=True,
            ),
            ApiRoute(
                "GET", "/v1/jobs/{id}", "showJob", "Show a job", self.show,
                {
                    200: ApiResponse("the job", job, headers=_TAG),
                    304: ApiResponse("it has not changed", media_type=None, headers=_TAG),
                },
                headers=(
                    PREFER,
                    ApiParameter(hdrs.IF_NONE_MATCH, "entity tags that the caller knows", {"type": "string"}),
                ),
                problems=(404, 429),
                detail="With `Prefer: wait=N` the reply comes when the job no longer matches the entity tag in "
                "`If-None-Match`; without that header, when the job has ended or waits for a person.", limited=True,
            ),
            ApiRoute(
                "GET", "/v1/jobs/{id}/history", "showHistory", "Show the history of a job", self.history,
                {200: ApiResponse("its history", shapes.HistoryShape)}, problems=(404,), limited=True,
            ),
            ApiRoute(
                "GET", "/v1/jobs/{id}/expected", "showExpectation", "Show when a job is expected to be ready",
                self.expected, {200: ApiResponse("what earlier jobs say about it", NextStepShape)}, problems=(404,),
                limited=True,
            ),
            ApiRoute(
                "POST", "/v1/jobs/{id}/cancel", "cancelJob", "Stop a job", self.cancel, {202: asked},
                problems=(404, 409), detail="The remote job is cancelled if the provider supports it.", limited=True,
            ),
            ApiRoute(
                "POST", "/v1/jobs/{id}/retry", "retryJob", "Submit a job again", self.retry,
                {202: ApiResponse("the job that continues", job, headers=_LOCATION | _AGAIN)}, problems=(404, 409),
                detail="A parked job continues as itself. For a job that has ended a new job is made, which points to "
                "it and takes over its unique key; another retry returns that job.", limited=True,
            ),
            ApiRoute(
                "POST", "/v1/jobs/{id}/acknowledge", "acknowledgeJob", "Acknowledge a failure", self.acknowledge,
                {200: ApiResponse("the job as it is now", job)}, problems=(404, 409),
                detail="A failed or expired job counts as unhandled until it is acknowledged or retried.", limited=True,
            ),
            ApiRoute(
                "POST", "/v1/jobs/{id}/adopt", "adoptRemoteJob", "Let a parked job follow a remote job", self.adopt,
                {202: ApiResponse("the job that continues", job, headers=_AGAIN)}, body=shapes.AdoptionBody,
                problems=(404, 409), limited=True,
            ),
            ApiRoute(
                "POST", "/v1/jobs/{id}/poll", "pollJob", "Make a job's next step due now", self.poll, {202: asked},
                problems=(404, 409), limited=True,
            ),
        ]  # fmt: skip

    async def submit(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Submit a job, once for each key."""
        body = await read_body(request, shapes.NewJobBody)
        key, wait_s = idempotency_key(request), None if self._context.watch.is_full else wait_of(request)
        context = JobContext(batch=body.batch, labels=body.labels, traceparent=traceparent(request))
        job_request = JobRequest(body.account, body.operation, body.params, _one_key(key, body.unique_key), context)
        if request.content_length is None or request.content_length > LARGE:
            new = await asyncio.to_thread(self._draft, request, job_request)  # many values would block the event loop
        else:
            new = self._draft(request, job_request)
        ((job, created),) = await self._context.jobs(request).store([new], actor=actor_of(request))
        request[TARGET] = target_of([job.id])
        if key is not None and not created:
            check_same(self._context.jobs(request), job, new)
        if wait_s is not None:
            watch, scope = self._context.watch, scope_of(request)
            job = await watch.wait_for(job.id, has_ended, wait_s, scope, gone(request)) or job
        status = 202 if job.state not in _ENDS else 201 if created else 200
        headers = {hdrs.LOCATION: f"/v1/jobs/{job.id}", **applied(wait_s), **({} if created else {REPLAYED: "true"})}
        return self._reply(job, status, headers)

    async def show(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Show a job, at once or when it has changed."""
        number, known, wait_s = job_number(request), known_tags(request), wait_of(request)

        def is_changed(job: Job) -> bool:
            return entity_tag(job) not in known if known else job.state in _ENDS

        if wait_s:
            refuse_if_full(self._context.watch)
        job = await self._context.watch.wait_for(number, is_changed, wait_s or 0.0, scope_of(request), gone(request))
        if job is None:
            raise ProblemError(404, f"there is no job {number}")
        tag = entity_tag(job)
        if tag in known or "*" in known:
            unchanged = web.Response(status=304, headers=applied(wait_s))
            unchanged.etag = ETag(tag)
            return unchanged
        return self._reply(job, 200, applied(wait_s))

    async def expected(self, request: web.Request, _: QueryParameters) -> web.Response:
        """When the next step of a job is due, and when its remote job is expected to be ready."""
        service, now = self._context.jobs(request), self._context.clock.now()
        job = await service.job(job_number(request))
        expected = await expected_ready(service.jobs.database, service.accounts, job, now)
        return json_reply(
            {
                "due_at": rfc3339(job.due_at),
                "ready": None if expected is None else expected.as_json(),
                "sentence": None if expected is None else expected.sentence(now),
            }
        )

    async def history(self, request: web.Request, _: QueryParameters) -> web.Response:
        """The history of a job."""
        number = job_number(request)
        _job, entries, _artifacts = await self._context.jobs(request).show(number)
        return json_reply({"history": [entry_json(entry) for entry in entries]})

    async def cancel(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Stop a job."""
        job = await self._context.jobs(request).cancel(job_number(request), actor=actor_of(request))
        return self._reply(job, 202)

    async def retry(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Submit a job again."""
        job = await self._context.jobs(request).retry(job_number(request), actor=actor_of(request))
        return self._reply(job, 202, {hdrs.LOCATION: f"/v1/jobs/{job.id}"})

    async def acknowledge(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Acknowledge a failure."""
        job = await self._context.jobs(request).acknowledge(job_number(request), actor=actor_of(request))
        return self._reply(job, 200)

    async def adopt(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Let a parked job follow a remote job."""
        number, body = job_number(request), await read_body(request, shapes.AdoptionBody)
        service = self._context.jobs(request)
        job = await service.adopt(number, body.handle, actor=actor_of(request), kept=body.kept)
        return self._reply(job, 202)

    async def poll(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Make a job's next step due now."""
        job = await self._context.jobs(request).poll_now(job_number(request), actor=actor_of(request))
        return self._reply(job, 202)

    def _draft(self, request: web.Request, job_request: JobRequest) -> NewJob:
        try:
            return self._context.jobs(request).draft(job_request)
        except RefusedError as error:
            raise refusal_of_one(error, job_request) from error

    def _reply(self, job: Job, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
        response = json_reply(job_json(job), status, headers)
        response.etag = ETag(entity_tag(job))
        if status == 202:
            response.headers[hdrs.RETRY_AFTER] = str(again_in(job, self._context.clock.now()))
        return response


def again_in(job: Job, now: float) -> int:
    """After how many seconds to look at a job again: nothing happens before it is due."""
    return math.ceil(min(max((job.due_at or now) - now, 1.0), _LONGEST_AGAIN_S))


def check_same(jobs: JobService, job: Job, new: NewJob) -> None:
    """Make sure that the job of an earlier request with the same key equals the requested one.

    Raises:
        ProblemError: 422, as the draft of the header requires.
    """
    secrets = jobs.jobs.seal.secrets(job.secrets)
    is_other = secrets is not None and dict(secrets) != dict(new.secrets.values)
    if is_other or (job.operation, job.params) != (new.operation, new.params):
        raise key_was_used(f"job {job.id}")


def key_was_used(by: str) -> ProblemError:
    """The problem of a key that was used for another request."""
    reason = f"was used for another request, which made {by}; each request has a key of its own"
    return ProblemError(422, f"the key {reason}", errors=[FieldFault(reason, parameter=IDEMPOTENCY_KEY)])


def _one_key(key: str | None, unique_key: str | None) -> str | None:
    if key is not None and unique_key is not None and key != unique_key:
        reason = f"is not the {IDEMPOTENCY_KEY}, which identifies the same request; give one of the two"
        raise ProblemError(422, "the request has two keys", errors=[FieldFault(reason, "/unique_key")])
    return unique_key if key is None else key


def refuse_if_full(watch: JobWatch) -> None:
    """Make sure that another caller may wait.

    Raises:
        ProblemError: 429, if too many wait already.
    """
    if watch.is_full:
        raise ProblemError(429, "too many callers wait for jobs", retry_after_s=_FULL_AGAIN_S)


def gone(request: web.Request) -> Callable[[], bool]:
    """Whether the caller has disconnected, so that a reply would not be read."""
    return lambda: request.transport is None


def has_ended(job: Job) -> bool:
    """Whether a job has ended or waits for a person, so that nothing happens by itself any more."""
    return job.state in _ENDS

"""Many jobs in one request: all or none, in one transaction, with all faults reported together."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from aiohttp import hdrs, web

from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import Job, NewJob
from tidewaiter.domain.job_context import JobContext
from tidewaiter.services import JobRequest, JobRequestFault, JobService, RefusedError
from tidewaiter.services.audit import target_of
from tidewaiter.web.api import body_schemas as shapes
from tidewaiter.web.api.http_headers import IDEMPOTENCY_KEY, REPLAYED, idempotency_key, traceparent
from tidewaiter.web.api.job_routes import KEY, TRACE, again_in, check_same, key_was_used
from tidewaiter.web.api.request_input import MOST_FAULTS, body_problem, check_shape, read_body, refusal_of
from tidewaiter.web.api.routing import ApiContext, ApiResponse, ApiRoute, QueryParameters, json_reply
from tidewaiter.web.callers import TARGET, Role, actor_of
from tidewaiter.web.problems import FieldFault, ProblemError

_LARGEST_BODY: Final = 16 * 1_048_576


class BatchRoutes:
    """The route of batches."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._keyed = asyncio.Lock()

    def routes(self) -> list[ApiRoute]:
        """The routes."""
        headers = {hdrs.RETRY_AFTER: "seconds after which to look", REPLAYED: "true if no job is new"}
        return [
            ApiRoute(
                "POST", "/v1/jobs/batch", "submitBatch", "Make many jobs, all of them or none", self.submit,
                {202: ApiResponse("the jobs, in the order of the request", shapes.Receipts, headers=headers)},
                headers=(KEY, TRACE), body=shapes.NewJobs, role=Role.SUBMIT, problems=(409,), limited=True,
            )
        ]  # fmt: skip

    async def submit(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Submit the jobs of a batch."""
        body = await read_body(request, shapes.AnyJobs, _LARGEST_BODY)
        key = idempotency_key(request)
        context = JobContext(batch=body.batch, traceparent=traceparent(request))
        news = await asyncio.to_thread(_drafts, self._context.jobs(request), body.jobs, key, context)
        stored = await self._stored(request, news, key)
        request[TARGET] = target_of([job.id for job, _ in stored])
        receipts = [{"id": job.id, "created": created, "location": f"/v1/jobs/{job.id}"} for job, created in stored]
        headers: dict[str, str] = {hdrs.RETRY_AFTER: str(again_in(stored[0][0], self._context.clock.now()))}
        if not any(created for _, created in stored):
            headers[REPLAYED] = "true"
        return json_reply({"jobs": receipts}, 202, headers)

    async def _stored(self, request: web.Request, news: Sequence[NewJob], key: str | None) -> list[tuple[Job, bool]]:
        if key is None:
            return await self._context.jobs(request).store(news, actor=actor_of(request))
        async with self._keyed:  # no other batch with the key may come between the check and the commit
            await self._check_key(request, key, news)
            return await self._context.jobs(request).store(news, actor=actor_of(request))

    async def _check_key(self, request: web.Request, key: str, news: Sequence[NewJob]) -> None:
        """Make sure that a key is new, or comes with the same batch as before.

        Raises:
            ProblemError: 422 otherwise.
        """
        keys = [_key_at(key, place) for place in range(len(news) + 1)]
        known_jobs = await self._context.job_lists(request).keyed(keys)
        if not known_jobs:
            return
        known = [known_jobs.get((new.account, one)) for new, one in zip(news, keys, strict=False)]
        if len(known_jobs) != len(news) or not all(known):
            raise key_was_used("another batch")
        for new, job in zip(news, known, strict=True):
            if job is not None:
                check_same(self._context.jobs(request), job, new)


def _drafts(service: JobService, given: Sequence[Json], key: str | None, context: JobContext) -> list[NewJob]:
    """The jobs of a batch. This runs in a thread, because ten thousand jobs would block the event loop.

    Raises:
        ProblemError: 422 with the first faults; it stops when enough were found.
    """
    jobs = _fitted(given)
    if key is not None:
        _check_keyless(jobs)
    job_requests = [
        JobRequest(
            one.account,
            one.operation,
            one.params,
            one.unique_key if key is None else _key_at(key, place),
            replace(context, batch=one.batch or context.batch, labels=one.labels),
        )
        for place, one in enumerate(jobs)
    ]
    news: list[NewJob] = []
    faults: list[JobRequestFault] = []
    for place, job_request in enumerate(job_requests):
        try:
            news.append(service.draft(job_request, place))
        except RefusedError as error:
            faults += error.faults
        if len(faults) >= MOST_FAULTS:
            break
    if faults:
        raise refusal_of(faults, job_requests, many=True)
    return news


def _fitted(given: Sequence[Json]) -> list[shapes.NewJobBody]:
    jobs: list[shapes.NewJobBody] = []
    faults: list[FieldFault] = []
    for place, one in enumerate(given):
        try:
            jobs.append(check_shape(one, shapes.NewJobBody, "jobs", place))
        except ProblemError as error:
            faults += error.errors
        if len(faults) >= MOST_FAULTS:
            break
    if faults:
        raise body_problem(faults)
    return jobs


def _check_keyless(jobs: Sequence[shapes.NewJobBody]) -> None:
    reason = f"identifies the job, as does the {IDEMPOTENCY_KEY} of the whole request; give one of the two"
    faults = [
        FieldFault(reason, f"/jobs/{place}/unique_key") for place, one in enumerate(jobs) if one.unique_key is not None
    ]
    if faults:
        raise body_problem(faults)


def _key_at(key: str, place: int) -> str:
    """The unique key of a job in a batch that has a key."""
    return f"{key}:{place}"

"""Backfills through the API: make one, see how far it is, pause, resume and cancel it."""

from typing import Final
from urllib.parse import quote

from aiohttp import hdrs, web

from tidewaiter.domain.backfill import Backfill, BackfillPlan
from tidewaiter.domain.windows import Span
from tidewaiter.services import BackfillRequest, RefusedError
from tidewaiter.services.resource_json import backfill_json, backfill_preview_json
from tidewaiter.web.api import batch_schemas as shapes
from tidewaiter.web.api.http_headers import traceparent
from tidewaiter.web.api.job_routes import TRACE
from tidewaiter.web.api.paging import LIMIT, TEXT, limit_of
from tidewaiter.web.api.request_input import backfill_refusal, read_body, refuse_query
from tidewaiter.web.api.routing import ApiContext, ApiParameter, ApiResponse, ApiRoute, QueryParameters, json_reply
from tidewaiter.web.callers import REASON, Role, actor_of
from tidewaiter.web.problems import FieldFault

_PATH: Final = "/v1/backfills"


class BackfillRoutes:
    """The routes of backfills."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def routes(self) -> list[ApiRoute]:
        """The routes."""
        one = shapes.BackfillShape
        location: dict[str, str] = {hdrs.LOCATION: "address of the backfill"}
        next_page: dict[str, str] = {hdrs.LINK: 'the next page, rel="next" (RFC 8288)'}
        return [
            ApiRoute(
                "POST", f"{_PATH}/preview", "previewBackfill", "Show what a backfill would do", self.preview,
                {200: ApiResponse("what it would do; nothing is stored", shapes.BackfillPreviewShape)},
                body=shapes.NewBackfillBody, role=Role.SUBMIT, limited=True,
            ),
            ApiRoute(
                "POST", _PATH, "createBackfill", "Make a backfill", self.create,
                {
                    201: ApiResponse("a new backfill", one, headers=location),
                    200: ApiResponse("the backfill of an earlier request with the same name", one, headers=location),
                },
                headers=(TRACE,), body=shapes.NewBackfillBody, role=Role.SUBMIT, problems=(409,), limited=True,
            ),
            ApiRoute(
                "GET", _PATH, "listBackfills", "List backfills, the newest first", self.backfills,
                {200: ApiResponse("a page", shapes.BackfillPage, headers=next_page)},
                query=(LIMIT, ApiParameter("before", "only backfills before this one", TEXT)), limited=True,
            ),
            ApiRoute(
                "GET", f"{_PATH}/{{name}}", "showBackfill", "Show a backfill", self.show,
                {200: ApiResponse("the backfill", one)}, problems=(404,), limited=True,
            ),
            ApiRoute(
                "POST", f"{_PATH}/{{name}}/pause", "pauseBackfill", "Submit no more windows for now", self.pause,
                {200: ApiResponse("the backfill", one)}, body=shapes.BackfillPauseReason, problems=(404, 409),
                detail="Its jobs continue.", limited=True,
            ),
            ApiRoute(
                "POST", f"{_PATH}/{{name}}/resume", "resumeBackfill", "Submit windows again", self.resume,
                {200: ApiResponse("the backfill", one)}, problems=(404, 409), limited=True,
            ),
            ApiRoute(
                "POST", f"{_PATH}/{{name}}/cancel", "cancelBackfill", "End a backfill, and cancel its jobs",
                self.cancel, {200: ApiResponse("the backfill", one)}, problems=(404,), limited=True,
            ),
        ]  # fmt: skip

    async def preview(self, request: web.Request, _: QueryParameters) -> web.Response:
        """What a backfill would do."""
        wanted = await _wanted(request)
        try:
            found = await self._context.backfills(request).preview(wanted)
        except RefusedError as error:
            raise backfill_refusal(error, wanted.params) from error
        return json_reply(backfill_preview_json(found))

    async def create(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Make a backfill, once for its name."""
        wanted = await _wanted(request)
        try:
            found, created = await self._context.backfills(request).create(wanted, actor=actor_of(request))
        except RefusedError as error:
            raise backfill_refusal(error, wanted.params) from error
        location = f"{_PATH}/{quote(found.name)}"
        return self._reply(found, 201 if created else 200, {hdrs.LOCATION: location})

    async def backfills(self, request: web.Request, query: QueryParameters) -> web.Response:
        """A page of backfills."""
        faults: list[FieldFault] = []
        limit = limit_of(query, faults)
        refuse_query(faults)
        found = await self._context.backfills(request).page(limit + 1, query.get("before", [None])[0])
        shown, now = found[:limit], self._context.clock.now()
        following = f"{_PATH}?limit={limit}&before={quote(shown[-1].name)}" if found[limit:] else None
        headers: dict[str, str] = {} if following is None else {hdrs.LINK: f'<{following}>; rel="next"'}
        return json_reply({"backfills": [backfill_json(one, now) for one in shown], "next": following}, 200, headers)

    async def show(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Show a backfill."""
        return self._reply(await self._context.backfills(request).named(request.match_info["name"]))

    async def pause(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Pause a backfill."""
        body = await read_body(request, shapes.BackfillPauseReason)
        request[REASON] = body.reason
        name, actor = request.match_info["name"], actor_of(request)
        return self._reply(await self._context.backfills(request).pause(name, body.reason, actor=actor))

    async def resume(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Resume a backfill."""
        name, actor = request.match_info["name"], actor_of(request)
        return self._reply(await self._context.backfills(request).resume(name, actor=actor))

    async def cancel(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Cancel a backfill and its jobs."""
        name, actor = request.match_info["name"], actor_of(request)
        return self._reply(await self._context.backfills(request).cancel(name, actor=actor))

    def _reply(self, found: Backfill, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
        return json_reply(backfill_json(found, self._context.clock.now()), status, headers)


async def _wanted(request: web.Request) -> BackfillRequest:
    body = await read_body(request, shapes.NewBackfillBody)
    span = Span(body.first, body.to, body.window, body.timezone)
    plan = BackfillPlan(span, body.newest_first, body.at_once, body.reuse, body.labels, traceparent(request))
    return BackfillRequest(body.account, body.operation, body.params, plan, body.name)

"""Batches through the API: list them, and show one, now or when it has ended."""

from typing import Final
from urllib.parse import quote

from aiohttp import hdrs, web

from tidewaiter.services.resource_json import batch_json
from tidewaiter.web.api import batch_schemas as shapes
from tidewaiter.web.api.http_headers import applied, wait_of
from tidewaiter.web.api.job_routes import PREFER
from tidewaiter.web.api.paging import LIMIT, TEXT, limit_of
from tidewaiter.web.api.request_input import refuse_query
from tidewaiter.web.api.routing import ApiContext, ApiParameter, ApiResponse, ApiRoute, QueryParameters, json_reply
from tidewaiter.web.callers import scope_of
from tidewaiter.web.problems import FieldFault, ProblemError

_PATH: Final = "/v1/batches"
_FULL_AGAIN_S: Final = 5.0


class BatchListRoutes:
    """The routes that show batches."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def routes(self) -> list[ApiRoute]:
        """The routes."""
        next_page: dict[str, str] = {hdrs.LINK: 'the next page, rel="next" (RFC 8288)'}
        return [
            ApiRoute(
                "GET", _PATH, "listBatches", "List batches, the newest first", self.batches,
                {200: ApiResponse("a page", shapes.BatchPage, headers=next_page)},
                query=(LIMIT, ApiParameter("before", "only batches before this one", TEXT)), limited=True,
            ),
            ApiRoute(
                "GET", f"{_PATH}/{{name}}", "showBatch", "Show a batch", self.show,
                {200: ApiResponse("the batch", shapes.BatchShape)}, headers=(PREFER,), problems=(404, 429),
                detail="With `Prefer: wait=N` the reply comes when the batch has ended, or waits for a person only.",
                limited=True,
            ),
        ]  # fmt: skip

    async def batches(self, request: web.Request, query: QueryParameters) -> web.Response:
        """A page of batches."""
        faults: list[FieldFault] = []
        limit = limit_of(query, faults)
        refuse_query(faults)
        found = await self._context.batches(request).page(limit + 1, query.get("before", [None])[0])
        shown = found[:limit]
        following = f"{_PATH}?limit={limit}&before={quote(shown[-1].name)}" if found[limit:] else None
        headers: dict[str, str] = {} if following is None else {hdrs.LINK: f'<{following}>; rel="next"'}
        return json_reply({"batches": [batch_json(one) for one in shown], "next": following}, headers=headers)

    async def show(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Show a batch, at once or when it has ended."""
        name, wait_s, watch = request.match_info["name"], wait_of(request), self._context.batch_watch
        if wait_s and watch.is_full:
            raise ProblemError(429, "too many callers wait for batches", retry_after_s=_FULL_AGAIN_S)
        if wait_s:
            batch = await watch.wait_for(name, wait_s, scope_of(request), lambda: request.transport is None)
        else:
            batch = await self._context.batches(request).get(name)
        if batch is None:
            raise ProblemError(404, f"there is no batch {name[:100]!r}")
        return json_reply(batch_json(batch), 200, applied(wait_s))

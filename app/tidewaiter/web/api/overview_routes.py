"""The overview through the API: the status of everything in one response."""

from aiohttp import web

from tidewaiter.services.resource_json import overview_json
from tidewaiter.web.api import body_schemas as shapes
from tidewaiter.web.api.routing import ApiContext, ApiResponse, ApiRoute, QueryParameters, json_reply


class OverviewRoutes:
    """The route of the overview."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def routes(self) -> list[ApiRoute]:
        """The routes."""
        return [
            ApiRoute(
                "GET", "/v1/overview", "showOverview", "Show the status of everything", self.show,
                {200: ApiResponse("the overview", shapes.OverviewShape)}, limited=True,
            )
        ]  # fmt: skip

    async def show(self, request: web.Request, _: QueryParameters) -> web.Response:
        """The status of everything."""
        snapshot = await self._context.overview(request).snapshot()
        return json_reply(overview_json(snapshot, self._context.storage_trouble()))

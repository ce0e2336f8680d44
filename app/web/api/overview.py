"""The overview through the API: the status of everything in one response."""

from aiohttp import web

from app.desk.views import overview_json
from app.web.api import shapes
from app.web.api.office import Office
from app.web.api.routes import Answer, Query, Route, answer


class OverviewRoom:
    """The route of the overview."""

    def __init__(self, context: Office) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route(
                "GET", "/v1/overview", "showOverview", "Show the status of everything", self.show,
                {200: Answer("the overview", shapes.OverviewShape)}, limited=True,
            )
        ]  # fmt: skip

    async def show(self, request: web.Request, _: Query) -> web.Response:
        """The status of everything."""
        return answer(overview_json(await self._context.overview(request).look()))

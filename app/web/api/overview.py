"""The overview through the API: how everything stands, at a glance."""

from aiohttp import web

from app.desk.views import overview_json
from app.web.api import shapes
from app.web.api.office import Office
from app.web.api.routes import Answer, Query, Route, answer


class OverviewRoom:
    """The room of the overview."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def routes(self) -> list[Route]:
        """What it serves."""
        return [
            Route(
                "GET", "/v1/overview", "showOverview", "Show how everything stands", self.show,
                {200: Answer("the overview", shapes.OverviewShape)}, limited=True,
            )
        ]  # fmt: skip

    async def show(self, request: web.Request, _: Query) -> web.Response:
        """How everything stands."""
        return answer(overview_json(await self._office.overview(request).look()))

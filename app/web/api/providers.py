"""Providers through the API: the known remote APIs, and the parameters of each operation."""

from aiohttp import web

from app.desk.views import provider_json, provider_line_json
from app.providers.faults import UnknownProviderError
from app.web.api import shapes
from app.web.api.office import Office
from app.web.api.routes import Answer, Query, Route, answer
from app.web.problems import ProblemError


class Providers:
    """The routes of providers."""

    def __init__(self, context: Office) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route(
                "GET", "/v1/providers", "listProviders", "List the known remote APIs", self.every,
                {200: Answer("the providers", shapes.ProvidersShape)}, limited=True,
            ),
            Route(
                "GET", "/v1/providers/{name}", "showProvider", "Show the operations of a remote API", self.show,
                {200: Answer("the provider", shapes.ProviderShape)}, problems=(404,), limited=True,
            ),
        ]  # fmt: skip

    async def every(self, request: web.Request, _: Query) -> web.Response:
        """The known remote APIs."""
        registry, accounts = self._context.providers(), self._context.desk(request).accounts
        lines = [
            provider_line_json(registry.get(name), (one.name for one in accounts.values() if one.provider == name))
            for name in registry.names()
        ]
        return answer({"providers": lines})

    async def show(self, request: web.Request, _: Query) -> web.Response:
        """The operations of a remote API."""
        try:
            provider = self._context.providers().get(request.match_info["name"])
        except UnknownProviderError as error:
            raise ProblemError(404, str(error)) from error
        return answer(provider_json(provider))

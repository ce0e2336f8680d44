"""Providers through the API: the known remote APIs, and the parameters of each operation."""

from aiohttp import web

from app.providers.faults import UnknownProviderError
from app.providers.parameter_schema import parameter_schema
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
            {
                "name": name,
                "title": registry.get(name).title,
                "operations": list(registry.get(name).operations),
                "accounts": sorted(one.name for one in accounts.values() if one.provider == name),
                "location": f"/v1/providers/{name}",
            }
            for name in registry.names()
        ]
        return answer({"providers": lines})

    async def show(self, request: web.Request, _: Query) -> web.Response:
        """The operations of a remote API."""
        try:
            provider = self._context.providers().get(request.match_info["name"])
        except UnknownProviderError as error:
            raise ProblemError(404, str(error)) from error
        operations = {
            name: {"title": one.title, "parameters": parameter_schema(one)}
            for name, one in provider.spec.operations.items()
        }
        return answer(
            {
                "name": provider.name,
                "title": provider.title,
                "documentation": [str(address) for address in provider.spec.documentation],
                "operations": operations,
            }
        )

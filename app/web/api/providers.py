"""Providers through the API: the remote APIs that there are, and what each operation takes."""

from aiohttp import web

from app.desk.views import provider_json, provider_line_json
from app.providers.faults import UnknownProviderError
from app.web.api import shapes
from app.web.api.office import Office
from app.web.api.rendering import answer
from app.web.api.routes import Answer, Query, Route
from app.web.problems import ProblemError


class Providers:
    """The rooms of providers."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def routes(self) -> list[Route]:
        """What they serve."""
        return [
            Route(
                "GET", "/v1/providers", "listProviders", "List the remote APIs that there are", self.every,
                {200: Answer("the providers", shapes.ProvidersShape)}, limited=True,
            ),
            Route(
                "GET", "/v1/providers/{name}", "showProvider", "Show what a remote API can be asked for", self.show,
                {200: Answer("the provider", shapes.ProviderShape)}, problems=(404,), limited=True,
            ),
        ]  # fmt: skip

    async def every(self, request: web.Request, _: Query) -> web.Response:
        """The remote APIs that there are."""
        registry, accounts = self._office.providers(), self._office.desk(request).accounts
        lines = [
            provider_line_json(registry.get(name), (one.name for one in accounts.values() if one.provider == name))
            for name in registry.names()
        ]
        return answer({"providers": lines})

    async def show(self, request: web.Request, _: Query) -> web.Response:
        """What a remote API can be asked for."""
        try:
            provider = self._office.providers().get(request.match_info["name"])
        except UnknownProviderError as error:
            raise ProblemError(404, str(error)) from error
        return answer(provider_json(provider))

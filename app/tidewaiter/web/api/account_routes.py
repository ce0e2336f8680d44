"""What is configured, through the API: providers and accounts."""

import asyncio

from aiohttp import web

from tidewaiter.providers.errors import SpecError, UnknownProviderError
from tidewaiter.services.resource_json import (
    account_json,
    provider_json,
    provider_line_json,
    resumed_json,
)
from tidewaiter.web.api import body_schemas as shapes
from tidewaiter.web.api import provider_schemas
from tidewaiter.web.api.request_input import read_reason
from tidewaiter.web.api.routing import ApiContext, ApiResponse, ApiRoute, QueryParameters, json_reply
from tidewaiter.web.callers import actor_of
from tidewaiter.web.problems import ProblemError


class ProviderRoutes:
    """The routes of providers."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def routes(self) -> list[ApiRoute]:
        """The routes."""
        return [
            ApiRoute(
                "GET", "/v1/providers", "listProviders", "List the known remote APIs", self.every,
                {200: ApiResponse("the providers", provider_schemas.ProvidersShape)}, limited=True,
            ),
            ApiRoute(
                "GET", "/v1/providers/{name}", "showProvider", "Show the operations of a remote API", self.show,
                {200: ApiResponse("the provider", provider_schemas.ProviderShape)}, problems=(404,), limited=True,
            ),
        ]  # fmt: skip

    async def every(self, request: web.Request, _: QueryParameters) -> web.Response:
        """The known remote APIs."""
        registry, accounts = self._context.providers(), self._context.accounts(request).accounts
        # In a thread: the first time every spec of the catalogue is read.
        every = await asyncio.to_thread(lambda: [registry.get(name) for name in registry.names()])
        users = [(one.name, one.provider.name) for one in accounts.values()]
        lines = [provider_line_json(one, (name for name, provider in users if provider == one.name)) for one in every]
        return json_reply({"providers": lines})

    async def show(self, request: web.Request, _: QueryParameters) -> web.Response:
        """The operations of a remote API."""
        try:
            provider = self._context.providers().get(request.match_info["name"])
        except (SpecError, UnknownProviderError) as error:
            raise ProblemError(404, str(error)) from error
        return json_reply(provider_json(provider))


class AccountRoutes:
    """The routes of accounts."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def routes(self) -> list[ApiRoute]:
        """The routes."""
        status = ApiResponse("its status", shapes.AccountShape)
        return [
            ApiRoute(
                "GET", "/v1/accounts", "listAccounts", "List the configured accounts", self.every,
                {200: ApiResponse("their status", shapes.AccountsShape)}, limited=True,
            ),
            ApiRoute(
                "GET", "/v1/accounts/{name}", "showAccount", "Show the status of an account", self.show,
                {200: status}, problems=(404,), limited=True,
            ),
            ApiRoute(
                "POST", "/v1/accounts/{name}/pause", "pauseAccount", "Pause an account", self.pause, {200: status},
                body=shapes.PauseReason, problems=(404,),
                detail="No request is sent to its provider until somebody resumes it; its jobs wait.",
                limited=True,
            ),
            ApiRoute(
                "POST", "/v1/accounts/{name}/resume", "resumeAccount", "End the pause of an account", self.resume,
                {200: ApiResponse("its status", shapes.ResumedShape)}, problems=(404,),
                detail="The deadlines of its jobs move by the time that they have waited. An account that its provider "
                "or its circuit breaker has closed for a while is opened, too.", limited=True,
            ),
        ]  # fmt: skip

    async def every(self, request: web.Request, _: QueryParameters) -> web.Response:
        """The status of all accounts."""
        return json_reply({"accounts": [account_json(one) for one in await self._context.accounts(request).statuses()]})

    async def show(self, request: web.Request, _: QueryParameters) -> web.Response:
        """The status of an account."""
        name = request.match_info["name"]
        for one in await self._context.accounts(request).statuses():
            if one.account == name:
                return json_reply(account_json(one))
        raise ProblemError(404, f"there is no account {name[:100]!r} in the configuration")

    async def pause(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Pause an account."""
        reason = await read_reason(request, shapes.PauseReason)
        name, actor = request.match_info["name"], actor_of(request)
        return json_reply(account_json(await self._context.accounts(request).pause(name, reason, actor=actor)))

    async def resume(self, request: web.Request, _: QueryParameters) -> web.Response:
        """End the pause of an account."""
        resumed = await self._context.accounts(request).resume(request.match_info["name"], actor=actor_of(request))
        return json_reply(resumed_json(resumed))

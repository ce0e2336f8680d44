"""Accounts through the API: show their status, pause and resume them."""

from aiohttp import web

from app.desk.views import account_json, resumed_json
from app.web.api import shapes
from app.web.api.office import Office
from app.web.api.reading import read_body
from app.web.api.routes import Answer, Query, Route, answer
from app.web.callers import REASON, actor_of
from app.web.problems import ProblemError


class Accounts:
    """The routes of accounts."""

    def __init__(self, context: Office) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """The routes."""
        status = Answer("its status", shapes.AccountShape)
        return [
            Route(
                "GET", "/v1/accounts", "listAccounts", "List the configured accounts", self.every,
                {200: Answer("their status", shapes.AccountsShape)}, limited=True,
            ),
            Route(
                "GET", "/v1/accounts/{name}", "showAccount", "Show the status of an account", self.show,
                {200: status}, problems=(404,), limited=True,
            ),
            Route(
                "POST", "/v1/accounts/{name}/pause", "pauseAccount", "Pause an account", self.pause, {200: status},
                body=shapes.PauseReason, problems=(404,),
                detail="No request is sent to its provider until somebody resumes it; its jobs wait.",
                limited=True,
            ),
            Route(
                "POST", "/v1/accounts/{name}/resume", "resumeAccount", "End the pause of an account", self.resume,
                {200: Answer("its status", shapes.ResumedShape)}, problems=(404,),
                detail="The deadlines of its jobs move by the time that they have waited. An account that its provider "
                "or its circuit breaker has closed for a while is opened, too.", limited=True,
            ),
        ]  # fmt: skip

    async def every(self, request: web.Request, _: Query) -> web.Response:
        """The status of all accounts."""
        return answer({"accounts": [account_json(one) for one in await self._context.desk(request).standings()]})

    async def show(self, request: web.Request, _: Query) -> web.Response:
        """The status of an account."""
        name = request.match_info["name"]
        for one in await self._context.desk(request).standings():
            if one.account == name:
                return answer(account_json(one))
        raise ProblemError(404, f"there is no account {name[:100]!r} in the configuration")

    async def pause(self, request: web.Request, _: Query) -> web.Response:
        """Pause an account."""
        body = await read_body(request, shapes.PauseReason)
        request[REASON] = body.reason or ""
        name, actor = request.match_info["name"], actor_of(request)
        return answer(account_json(await self._context.desk(request).pause(name, body.reason, actor=actor)))

    async def resume(self, request: web.Request, _: Query) -> web.Response:
        """End the pause of an account."""
        resumed = await self._context.desk(request).resume(request.match_info["name"], actor=actor_of(request))
        return answer(resumed_json(resumed))

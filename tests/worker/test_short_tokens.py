"""A token endpoint that gives its tokens a shorter life than the account's limit leaves between two requests."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.worker.client_setup import ClientSetup, address_of
from tidewaiter.clock import SystemClock
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.transport.aiohttp_wire import AiohttpWire

_MOST_LOGINS = 5


class _Api:
    """Gives tokens with a short life, and stops a client that does nothing but log in."""

    def __init__(self, status: int) -> None:
        self.asked: list[str] = []
        self._status = status

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application()
        application.router.add_post("/v1/login", self._login)
        application.router.add_get("/v1/data", self._data)
        return application

    async def _login(self, _: web.Request) -> web.Response:
        self.asked.append("login")
        status = 403 if self.asked.count("login") > _MOST_LOGINS else 200
        return web.json_response({"token": f"canary-token-{len(self.asked)}", "expires_in": 0.001}, status=status)

    async def _data(self, _: web.Request) -> web.Response:
        self.asked.append("data")
        return web.json_response({}, status=self._status)


async def _asked(status: int, *, fails: bool) -> tuple[list[str], str]:
    """The requests for one piece of data, and the reason if it cannot be had."""
    api, reason = _Api(status), ""
    async with AiohttpWire() as wire, TestServer(api.application(), host="127.0.0.1") as running:
        setup = ClientSetup(wire, address_of(running), SystemClock(), Limits(spacing_s=0.02))
        if fails:
            reason = (await setup.failure()).reason
        else:
            await setup.ask()
        setup.log.close()
    return api.asked, reason


async def test_a_new_token_is_used_once_at_least() -> None:
    """Seen: logins spent every permit of the account, and nothing else was ever sent."""
    assert await _asked(200, fails=False) == (["login", "data"], "")


@pytest.mark.slow
async def test_a_new_token_that_has_ended_already() -> None:
    """The account is in trouble, after two tries and with a reason."""
    asked, reason = await _asked(401, fails=True)
    assert asked == ["login", "data"] * 2
    assert "a new token was refused as well" in reason

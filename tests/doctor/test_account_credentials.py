"""The doctor tries accounts that sign their own tokens, and accounts whose login names their server."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.providers.signing_specs import EC_KEY, pem, verified
from tests.support.doctor_run import consulted
from tests.worker.client_setup import address_of
from tidewaiter.doctor.findings import CheckStatus

SPEC = """
name = "signing-shop"
title = "Shop"
base_url = "{base}"
error = "error"

[account]
server = {{ type = "url", help = "the server" }}
key = {{ type = "private_key", help = "the key", secret = true }}

[auth]
{auth}

[probe]
url = "/me"

[operations.report]
title = "Report"
results = {{ url = "/report" }}
"""
JWT = 'type = "jwt"\nkey = "${account.key}"\nalgorithm = "ES256"\nclaims = { iss = "shop" }'
BEARER = """
type = "oauth2"
grant = "jwt_bearer"
token_url = "${account.server}/token"
keep = { instance = "instance_url" }
assertion = { key = "${account.key}", algorithm = "ES256", claims = { iss = "shop" } }

[origins.instances]
url = "${account.server}"
"""


class Shop:
    """Answers the probe if the token is good; ``refuses`` makes it quote and refuse every token."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.asked: list[str] = []
        self.origin = ""

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application()
        application.router.add_post("/token", self._token)
        application.router.add_get("/me", self._me)
        application.router.add_get("/eu5/me", self._me)
        return application

    async def _token(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        assert verified(str((await request.post())["assertion"]))["iss"] == "shop"
        return web.json_response({"access_token": "canary-token", "instance_url": f"{self.origin}/eu5"})

    async def _me(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        token = request.headers["Authorization"].removeprefix("Bearer ")
        assert token == "canary-token" or verified(token)["iss"] == "shop"
        return web.json_response({"error": f"{token} is old"}, status=401 if self.refuses else 200)


def _written(folder: Path, spec: str, origin: str) -> str:
    (folder / "specs").mkdir()
    (folder / "specs" / "shop.toml").write_text(spec)
    return f"""
    [providers]
    folders = ["{folder / "specs"}"]
    [accounts.shop]
    provider = "signing-shop"
    allow_private = true
    [accounts.shop.settings]
    server = "{origin}"
    key = '''{pem(EC_KEY)}'''
    """


@pytest.mark.parametrize(
    ("auth", "base", "asked"),
    [
        (JWT, "${account.server}", ["/me"]),
        (BEARER, "${login.instance}", ["/token", "/eu5/me"]),
    ],
)
async def test_an_account_that_works(auth: str, base: str, asked: list[str], tmp_path: Path) -> None:
    """The address is that of the API, or of the login which names it; then the probe is asked as the daemon would."""
    shop = Shop()
    async with TestServer(shop.application(), host="127.0.0.1") as server:
        shop.origin = address_of(server)
        text = await asyncio.to_thread(_written, tmp_path, SPEC.format(base=base, auth=auth), shop.origin)
        found = await consulted(tmp_path, text)
    assert found["shop", "login"].status is CheckStatus.OK
    assert found["shop", "tls"].status is CheckStatus.OK
    assert shop.asked == asked


async def test_a_token_that_is_refused(tmp_path: Path) -> None:
    """It is said, after one more try with a new token."""
    shop = Shop(refuses=True)
    async with TestServer(shop.application(), host="127.0.0.1") as server:
        shop.origin = address_of(server)
        spec = SPEC.format(base="${account.server}", auth=JWT)
        found = await consulted(tmp_path, await asyncio.to_thread(_written, tmp_path, spec, shop.origin))
    login = found["shop", "login"]
    assert login.status is CheckStatus.FAILURE
    assert "a new token was refused as well" in login.message
    assert shop.asked == ["/me", "/me"]
    assert "eyJ" not in login.message

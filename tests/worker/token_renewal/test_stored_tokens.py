"""Which refresh token is sent and kept: a new one of the configuration, another key, replies that replace none."""

import io
from collections.abc import Callable

from aiohttp import web

from tests.support.token_server import SPEC, TokenServer
from tests.worker.token_renewal.renewing_lanes import Process
from tidewaiter.database.engine import Database
from tidewaiter.database.refresh_token_store import RefreshTokenStore
from tidewaiter.database.sealing import Seal, new_key
from tidewaiter.domain import outcome as o
from tidewaiter.log import configure
from tidewaiter.worker.token_renewal import RefreshTokens


async def test_a_new_refresh_token_without_an_access_token(process: Process, api: TokenServer) -> None:
    """The account is refused; but the only good refresh token is stored."""

    async def halved(_request: web.Request, _response: web.Response) -> web.Response:
        return web.json_response({"refresh_token": "canary-rt-1", "error": "no access with canary-rt-1"})

    whole, api.answer = api.answer, halved
    failed = await process.lane().failure()
    assert isinstance(failed, o.Unauthorized)
    assert "canary" not in failed.reason
    api.answer = whole
    assert (await process.lane().ask()).status == 200
    assert api.sent == ["canary-rt-0", "canary-rt-1"]


async def test_a_refusal_that_quotes_the_stored_token(process: Process, api: TokenServer, database: Database) -> None:
    """A process that reads it from the database sends it, and no reason shows it."""
    await process.lane().ask()
    api.end_access()
    api.revoked = True
    output = io.StringIO()
    log = configure("json", "debug", ["canary-rt-0"], clock=process.clock, stream=output, strict=True)
    failed = await Process(process.wire, process.origin, database, process.clock, log).lane(2).failure()
    log.close()
    remedy = "if that means the refresh token, log in anew and set accounts.shop.settings.login"
    assert failed.reason == f"the login failed: HTTP 400: [redacted] is spent; {remedy}"
    assert "canary" not in output.getvalue()


async def test_a_refusal_that_quotes_the_new_token(process: Process, api: TokenServer, output: io.StringIO) -> None:
    """Neither kind of token is shown."""

    async def unusable(_: web.Request, response: web.Response) -> web.Response:
        response.text = (response.text or "").replace("canary-at", "canary-no")
        return response

    api.answer = unusable
    failed = await process.lane().failure()
    assert failed.reason == "a new token was refused as well: HTTP 401: log in with [redacted]"
    assert api.sent == ["canary-rt-0", "canary-rt-1"]
    assert "canary" not in output.getvalue()


async def test_a_newly_configured_token(
    make_process: Callable[[], Process], api: TokenServer, output: io.StringIO
) -> None:
    """It gives way to nothing; a process with the older one stops renewing, and says what to do."""
    old = make_process()
    await old.lane().ask()
    api.log_in_anew("fresh-canary-0")
    new = make_process()
    assert (await new.lane(configured="fresh-canary-0").ask()).status == 200
    api.end_access()
    failed = await old.lane(2).failure()
    assert isinstance(failed, o.Retry)
    assert failed.reason.startswith("the configured refresh token gave way to a newer one")
    assert (await new.lane(2, "fresh-canary-0").ask()).status == 200
    assert api.sent == ["canary-rt-0", "fresh-canary-0", "fresh-canary-1"]
    assert output.getvalue().count('"refresh_token.replaced"') == 1


async def test_a_provider_that_does_not_replace_after_all(process: Process, api: TokenServer) -> None:
    """The same token is sent each time."""
    api.rotates = False
    lane = process.lane()
    await lane.ask()
    api.end_access()
    assert (await lane.ask()).status == 200
    assert api.sent == ["canary-rt-0"] * 2


async def test_a_provider_that_replaces_although_the_spec_denies_it(
    process: Process, api: TokenServer, output: io.StringIO, database: Database
) -> None:
    """Nothing is stored; the log warns, and does not show the token."""
    lane = process.lane(spec=SPEC.replace("rotates = true", "rotates = false"))
    assert (await lane.ask()).status == 200
    assert '"refresh_token.ignored"' in output.getvalue()
    assert "canary" not in output.getvalue()
    assert await process.store.stored() == {}


async def test_another_key(process: Process, database: Database, api: TokenServer) -> None:
    """The configured token is spent by now, so it does not take the place of the stored one."""
    await process.lane().ask()
    process.tokens = RefreshTokens(RefreshTokenStore(database, Seal([new_key()])), process.clock, process.log)
    failed = await process.lane(2).failure()
    assert isinstance(failed, o.Unauthorized)
    assert failed.reason.startswith("no key decrypts the stored refresh token: put its key back")
    assert api.sent == ["canary-rt-0"]

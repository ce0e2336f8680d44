"""Replies from other hosts neither pause nor throttle the account, nor end its session."""

from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.scripted_provider import Answer, answering, open_provider, serving
from tests.support.stored_jobs import StandingClock
from tests.worker.client_setup import ClientSetup, address_of
from tests.worker.login_api import Api
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.job import State
from tidewaiter.transport.aiohttp_wire import AiohttpWire

SPEC = """
[operations.report.submit]
url = "/jobs"
handle = "id"

[operations.report.poll]
url = "/jobs/${handle}"

[[operations.report.poll.rules]]
word = "state"
words = { DONE = "ready", NO = "unauthorized", SLOW = "throttled" }

[operations.report.results]
url = "/jobs/${handle}/file"
rules = [{ status = 418, then = "unauthorized" }]
"""


def leading(*urls: str) -> Answer:
    """Redirect to each of these in turn, then say that the job is ready."""
    left = list(urls)

    async def answer(_: web.Request) -> web.StreamResponse:
        if not left:
            return web.json_response({"state": "DONE"})
        return web.Response(status=302, headers={"Location": left.pop(0)})

    return answer


@pytest.mark.slow
@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize(
    ("status", "body"), [(401, {}), (403, {}), (429, {}), (503, {}), (200, {"state": "NO"}), (200, {"state": "SLOW"})]
)
async def test_a_poll_led_astray(tmp_path: Path, sqlite_url: str, status: int, body: object, back: bool) -> None:
    """The job tries again, and the account goes on; whether the host answers itself or leads back to the provider."""
    refusal = answering(body, status=status, headers={"Retry-After": "1"} if status in (429, 503) else None)
    answers = {
        "POST /jobs": answering({"id": "7"}),
        "GET /refusal": refusal,
        "GET /jobs/7/file": answering(b"rows"),
    }
    async with (
        open_provider({"GET /refusal": refusal}) as host,
        serving(tmp_path, sqlite_url, SPEC, answers) as (shop, running),
    ):
        host.answers["GET /back"] = leading(f"{shop.url}/refusal")
        answers["GET /jobs/7"] = leading(f"{host.url}/{'back' if back else 'refusal'}")
        job = await running.run()
        assert await running.accounts.pause_of("shop") is None
        outcomes = await running.outcomes(job.id)
        assert not running.events("account.paused")
        assert not running.events("account.refused")
    assert job.state is State.SUCCEEDED
    assert "Retry" in outcomes
    assert shop.times("GET /refusal") == int(back)


@pytest.mark.slow
@pytest.mark.parametrize("status", [401, 418, 429])
async def test_a_download_led_back(tmp_path: Path, sqlite_url: str, status: int) -> None:
    """A file host that leads back to the provider cannot stop the account, by no status and no rule of the spec."""
    answers = {
        "POST /jobs": answering({"id": "7"}),
        "GET /jobs/7": answering({"state": "DONE"}),
        "GET /refusal": answering(b"", status=status),
    }
    async with open_provider({}) as host, serving(tmp_path, sqlite_url, SPEC, answers) as (shop, running):
        host.answers["GET /back"] = leading(f"{shop.url}/refusal")
        tried = 0

        async def file(_: web.Request) -> web.StreamResponse:
            nonlocal tried
            tried += 1
            if tried == 1:
                return web.Response(status=302, headers={"Location": f"{host.url}/back"})
            return web.Response(body=b"rows")

        answers["GET /jobs/7/file"] = file
        job = await running.until((await running.submit()).id, within_s=40)
        assert await running.accounts.pause_of("shop") is None
        assert not running.events("account.paused")
    assert job.state is State.SUCCEEDED or (status == 401 and job.state is State.FAILED)
    assert shop.times("GET /refusal") == 1


async def test_a_session_outlives_it() -> None:
    """A 401 to what was sent without the token does not say that the token is spent: nobody signs in again."""
    api, host = Api(), Api()
    async with (
        TestServer(api.application(), host="127.0.0.1") as server,
        TestServer(host.application(), host="127.0.0.1") as other,
        AiohttpWire() as wire,
    ):
        setup = ClientSetup(wire, address_of(server), StandingClock())
        away = f"{address_of(other)}/v1/away?to={address_of(server)}/v1/data"
        request = WireRequest("GET", f"{address_of(server)}/v1/away?to={away.replace('?', '%3F')}")
        assert (await setup.ask(request)).status == 401
        async with setup.client.stream(request, send_auth=True) as file:
            assert file.status == 401
        async with setup.client.open_reply(request) as begun:
            assert begun.reply.status == 401
        assert (await setup.ask()).status == 200
        setup.log.close()
    assert api.logins == 1

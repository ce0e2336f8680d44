"""Social Gateway against a server that was written from its documentation alone."""

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from tests.apis.strict_server import StrictServer, UndocumentedError, only
from tests.support.one_export import Landed, listening, run
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import State
from tidewaiter.services import RequestError

pytestmark = pytest.mark.slow

_LOGIN: Final = {"userName": "api", "apiKey": "made-up-key", "password": "made-up-password"}
_TOKEN: Final = "202060259b0df2b6d5b56a9b50a149e3270816f2"
_FORM: Final = "application/x-www-form-urlencoded"


class Gateway(StrictServer):
    """Every resource below ``/api/v2/`` with the five verbs; ``lost`` closes the connection of so many changes."""

    failure: str | None = None
    lost: int = 0
    status: int = 200
    expired: bool = False
    changes: int = 0

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the login and the rest."""
        router.add_post("/api/v2/authenticate", self.authenticate)
        router.add_route("*", "/api/v2/{path:.+}", self.resource)

    async def authenticate(self, request: web.Request) -> web.Response:
        """Give a token."""
        only(request)
        if dict(await request.post()) != _LOGIN or request.content_type != _FORM:
            raise UndocumentedError("the login needs userName, apiKey and password, as plain http parameters")
        reply = {"success": True, "access_token": _TOKEN, "expires": "2055-02-20T16:32:51-0300"}
        return web.json_response(reply, headers={"Expires": "Thu, 01-Jan-1970 00:00:00 GMT"})

    async def resource(self, request: web.Request) -> web.StreamResponse:
        """Any resource."""
        sent = dict(request.query)
        if await request.read():
            if request.method not in ("POST", "PUT") or request.content_type != _FORM:
                raise UndocumentedError("all arguments are plain http parameters")
            sent |= dict(parse_qsl((await request.read()).decode()))
        if sent.pop("access_token", None) != _TOKEN:
            return web.Response(status=401, reason="Please include the access_token parameter in your requests.")
        if self.expired:
            self.expired = False
            return web.Response(status=401, reason="Please renew your access_token")
        self.bodies.append(sent)
        if request.method in ("POST", "PUT", "DELETE"):
            self.changes += 1
        if self.lost:
            self.lost -= 1
            assert request.transport is not None
            request.transport.abort()
        if self.status != 200:
            return web.Response(status=self.status)
        headers = {"Server": "nginx/1.2.3", "X-Total": "7"}
        if request.method == "HEAD":
            response = web.StreamResponse(headers={**headers, "Content-Encoding": "gzip", "Content-Length": "512"})
            response.headers.add("Set-Cookie", "a=1")
            response.headers.add("Set-Cookie", "b=2")
            await response.prepare(request)
            return response
        if request.method == "GET" and self.failure is None:
            return web.json_response([{"path": request.match_info["path"]}], headers=headers)
        scenario = {"success": self.failure is None, "statusMessage": self.failure or "done"}
        return web.json_response(scenario, headers=headers)


async def _run(out: Path, gateway: Gateway, params: dict[str, str], operation: str = "resource") -> Landed:
    async with listening(gateway.app()) as server:
        settings: dict[str, Json] = {
            "server": server, "user_name": "api", "api_key": "made-up-key", "password": "made-up-password",
        }  # fmt: skip
        landed = await run(out, "socialgateway", settings, operation, params)
    assert gateway.wrong == []
    return landed


def _json(landed: Landed) -> Any:
    assert (landed.job.state, landed.job.reason) == (State.SUCCEEDED, None)
    (content,) = landed.files.values()
    return json.loads(content)


async def test_statistics(tmp_path: Path) -> None:
    """The document's own example."""
    gateway = Gateway()
    assert _json(await _run(tmp_path, gateway, {}, "campaign_stats")) == [{"path": "campaign/stats"}]
    assert gateway.asked == ["POST /api/v2/authenticate", f"GET /api/v2/campaign/stats?access_token={_TOKEN}"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["contact/list", "/contact/list"])
async def test_every_verb_on_any_resource(tmp_path: Path, method: str, path: str) -> None:
    """The parameters arrive as plain http parameters, and the reply lands as it came."""
    gateway = Gateway()
    parameters = json.dumps({"name": "a b&c", "page": 2})
    landed = await _run(tmp_path, gateway, {"path": path, "method": method, "parameters": parameters})
    wanted: object = [{"path": "contact/list"}] if method == "GET" else {"success": True, "statusMessage": "done"}
    assert _json(landed) == wanted
    assert gateway.bodies == [{"name": "a b&c", "page": "2"}]
    assert gateway.asked[1].startswith(f"{method} /api/v2/contact/list?")


async def test_head_lands_the_status_and_the_header_fields(tmp_path: Path) -> None:
    """As JSON, a repeated field with each of its values, though the fields speak of a packed body."""
    gateway = Gateway()
    landed = _json(
        await _run(tmp_path, gateway, {"path": "contact/list", "method": "HEAD", "parameters": '{"page": 2}'})
    )
    assert (landed["status"], landed["reason"]) == (200, "OK")
    assert landed["headers"]["X-Total"] == "7"
    assert landed["headers"]["Content-Length"] == "512"
    assert landed["headers"]["Set-Cookie"] == ["a=1", "b=2"]
    assert _TOKEN not in json.dumps(landed)
    assert [asked.split()[0] for asked in gateway.asked] == ["POST", "HEAD"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_a_200_that_is_a_failure(tmp_path: Path, method: str) -> None:
    """``success: false`` ends the job with the message of the API."""
    gateway = Gateway()
    gateway.failure = "the name is taken"
    landed = await _run(tmp_path, gateway, {"path": "contact", "method": method})
    assert (landed.job.state, landed.job.submits) == (State.FAILED, 1)
    assert "the name is taken" in (landed.job.reason or "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("how", ["lost", "502"])
async def test_a_change_is_never_repeated_blindly(tmp_path: Path, method: str, how: str) -> None:
    """Whether it was made is unknown, so a person decides; the API has been asked once."""
    gateway = Gateway()
    if how == "lost":
        gateway.lost = 1
    else:
        gateway.status = 502
    landed = await _run(tmp_path, gateway, {"path": "contact", "method": method})
    assert (landed.job.state, gateway.changes) == (State.PARKED, 1)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "GET"])
async def test_a_change_after_an_expired_token(tmp_path: Path, method: str) -> None:
    """A 401 proves that nothing was done, so the login is renewed and the change sent again, once."""
    gateway = Gateway()
    gateway.expired = True
    landed = await _run(tmp_path, gateway, {"path": "contact", "method": method})
    assert landed.job.state is State.SUCCEEDED
    assert len(gateway.bodies) == 1


async def test_a_reading_is_repeated(tmp_path: Path) -> None:
    """A lost reply to GET or HEAD does no harm: it is asked again."""
    gateway = Gateway()
    gateway.lost = 1
    landed = await _run(tmp_path, gateway, {"path": "contact", "method": "HEAD"})
    assert (landed.job.state, len(gateway.bodies)) == (State.SUCCEEDED, 2)


@pytest.mark.parametrize("method", ["DELETE", "PUT"])
async def test_a_change_that_is_done_without_a_word(tmp_path: Path, method: str) -> None:
    """A 204 is a success without a file."""
    gateway = Gateway()
    gateway.status = 204
    landed = await _run(tmp_path, gateway, {"path": "contact/7", "method": method})
    assert (landed.job.state, landed.files, gateway.changes) == (State.SUCCEEDED, {}, 1)


@pytest.mark.parametrize(
    "path",
    [
        "../admin", "a/../b", "a/./b", "..", "a//b", "//evil.example.com/x", "https://evil.example.com/x", "a?b=1",
        "a#b",
        "authenticate", "/authenticate", "Authenticate/", "a b", "", "/", "a/", "a/..",
    ],
)  # fmt: skip
async def test_a_path_that_leads_elsewhere_is_refused(tmp_path: Path, path: str) -> None:
    """Before anything is sent."""
    gateway = Gateway()
    with pytest.raises(RequestError, match="path"):
        await _run(tmp_path, gateway, {"path": path, "method": "DELETE"})
    assert gateway.asked == []


@pytest.mark.parametrize(
    ("path", "sent"),
    [("contact/Ännchen", "contact/%C3%84nnchen"), ("a/%2e%2e/b", "a/%252e%252e/b"), ("a\\..\\b", "a%5C..%5Cb")],
)
async def test_a_path_is_percent_encoded(tmp_path: Path, path: str, sent: str) -> None:
    """What would mean something else in a URL is sent as what it is."""
    gateway = Gateway()
    await _run(tmp_path, gateway, {"path": path})
    assert gateway.asked[1].partition("?")[0] == f"GET /api/v2/{sent}"

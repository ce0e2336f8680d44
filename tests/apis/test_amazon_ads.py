"""Amazon Ads reports, end to end: a refresh token, a report that exists already, and the file that lands."""

import gzip
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.one_export import listening, run
from tidewaiter.domain.job import State

# https://advertising.amazon.com/API/docs/en-us/guides/reporting/v3/get-started
SECRET = "canary-secret"
EXISTING = "a15115d8-3da4-49a4-95d5-cc0a3af5f85d"
ROWS = b'[{"campaignId":158410630682987,"clicks":13}]'
PARAMS = {
    "ad_product": "SPONSORED_PRODUCTS", "report_type": "spCampaigns", "from": "2026-01-01", "until": "2026-01-31",
    "group_by": '["campaign"]', "columns": '["campaignId", "clicks"]', "time_unit": "SUMMARY",
}  # fmt: skip


class _AmazonAds:
    """Makes one report; a second request for the same one gets 425 with its id; the first access token ends early."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.origin = ""
        self._tokens = 0
        self._states = ["PENDING", "PROCESSING", "COMPLETED"]
        self.app = web.Application()
        self.app.add_routes(
            [
                web.post("/auth/o2/token", self._token),
                web.post("/reporting/reports", self._create),
                web.get(f"/reporting/reports/{EXISTING}", self._state),
                web.get("/made-up.json.gz", self._file),
            ]
        )

    async def _token(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        self.asked.append("token")
        expected = {"client_id": "key", "client_secret": SECRET, "refresh_token": "Atzr|own"}
        assert form == {"grant_type": "refresh_token", **expected}
        self._tokens += 1
        return web.json_response(
            {"access_token": f"Atza|{self._tokens}", "refresh_token": "Atzr|own", "expires_in": 3600}
        )

    def _check(self, request: web.Request, asked: str) -> None:
        self.asked.append(asked)
        if request.headers.get("Authorization") != f"Bearer Atza|{self._tokens}":
            raise web.HTTPUnauthorized(text='{"code": "UNAUTHORIZED"}', content_type="application/json")
        assert request.headers["Amazon-Advertising-API-ClientId"] == "key"
        assert request.headers["Amazon-Advertising-API-Scope"] == "4711"

    async def _create(self, request: web.Request) -> web.Response:
        self._check(request, "create")
        assert request.headers["Content-Type"] == "application/vnd.createasyncreportrequest.v3+json"
        assert (await request.json())["configuration"]["groupBy"] == ["campaign"]
        detail = f"The Request is a duplicate of : {EXISTING}"
        return web.json_response({"code": "425", "detail": detail}, status=425)

    async def _state(self, request: web.Request) -> web.Response:
        if self._states == ["PROCESSING", "COMPLETED"] and self._tokens == 1:
            self._tokens = 2  # nobody has this token yet
        self._check(request, "state")
        state = self._states.pop(0)
        url = f"{self.origin}/made-up.json.gz" if state == "COMPLETED" else None
        report = {"reportId": EXISTING, "status": state, "url": url, "configuration": {"format": "GZIP_JSON"}}
        return web.json_response(report)

    async def _file(self, request: web.Request) -> web.Response:
        self.asked.append("file")
        assert "Authorization" not in request.headers
        return web.Response(body=gzip.compress(ROWS), content_type="application/gzip")


@pytest.mark.slow
async def test_a_report_that_exists_already(tmp_path: Path) -> None:
    """Its 425 is a success; a token that ends is renewed with the same refresh token; the file lands unpacked."""
    api = _AmazonAds()
    async with listening(api.app) as api.origin:
        settings = {
            "endpoint": api.origin, "login": api.origin, "client_id": "key", "client_secret": SECRET,
            "refresh_token": "Atzr|own", "profile": "4711",
        }  # fmt: skip
        landed = await run(tmp_path, "amazon-ads", settings, "report", PARAMS, limits={"spacing_s": 0.0})
    assert (landed.job.state, landed.job.handle) == (State.SUCCEEDED, EXISTING)
    assert ROWS in landed.files.values()
    assert api.asked == ["token", "create", "state", "state", "token", "state", "state", "file"]

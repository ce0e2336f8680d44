"""Microsoft Advertising reports, end to end: two credentials, refresh tokens that are replaced, a packed file."""

import io
import zipfile
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.one_export import QUICK, listening
from tidewaiter.bootstrap import run_once
from tidewaiter.config import Config
from tidewaiter.database.sealing import new_key
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import Job, State
from tidewaiter.log import configure

# https://learn.microsoft.com/en-us/advertising/guides/request-download-report
SECRET = "canary-secret"
CSV = b"TimePeriod,Clicks\n2026-01-01,7\n"
PARAMS = {
    "type": "CampaignPerformanceReportRequest", "columns": '["TimePeriod", "Clicks"]', "accounts": "[141454913]",
    "time": '{"PredefinedTime": "LastSevenDays"}',
}  # fmt: skip


class _BingAds:
    """Each login gives the next refresh token; the address of the first file has expired."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.origin = ""
        self._tokens = 0
        self._states = ["Pending", "Success", "Success"]
        self.app = web.Application()
        self.app.add_routes(
            [
                web.post("/common/oauth2/v2.0/token", self._token),
                web.post("/Reporting/v13/GenerateReport/Submit", self._submit),
                web.post("/Reporting/v13/GenerateReport/Poll", self._poll),
                web.get("/made-up.zip", self._file),
            ]
        )

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.asked.append(f"token {form['refresh_token']!s}")
        assert (form["grant_type"], form["client_secret"]) == ("refresh_token", SECRET)
        self._tokens += 1
        body = {"access_token": f"at-{self._tokens}", "refresh_token": f"canary-rt-{self._tokens}", "expires_in": 3599}
        return web.json_response(body)

    def _check(self, request: web.Request, asked: str) -> None:
        self.asked.append(asked)
        assert request.headers["Authorization"] == f"Bearer at-{self._tokens}"
        assert request.headers["DeveloperToken"] == "canary-developer"
        assert (request.headers["CustomerId"], request.headers["CustomerAccountId"]) == ("5004", "141454913")

    async def _submit(self, request: web.Request) -> web.Response:
        self._check(request, "submit")
        asked = (await request.json())["ReportRequest"]
        assert (asked["Scope"], asked["Time"]) == ({"AccountIds": [141454913]}, {"PredefinedTime": "LastSevenDays"})
        return web.json_response({"ReportRequestId": "30000001234"})

    async def _poll(self, request: web.Request) -> web.Response:
        self._check(request, "poll")
        assert await request.json() == {"ReportRequestId": "30000001234"}
        state = self._states.pop(0)
        url = f"{self.origin}/made-up.zip?sig={len(self._states)}" if state == "Success" else None
        return web.json_response({"ReportRequestStatus": {"ReportDownloadUrl": url, "Status": state}})

    async def _file(self, request: web.Request) -> web.Response:
        self.asked.append("file")
        assert "Authorization" not in request.headers
        assert "DeveloperToken" not in request.headers
        if request.query["sig"] == "1":
            text = "<Error><Code>AuthenticationFailed</Code></Error>"
            return web.Response(status=403, text=text, content_type="application/xml")
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as written:
            written.writestr("30000001234.csv", CSV)
        return web.Response(body=archive.getvalue(), content_type="application/zip")


async def _run(folder: Path, origin: str) -> tuple[Job, list[bytes]]:
    settings: dict[str, Json] = {
        "server": origin, "login": origin, "client_id": "key", "client_secret": SECRET, "refresh_token": "canary-rt-0",
        "developer_token": "canary-developer", "customer_id": "5004", "account_id": "141454913",
    }  # fmt: skip
    account = {"provider": "bing-ads", "allow_private": True, "settings": settings, "schedule": QUICK}
    tables: dict[str, Json] = {key: {} for key in ("storage", "worker", "retention", "log", "providers")}
    database = {"url": f"sqlite:///{folder / 'tidewaiter.db'}", "key": KEY}
    config = Config.model_validate({**tables, "database": database, "accounts": {"own": account}})
    log = configure("json", "error", config.secrets)
    try:
        job, files = await run_once(
            config, "own", "report", PARAMS, out=folder / "out", on_change=lambda _: None, log=log
        )
    finally:
        log.close()
    return job, [(folder / "out" / one.key).read_bytes() for one in files]


KEY = new_key()


@pytest.mark.slow
async def test_two_reports(tmp_path: Path) -> None:
    """The second one sends the refresh token that the login of the first has given."""
    api = _BingAds()
    async with listening(api.app) as api.origin:
        for number in range(2):
            api._states = ["Pending", "Success", "Success"]
            job, files = await _run(tmp_path, api.origin)
            assert job.state is State.SUCCEEDED
            assert files == [CSV]
            assert api.asked[0] == f"token canary-rt-{number}"
            assert api.asked[1:] == ["submit", "poll", "poll", "file", "poll", "file"]
            api.asked.clear()

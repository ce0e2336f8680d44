"""Published conventions that need a login, end to end: server, session, and the files that land."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.one_export import listening, run
from tidewaiter.domain.job import State

SECRET = "canary-secret"

# --- Salesforce: https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/query_bulk_api_2_0.htm --


class _Salesforce:
    """Runs one query and serves its records in three sets; the first session ends while it runs."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._tokens = 0
        self._states = ["UploadComplete", "InProgress", "JobComplete"]
        base = "/services/data/v62.0/jobs/query"
        self.app = web.Application()
        self.app.add_routes(
            [
                web.post("/services/oauth2/token", self._token),
                web.post(base, self._create),
                web.get(f"{base}/750R7", self._state),
                web.get(f"{base}/750R7/results", self._results),
                web.delete(f"{base}/750R7", self._delete),
            ]
        )

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.asked.append("token")
        if (form["grant_type"], form["client_id"], form["client_secret"]) != ("client_credentials", "key", SECRET):
            return web.json_response({"error": "invalid_client"}, status=400)
        self._tokens += 1
        token = {"access_token": f"session-{self._tokens}", "token_type": "Bearer"}
        return web.json_response({**token, "instance_url": f"http://{request.host}"})

    def _signed(self, request: web.Request, asked: str) -> None:
        self.asked.append(asked)
        if request.headers.get("Authorization") != f"Bearer session-{self._tokens}":
            error = [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}]
            raise web.HTTPUnauthorized(text=json.dumps(error), content_type="application/json")

    async def _create(self, request: web.Request) -> web.Response:
        self._signed(request, "create")
        assert (await request.json())["query"] == "SELECT Id FROM Account"
        return web.json_response({"id": "750R7", "state": "UploadComplete"})

    async def _state(self, request: web.Request) -> web.Response:
        if self._states == ["InProgress", "JobComplete"] and self._tokens == 1:
            self._tokens = 2  # nobody has the second session yet
        self._signed(request, "state")
        return web.json_response({"id": "750R7", "state": self._states.pop(0)})

    async def _results(self, request: web.Request) -> web.Response:
        locator = request.query.get("locator", "")
        self._signed(request, f"results {locator}".strip())
        assert request.query["maxRecords"] == "2"
        records, following = {
            "": ('"1"\n"2"\n', "MjAw"),
            "MjAw": ('"3"\n"4"\n', "NDAw"),
            "NDAw": ('"5"\n', "null"),
        }[locator]
        return web.Response(text=f'"Id"\n{records}', content_type="text/csv", headers={"Sforce-Locator": following})

    async def _delete(self, request: web.Request) -> web.Response:
        self._signed(request, "delete")
        return web.Response(status=204)


@pytest.mark.slow
async def test_salesforce_bulk_2(tmp_path: Path) -> None:
    """One CSV of all sets, with one header; a session that ends on the way is renewed; the job is deleted last."""
    salesforce = _Salesforce()
    async with listening(salesforce.app) as origin:
        settings = {"domain": origin, "client_id": "key", "client_secret": SECRET}
        params = {"query": "SELECT Id FROM Account", "set_size": "2"}
        landed = await run(tmp_path, "salesforce-bulk2", settings, "query", params, clean=True)
    assert landed.job.state is State.SUCCEEDED
    assert landed.files == {"query.csv": b'"Id"\n"1"\n"2"\n"3"\n"4"\n"5"\n'}
    assert salesforce.asked[:3] == ["token", "create", "state"]
    assert salesforce.asked[-4:] == ["results", "results MjAw", "results NDAw", "delete"]
    assert salesforce.asked.count("create") == 1
    assert salesforce.asked.count("token") == 2


# --- SP-API: https://developer-docs.amazon.com/sp-api/docs/retrieve-a-report ------------------------------------------


class _SellingPartner:
    """Makes one report, whose document is packed, on a host of its own under a URL that is dead the first time."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.files_origin = ""
        self._statuses = ["IN_QUEUE", "IN_PROGRESS", "DONE"]
        self._documents = 0
        base = "/reports/2021-06-30"
        self.app = web.Application()
        self.app.add_routes(
            [
                web.post("/auth/o2/token", self._token),
                web.post(f"{base}/reports", self._create),
                web.get(f"{base}/reports/50039", self._report),
                web.get(f"{base}/documents/doc.3.made-up", self._document),
            ]
        )
        self.files = web.Application()
        self.files.router.add_get("/made-up", self._file)

    async def _token(self, request: web.Request) -> web.Response:
        self.asked.append("token")
        form = await request.post()
        assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "Atzr|own")
        assert (form["client_id"], form["client_secret"]) == ("key", SECRET)
        return web.json_response({"access_token": "Atza|1", "token_type": "bearer", "expires_in": 3600})

    def _signed(self, request: web.Request, asked: str) -> None:
        self.asked.append(asked)
        if request.headers.get("x-amz-access-token") != "Atza|1":
            raise web.HTTPForbidden

    async def _create(self, request: web.Request) -> web.Response:
        self._signed(request, "create")
        asked = await request.json()
        assert asked == {"reportType": "GET_MERCHANT_LISTINGS_ALL_DATA", "marketplaceIds": ["ATVPDKIKX0DER", "A2EUQ1"]}
        return web.json_response({"reportId": "50039"}, status=202)

    async def _report(self, request: web.Request) -> web.Response:
        self._signed(request, "report")
        scenario = {"reportId": "50039", "processingStatus": self._statuses.pop(0)}
        if scenario["processingStatus"] == "DONE":
            scenario["reportDocumentId"] = "doc.3.made-up"
        return web.json_response(scenario)

    async def _document(self, request: web.Request) -> web.Response:
        self._signed(request, "document")
        self._documents += 1
        url = f"{self.files_origin}/made-up?X-Amz-Signature={self._documents}"
        scenario = {"reportDocumentId": "doc.3.made-up", "url": url, "compressionAlgorithm": "GZIP"}
        return web.json_response(scenario)

    async def _file(self, request: web.Request) -> web.Response:
        self.asked.append("file")
        assert "x-amz-access-token" not in request.headers
        if request.query["X-Amz-Signature"] == "1":
            text = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
            return web.Response(status=403, text=text, content_type="application/xml")
        return web.Response(body=gzip.compress(b"sku\tprice\nA-1\t7\n"), content_type="application/octet-stream")


class _BusySellingPartner(_SellingPartner):
    """Has a report of the same question already; its list says so, if it may be requested."""

    def __init__(self, *, lists: bool) -> None:
        super().__init__()
        self._lists = lists
        self.app.router.add_get("/reports/2021-06-30/reports", self._reports)

    async def _reports(self, request: web.Request) -> web.Response:
        self._signed(request, "list")
        since = datetime.fromisoformat(request.query["createdSince"])
        assert abs((datetime.now(UTC) - since).total_seconds() - 1800) < 60
        assert request.query["reportTypes"] == "GET_MERCHANT_LISTINGS_ALL_DATA"
        if not self._lists:
            error = {"code": "QuotaExceeded", "message": "You exceeded your quota"}
            return web.json_response({"errors": [error]}, status=429)
        made = (datetime.now(UTC) - timedelta(minutes=10)).isoformat(timespec="seconds")
        report = {
            "reportId": "50039", "reportType": "GET_MERCHANT_LISTINGS_ALL_DATA", "createdTime": made,
            "marketplaceIds": ["ATVPDKIKX0DER", "A2EUQ1"], "dataStartTime": made, "dataEndTime": made,
            "processingStatus": "DONE", "reportDocumentId": "doc.3.made-up",
        }  # fmt: skip
        other = {**report, "reportId": "40000", "dataStartTime": "2026-01-01T00:00:00+00:00"}
        return web.json_response({"reports": [other, report]})


@pytest.mark.slow
@pytest.mark.parametrize("lists", [True, False], ids=["reused", "list refused"])
async def test_amazon_sp_api_reuses_a_report(tmp_path: Path, *, lists: bool) -> None:
    """A recent report of the same question is used, if the job permits it and the list may be read."""
    partner = _BusySellingPartner(lists=lists)
    async with listening(partner.app) as origin, listening(partner.files) as partner.files_origin:
        settings = {
            "endpoint": origin, "login": origin,
            "client_id": "key", "client_secret": SECRET, "refresh_token": "Atzr|own",
        }  # fmt: skip
        params = {
            "report_type": "GET_MERCHANT_LISTINGS_ALL_DATA", "marketplaces": '["ATVPDKIKX0DER", "A2EUQ1"]',
            "fresh": "false",
        }  # fmt: skip
        landed = await run(tmp_path, "amazon-sp-api", settings, "report", params, limits={"spacing_s": 0.0})
    assert landed.job.state is State.SUCCEEDED
    assert list(landed.files.values()) == [b"sku\tprice\nA-1\t7\n"]
    assert partner.asked[:3] == (["token", "list", "report"] if lists else ["token", "list", "create"])
    assert (landed.job.shared, landed.job.submits) == (lists, 0 if lists else 1)


@pytest.mark.slow
async def test_amazon_sp_api(tmp_path: Path) -> None:
    """The report leads to its document, the document to a URL, again where that has expired; the file is unpacked."""
    partner = _SellingPartner()
    async with listening(partner.app) as origin, listening(partner.files) as partner.files_origin:
        settings = {
            "endpoint": origin, "login": origin,
            "client_id": "key", "client_secret": SECRET, "refresh_token": "Atzr|own",
        }  # fmt: skip
        params = {"report_type": "GET_MERCHANT_LISTINGS_ALL_DATA", "marketplaces": '["ATVPDKIKX0DER", "A2EUQ1"]'}
        landed = await run(tmp_path, "amazon-sp-api", settings, "report", params, limits={"spacing_s": 0.0})
    assert landed.job.state is State.SUCCEEDED
    assert list(landed.files.values()) == [b"sku\tprice\nA-1\t7\n"]
    reports = ["report", "report", "report"]
    assert partner.asked == ["token", "create", *reports, "document", "file", "document", "file"]

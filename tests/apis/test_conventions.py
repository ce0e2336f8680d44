"""Published conventions, end to end: a server that follows the documentation, and the files that land."""

import json
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.one_export import listening, run
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import State

TOKEN = "canary-token"


def _authorized(request: web.Request) -> None:
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        raise web.HTTPUnauthorized


# --- OGC API Processes: https://docs.ogc.org/is/18-062r2/18-062r2.html ------------------------------------------------


class _Processes:
    """Executes one process; its job runs for two polls, and its results come a moment after it says successful."""

    def __init__(self, *, synchronous: bool = False) -> None:
        self.asked: list[str] = []
        self._synchronous = synchronous
        self._words = ["accepted", "running", "successful", "successful"]
        self._ready = False
        self.app = web.Application()
        self.app.add_routes(
            [
                web.post("/ogcapi/processes/buffer/execution", self._execute),
                web.get("/ogcapi/jobs/job-7", self._status),
                web.get("/ogcapi/jobs/job-7/results", self._results),
                web.delete("/ogcapi/jobs/job-7", self._dismiss),
            ]
        )

    async def _execute(self, request: web.Request) -> web.Response:
        self.asked.append("execute")
        assert request.headers["Prefer"] == "respond-async"
        inputs = {"distance": 5, "geometry": {"type": "Point", "coordinates": [5.1, 52.1]}}
        assert await request.json() == {"inputs": inputs, "response": "document"}
        if self._synchronous:
            return web.json_response({"area": {"value": 7.5}})
        scenario = {"jobID": "job-7", "status": "accepted", "type": "process"}
        return web.json_response(scenario, status=201, headers={"Location": "/ogcapi/jobs/job-7"})

    async def _status(self, request: web.Request) -> web.Response:
        self.asked.append("status")
        return web.json_response({"jobID": "job-7", "status": self._words.pop(0), "progress": 50})

    async def _results(self, request: web.Request) -> web.Response:
        self.asked.append("results")
        if not self._ready:
            self._ready = True
            kind = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/result-not-ready"
            return web.json_response({"type": kind, "title": "ResultNotReady"}, status=404)
        return web.json_response({"area": {"value": 7.5}})

    async def _dismiss(self, request: web.Request) -> web.Response:
        self.asked.append("dismiss")
        return web.json_response({"jobID": "job-7", "status": "dismissed"})


_BUFFER = {"process": "buffer", "inputs": '{"distance": 5, "geometry": {"type": "Point", "coordinates": [5.1, 52.1]}}'}


@pytest.mark.slow
async def test_ogc_api_processes(tmp_path: Path) -> None:
    """A job that runs, results that lag behind its status, and a dismissal once the file is there."""
    processes = _Processes()
    async with listening(processes.app) as origin:
        landed = await run(tmp_path, "ogc-processes", {"server": f"{origin}/ogcapi"}, "execute", _BUFFER, clean=True)
    assert landed.job.state is State.SUCCEEDED
    assert landed.job.handle == "job-7"
    assert json.loads(landed.files["buffer.json"]) == {"area": {"value": 7.5}}
    assert landed.artifacts[0].media_type.startswith("application/json")
    assert processes.asked[0] == "execute"
    assert processes.asked[-2:] == ["results", "dismiss"]
    assert processes.asked.count("execute") == 1


async def test_ogc_api_processes_synchronously(tmp_path: Path) -> None:
    """A process that cannot be executed otherwise answers at once, against our preference: the reply is the file."""
    processes = _Processes(synchronous=True)
    async with listening(processes.app) as origin:
        landed = await run(tmp_path, "ogc-processes", {"server": f"{origin}/ogcapi"}, "execute", _BUFFER, clean=True)
    assert landed.job.state is State.SUCCEEDED
    assert {name: json.loads(body) for name, body in landed.files.items()} == {"buffer.json": {"area": {"value": 7.5}}}
    assert processes.asked == ["execute"]


# --- Azure: https://learn.microsoft.com/en-us/azure/azure-resource-manager/management/async-operations ----------------


class _Azure:
    """An action in both forms: with an operation to ask after, and with a location that answers 202 at first."""

    def __init__(self) -> None:
        self.operation_ids: list[str | None] = []
        self._words = ["NotStarted", "ProvisioningNodes", "Succeeded"]
        self._codes = [202, 202, 200]
        self.app = web.Application()
        self.app.add_routes(
            [
                web.post("/tenant/oauth2/v2.0/token", self._token),
                web.post("/subscriptions/42/export", self._act),
                web.get("/operations/22", self._operation),
                web.get("/operationresults/22", self._location),
            ]
        )

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert (form["grant_type"], form["client_id"], form["client_secret"]) == ("client_credentials", "id", "secret")
        assert form["scope"] == "https://management.azure.com/.default"
        return web.json_response({"token_type": "Bearer", "expires_in": 3599, "access_token": TOKEN})

    async def _act(self, request: web.Request) -> web.Response:
        _authorized(request)
        assert request.query["api-version"] == "2024-01-01"
        assert await request.json() == {"period": "2026-01"}
        self.operation_ids.append(request.headers.get("Operation-Id"))
        headers = {
            "Azure-AsyncOperation": str(request.url.with_path("/operations/22")) + "?api-version=2024-01-01",
            "Location": "/operationresults/22?api-version=2024-01-01",
            "Retry-After": "1",
        }
        return web.Response(status=202, headers=headers)

    async def _operation(self, request: web.Request) -> web.Response:
        _authorized(request)
        scenario: dict[str, object] = {"id": "22", "status": self._words.pop(0)}
        if scenario["status"] == "Succeeded":
            scenario["result"] = {"rows": [1, 2]}
        return web.json_response(scenario)

    async def _location(self, request: web.Request) -> web.Response:
        _authorized(request)
        assert request.query["api-version"] == "2024-01-01"
        status = self._codes.pop(0)
        if status == 202:
            return web.Response(status=202)
        return web.Response(status=200, body=b"day,cost\n1,7\n", content_type="text/csv")


_ACTION = {"action": "export", "body": '{"period": "2026-01"}'}


def _at(origin: str) -> dict[str, Json]:
    return {
        "endpoint": f"{origin}/subscriptions/42", "api_version": "2024-01-01",
        "login": origin, "tenant": "tenant", "client_id": "id", "client_secret": "secret",
    }  # fmt: skip


@pytest.mark.slow
async def test_azure_operation(tmp_path: Path) -> None:
    """The operation is asked, not the location; words of the provider's own are no end; the outcome is what lands."""
    azure = _Azure()
    async with listening(azure.app) as origin:
        settings = _at(origin)
        landed = await run(tmp_path, "azure-async", settings, "action", _ACTION)
    assert landed.job.state is State.SUCCEEDED
    assert json.loads(landed.files["export.json"])["result"] == {"rows": [1, 2]}
    assert azure.operation_ids == [landed.job.intent_key]


@pytest.mark.slow
async def test_azure_location(tmp_path: Path) -> None:
    """202 is not yet, and the reply after it is the file, under the type that it has."""
    azure = _Azure()
    async with listening(azure.app) as origin:
        settings = {**_at(origin), "form": "location"}
        landed = await run(tmp_path, "azure-async", settings, "action", _ACTION)
    assert landed.job.state is State.SUCCEEDED
    assert landed.files == {"export.csv": b"day,cost\n1,7\n"}


# --- AIP-151: https://google.aip.dev/151 ------------------------------------------------------------------------------


class _Library:
    """Exports books by a long-running operation, one at a time: who comes too early is told ABORTED."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._busy = True
        self._polls = 0
        self.app = web.Application()
        self.app.add_routes(
            [
                web.post("/v1/publishers/lacroix/books:export", self._export),
                web.get("/v1/publishers/lacroix/operations/7", self._operation),
                web.delete("/v1/publishers/lacroix/operations/7", self._delete),
            ]
        )

    async def _export(self, request: web.Request) -> web.Response:
        _authorized(request)
        assert await request.json() == {"format": "CSV"}
        self.asked.append("export")
        if self._busy:
            self._busy = False
            error = {"code": 409, "status": "ABORTED", "message": "another export is under way"}
            return web.json_response({"error": error}, status=409)
        return web.json_response({"name": "publishers/lacroix/operations/7"})

    async def _operation(self, request: web.Request) -> web.Response:
        _authorized(request)
        self.asked.append("operation")
        self._polls += 1
        scenario: dict[str, object] = {"name": "publishers/lacroix/operations/7", "metadata": {"progressPercent": 50}}
        if self._polls == 3:
            scenario |= {"done": True, "response": {"@type": "type.example.com/ExportBooksResponse", "books": 12}}
        return web.json_response(scenario)

    async def _delete(self, request: web.Request) -> web.Response:
        self.asked.append("delete")
        return web.json_response({"error": {"code": 501, "status": "UNIMPLEMENTED"}}, status=501)


@pytest.mark.slow
async def test_google_aip_151(tmp_path: Path) -> None:
    """A refusal that proves that nothing was begun is tried again; the response lands; deletion may not be there."""
    library = _Library()
    async with listening(library.app) as origin:
        settings = {"parent": f"{origin}/v1/publishers/lacroix", "token": TOKEN}
        params = {"collection": "books", "body": '{"format": "CSV"}'}
        landed = await run(tmp_path, "google-aip-151", settings, "export", params, clean=True)
    assert landed.job.state is State.SUCCEEDED
    assert landed.job.handle == f"{origin}/v1/publishers/lacroix/operations/7"
    assert json.loads(landed.files["books.json"])["response"]["books"] == 12
    assert library.asked == ["export", "export", "operation", "operation", "operation", "delete"]

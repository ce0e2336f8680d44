"""Specs of the catalogue with several requests or kept values, and servers as the documentation has them."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.one_export import listening, run
from tidewaiter.domain.job import State

TOKEN = "canary-token"
FILE = b"id,email\n1,a@example.com\n"
JOB = "ce45a7a1-f19d"


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Server:
    """Records every request, and answers from a table of handlers."""

    def __init__(self, *routes: web.RouteDef) -> None:
        self.asked: list[str] = []
        self.app = web.Application(middlewares=[self._recorded])
        self.app.add_routes(routes)

    @web.middleware
    async def _recorded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        return await handler(request)


def _result(**members: object) -> web.Response:
    return web.json_response({"requestId": "r", "success": True, "result": [{"exportId": JOB, **members}]})


def _refused(code: str, message: str) -> web.Response:
    return web.json_response({"success": False, "errors": [{"code": code, "message": message}]})


@pytest.mark.slow
async def test_marketo_creates_enqueues_and_downloads(tmp_path: Path) -> None:
    """The queue is full at first, and a token expires on the way; the file is compared with its checksum."""
    statuses = ["Queued", "Processing", "Completed"]
    tokens = ["first", "second"]
    full = [True]

    def authorized(request: web.Request) -> web.Response | None:
        valid = request.headers["Authorization"] == f"Bearer {TOKEN}-second"
        return None if valid else _refused("602", "Access token expired")

    async def token(request: web.Request) -> web.Response:
        form = await request.post()
        assert (form["grant_type"], form["client_id"], form["client_secret"]) == ("client_credentials", "me", TOKEN)
        return web.json_response({"access_token": f"{TOKEN}-{tokens.pop(0)}", "expires_in": 3599})

    async def create(request: web.Request) -> web.Response:
        body = await request.json()
        assert body == {"fields": ["id", "email"], "filter": {"staticListId": 7}, "format": "CSV"}
        refusal = authorized(request)
        return _result(status="Created") if refusal is None else refusal

    async def enqueue(_: web.Request) -> web.Response:
        if full and full.pop():
            return _refused("1029", "Too many jobs in queue")
        return _result(status="Queued")

    async def status(_: web.Request) -> web.Response:
        checksum = f"sha256:{hashlib.sha256(FILE).hexdigest()}"
        more = {"fileSize": len(FILE), "fileChecksum": checksum, "numberOfRecords": 1} if len(statuses) == 1 else {}
        return _result(status=statuses.pop(0), **more)

    async def file(_: web.Request) -> web.Response:
        return web.Response(body=FILE, content_type="text/csv")

    at = f"/bulk/v1/leads/export/{JOB}"
    server = _Server(
        web.post("/identity/oauth/token", token),
        web.post("/bulk/v1/leads/export/create.json", create),
        web.post(f"{at}/enqueue.json", enqueue),
        web.get(f"{at}/status.json", status),
        web.get(f"{at}/file.json", file),
    )
    async with listening(server.app) as origin:
        settings = {"server": origin, "client_id": "me", "client_secret": TOKEN}
        params = {"filter": '{"staticListId": 7}', "fields": '["id", "email"]'}
        landed = await run(tmp_path, "marketo", settings, "extract", params)
    assert (landed.job.state, landed.job.handle) == (State.SUCCEEDED, JOB)
    assert list(landed.files.values()) == [FILE]
    assert server.asked.count(f"POST {at}/enqueue.json") == 2
    assert server.asked.count(f"GET {at}/status.json") == 3


@pytest.mark.slow
async def test_openeo_creates_starts_and_lists(tmp_path: Path) -> None:
    """The list of the files is asked for once the batch job has finished, and the batch job is deleted in the end."""
    statuses = ["queued", "running", "finished"]

    async def create(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer oidc/egi/{TOKEN}"
        body = await request.json()
        assert body["process"] == {"process_graph": {}}
        assert body["title"].startswith("mine ")
        return web.Response(status=201, headers={"OpenEO-Identifier": "b-1", "Location": f"{server_at}/jobs/b-1"})

    async def start(_: web.Request) -> web.Response:
        return web.Response(status=202)

    async def status(_: web.Request) -> web.Response:
        return web.json_response({"id": "b-1", "status": statuses.pop(0), "progress": 50})

    async def results(_: web.Request) -> web.Response:
        asset = {"href": f"{server_at}/assets/a.csv", "type": "text/csv", "title": "a"}
        return web.json_response({"type": "Feature", "assets": {"a.csv": asset}, "links": []})

    async def asset(_: web.Request) -> web.Response:
        return web.Response(body=FILE, content_type="text/csv")

    async def delete(_: web.Request) -> web.Response:
        return web.Response(status=204)

    server = _Server(
        web.post("/openeo/1.2/jobs", create),
        web.post("/openeo/1.2/jobs/b-1/results", start),
        web.get("/openeo/1.2/jobs/b-1", status),
        web.get("/openeo/1.2/jobs/b-1/results", results),
        web.get("/openeo/1.2/assets/a.csv", asset),
        web.delete("/openeo/1.2/jobs/b-1", delete),
    )
    async with listening(server.app) as origin:
        server_at = f"{origin}/openeo/1.2"
        settings = {"server": server_at, "provider": "egi", "token": TOKEN}
        params = {"process": '{"process_graph": {}}', "title": "mine"}
        landed = await run(tmp_path, "openeo", settings, "batch", params, clean=True)
    assert (landed.job.state, landed.job.kept) == (State.SUCCEEDED, {"status": "finished"})
    assert list(landed.files.values()) == [FILE]
    assert [one.removeprefix("GET /openeo/1.2").removeprefix("POST /openeo/1.2") for one in server.asked] == [
        "/jobs", "/jobs/b-1/results", "/jobs/b-1", "/jobs/b-1", "/jobs/b-1", "/jobs/b-1/results", "/assets/a.csv",
        "DELETE /openeo/1.2/jobs/b-1",
    ]  # fmt: skip


@pytest.mark.slow
async def test_qualtrics_names_the_file_when_it_is_complete(tmp_path: Path) -> None:
    """The file has another name than the export."""
    replies = [
        {"percentComplete": 40.0, "status": "inProgress", "fileId": None},
        {"percentComplete": 100.0, "status": "complete", "fileId": "f-9"},
    ]

    async def start(request: web.Request) -> web.Response:
        assert request.headers["X-API-TOKEN"] == TOKEN
        assert await request.json() == {"format": "csv", "compress": False}
        return web.json_response({"result": {"progressId": "ES_1", "percentComplete": 0.0, "status": "inProgress"}})

    async def progress(_: web.Request) -> web.Response:
        return web.json_response({"result": replies.pop(0)})

    async def file(_: web.Request) -> web.Response:
        return web.Response(body=FILE, content_type="text/csv")

    at = "/API/v3/surveys/SV_1/export-responses"
    server = _Server(web.post(at, start), web.get(f"{at}/ES_1", progress), web.get(f"{at}/f-9/file", file))
    async with listening(server.app) as origin:
        settings = {"datacenter": "fra1", "server": origin, "token": TOKEN}
        landed = await run(tmp_path, "qualtrics", settings, "responses", {"survey": "SV_1"})
    assert (landed.job.state, landed.job.kept) == (State.SUCCEEDED, {"file": "f-9"})
    assert list(landed.files.values()) == [FILE]

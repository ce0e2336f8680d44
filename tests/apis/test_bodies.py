"""Specs of the catalogue with XML replies and with files in requests, and servers as the documentation has them."""

from pathlib import Path

import pytest
from aiohttp import web

from tests.support.one_export import listening, run
from tidewaiter.domain.job import State

JOB = """<?xml version="1.0" encoding="UTF-8"?>
<uws:job xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink" version="1.1"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <uws:jobId>q1</uws:jobId><uws:quote xsi:nil="true"/>
  <uws:phase>{phase}</uws:phase>
  <uws:results>{results}</uws:results>
</uws:job>"""
RESULT = '<uws:result id="result" mime-type="text/csv" xlink:href="{at}/async/q1/results/result"/>'
ROWS = b"ra,dec\n1.5,2.5\n"


@pytest.mark.slow
async def test_a_tap_query_lands_its_rows(tmp_path: Path) -> None:
    """The submit is answered with a redirect, the job runs at once, one result is a list, and the job is deleted."""
    phases = ["QUEUED", "EXECUTING", "COMPLETED"]
    asked: list[str] = []

    async def submit(request: web.Request) -> web.Response:
        form = await request.post()
        assert (form["REQUEST"], form["LANG"], form["PHASE"]) == ("doQuery", "ADQL", "RUN")
        assert (form["QUERY"], form["RESPONSEFORMAT"]) == ("SELECT ra, dec FROM stars WHERE name = 'é'", "csv")
        return web.Response(status=303, headers={"Location": f"{at}/async/q1"})

    async def job(_: web.Request) -> web.Response:
        phase = phases.pop(0)
        text = JOB.format(phase=phase, results=RESULT.format(at=at) if phase == "COMPLETED" else "")
        return web.Response(text=text, content_type="text/xml")

    async def rows(_: web.Request) -> web.Response:
        return web.Response(body=ROWS, content_type="text/csv")

    async def delete(_: web.Request) -> web.Response:
        asked.append("delete")
        return web.Response(status=303, headers={"Location": f"{at}/async"})

    app = web.Application()
    app.add_routes([
        web.post("/tap/async", submit),
        web.get("/tap/async/q1", job),
        web.get("/tap/async/q1/results/result", rows),
        web.delete("/tap/async/q1", delete),
    ])  # fmt: skip
    async with listening(app) as origin:
        at = f"{origin}/tap"
        params = {"query": "SELECT ra, dec FROM stars WHERE name = 'é'"}
        landed = await run(tmp_path, "ivoa-tap", {"server": at}, "query", params, clean=True)
    assert landed.job.state is State.SUCCEEDED, landed.job.reason
    assert landed.files == {"result.csv": ROWS}
    assert (phases, asked) == ([], ["delete"])


REQUESTS = b'{"custom_id": "1"}\n{"custom_id": "2"}\n'
KEY = "canary-key"


@pytest.mark.slow
async def test_a_batch_is_uploaded_made_and_answered(tmp_path: Path) -> None:
    """The file comes from the operator's folder, the batch is made of it, and both answers land."""
    statuses = ["validating", "in_progress", "completed"]
    uploads = tmp_path / "in"
    uploads.mkdir()
    (uploads / "requests.jsonl").write_bytes(REQUESTS)

    async def upload(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        form = await request.post()
        file = form["file"]
        assert form["purpose"] == "batch"
        assert isinstance(file, web.FileField)
        assert (file.filename, file.content_type, file.file.read()) == ("requests.jsonl", "application/jsonl", REQUESTS)
        return web.json_response({"id": "file-1", "object": "file"})

    async def create(request: web.Request) -> web.Response:
        body = await request.json()
        assert (body["input_file_id"], body["endpoint"]) == ("file-1", "/v1/embeddings")
        assert len(body["metadata"]["intent"]) == 32
        return web.json_response({"id": "batch_1", "status": "validating"})

    async def batch(_: web.Request) -> web.Response:
        files = {"output_file_id": "file-2", "error_file_id": "file-3"} if len(statuses) == 1 else {}
        return web.json_response({"id": "batch_1", "status": statuses.pop(0), **files})

    async def content(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        return web.Response(body=request.match_info["file"].encode(), content_type="application/octet-stream")

    app = web.Application()
    app.add_routes([
        web.post("/v1/files", upload),
        web.post("/v1/batches", create),
        web.get("/v1/batches/batch_1", batch),
        web.get("/v1/files/{file}/content", content),
    ])  # fmt: skip
    async with listening(app) as origin:
        settings = {"server": f"{origin}/v1", "key": KEY}
        params = {"path": "requests.jsonl", "endpoint": "/v1/embeddings"}
        landed = await run(tmp_path / "out", "openai-batch", settings, "batch", params, uploads=[str(uploads)])
    assert landed.job.state is State.SUCCEEDED, landed.job.reason
    assert landed.files == {"001-output.jsonl": b"file-2", "002-errors.jsonl": b"file-3"}
    assert landed.job.kept == {"file": "file-1"}

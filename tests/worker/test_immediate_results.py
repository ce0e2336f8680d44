"""Results in the first reply that are too large to keep in memory, empty, or only a part."""

import json
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import answering, serving
from tidewaiter.domain.formatting import rfc3339
from tidewaiter.domain.job import State
from tidewaiter.domain.job_context import JobContext
from tidewaiter.services import DAEMON, JobRequest

INLINE = """
[operations.report.submit]
method = "GET"
url = "/stats"
rules = [{ json = "success", then = "ready" }, { json = "success == `false`", then = "refused" }]

[operations.report.results]
inline = true
"""
URL = """
[operations.report.results]
url = "/stats"
label = "stats"
"""
POLLED = """
[operations.report.submit]
url = "/jobs"
handle = "id"

[operations.report.poll]
url = "/jobs/${handle}"

[[operations.report.poll.rules]]
word = "state"
words = { DONE = "ready", PART = "partial", NONE = "empty" }

[operations.report.results]
url = "/jobs/${handle}/file"
"""


async def test_a_large_answer_is_streamed_from_the_reply_itself(tmp_path: Path, sqlite_url: str) -> None:
    """It lands whole, though it is larger than what is kept of a reply, and is asked for once."""
    large = {"success": True, "rows": ["x" * 1000] * 9000}
    async with serving(tmp_path, sqlite_url, INLINE, {"GET /stats": answering(large)}) as (shop, running):
        job = await running.run()
        assert json.loads(await running.file(job.id)) == large
        outcomes = await running.outcomes(job.id)
    assert job.state is State.SUCCEEDED
    assert outcomes[1:] == ["Intended", "Stored"]
    assert shop.asked == ["GET /stats"]


async def test_an_answer_that_says_no_is_no_file(tmp_path: Path, sqlite_url: str) -> None:
    """Nothing of the new way takes the rules out of force."""
    answers = {"GET /stats": answering({"success": False, "error": "no such group"})}
    async with serving(tmp_path, sqlite_url, INLINE, answers) as (_, running):
        job = await running.run()
    assert (job.state, job.reason) == (State.FAILED, "HTTP 200: no such group")


async def test_a_file_is_fetched_without_a_submit(tmp_path: Path, sqlite_url: str) -> None:
    """The job goes from the queue to the download; no request is spent beside it."""
    async with serving(tmp_path, sqlite_url, URL, {"GET /stats": answering(b"a,b\n")}) as (shop, running):
        job = await running.run()
        assert await running.file(job.id) == b"a,b\n"
        outcomes = await running.outcomes(job.id)
    assert outcomes[1:] == ["Ready", "Stored"]
    assert shop.asked == ["GET /stats"]


@pytest.mark.slow
async def test_an_expired_link_without_a_submit_is_asked_for_anew(tmp_path: Path, sqlite_url: str) -> None:
    """A redirect to a file host that says 403 leads back to the start, not to a remote job that there is not."""
    seen = 0

    async def elsewhere(_: web.Request) -> web.StreamResponse:
        nonlocal seen
        seen += 1
        return web.Response(status=403) if seen == 1 else web.Response(body=b"rows")

    async with serving(tmp_path, sqlite_url, URL, {"GET /signed": elsewhere}) as (host, _):

        async def redirect(_: web.Request) -> web.StreamResponse:
            raise web.HTTPFound(f"{host.url}/signed")

        folder = tmp_path / "second"
        folder.mkdir()
        database = sqlite_url.replace("tidewaiter.db", "second/tidewaiter.db")
        (folder / "tidewaiter.db").write_bytes((tmp_path / "tidewaiter.db").read_bytes())
        async with serving(folder, database, URL, {"GET /stats": redirect}) as (_, running):
            job = await running.run()
            outcomes = await running.outcomes(job.id)
    assert job.state is State.SUCCEEDED
    assert outcomes[1:] == ["Ready", "LinksExpired", "Ready", "Stored"]


async def test_a_job_without_files_succeeds_at_once(tmp_path: Path, sqlite_url: str) -> None:
    """No file is asked for; the manifest says that there is none, and keeps the provider's word."""
    answers = {"POST /jobs": answering({"id": 1}), "GET /jobs/1": answering({"state": "NONE"})}
    async with serving(tmp_path, sqlite_url, POLLED, answers) as (shop, running):
        job = await running.run()
        manifest = await running.manifest(job)
    assert (job.state, job.remote_status) == (State.SUCCEEDED, "NONE")
    assert (manifest["artifacts"], manifest["status"]) == ([], "NONE")
    assert shop.asked == ["POST /jobs", "GET /jobs/1"]


async def test_a_part_is_kept_with_its_word(tmp_path: Path, sqlite_url: str) -> None:
    """The files land as they do when all is there; that it is not all stands on the job and in the manifest."""
    answers = {
        "POST /jobs": answering({"id": 1}),
        "GET /jobs/1": answering({"state": "PART"}),
        "GET /jobs/1/file": answering(b"rows"),
    }
    async with serving(tmp_path, sqlite_url, POLLED, answers) as (_, running):
        job = await running.run()
        manifest = await running.manifest(job)
    assert (job.state, job.remote_status, manifest["status"]) == (State.SUCCEEDED, "PART", "PART")


async def test_the_manifest_says_what_was_asked_for(tmp_path: Path, sqlite_url: str) -> None:
    """Parameters without secrets, the tick of the schedule that asked, and times that a program can read."""
    spec = '[operations.report.params]\nnote = { type = "string", help = "a note" }\n' + POLLED
    answers = {
        "POST /jobs": answering({"id": 1}),
        "GET /jobs/1": answering({"state": "DONE"}),
        "GET /jobs/1/file": answering(b"rows"),
    }
    async with serving(tmp_path, sqlite_url, spec, answers) as (_, running):
        params, key = {"note": "Отчёт of ftp://me:canary@b.c/"}, "schedule:nightly:2026-11-29T04:15:00Z"
        context = JobContext(schedule="nightly", scheduled_for=1_796_000_000.0, labels={"url": "ftp://me:canary@b.c/"})
        request = JobRequest("shop", "report", params, key, context)
        asked, _created = await running.service.submit_request(request, actor=DAEMON)
        job = await running.until(asked.id)
        manifest = await running.manifest(job)
    assert "canary" not in str(manifest)
    assert str(manifest["params"]).startswith("{'note': 'Отчёт of ftp://")
    assert (manifest["schedule"], manifest["scheduled_for"]) == ("nightly", rfc3339(1_796_000_000.0))
    assert "ftp://" in str(manifest["labels"])
    assert manifest["unique_key"] == key
    assert manifest["created_at"] == rfc3339(job.created_at)
    assert manifest["ready_at"] == rfc3339(job.ready_at)
    times = [manifest[name] for name in ("created_at", "submitted_at", "ready_at", "finished_at")]
    assert times == sorted(times, key=str)

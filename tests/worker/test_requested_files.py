"""Downloads with a method, headers and a body of their own, by a real daemon from real servers."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.byte_servers import ReceivedRequest
from tests.support.byte_servers import answering as exactly
from tests.support.scripted_provider import Answer, Running, answering, open_provider, serving
from tests.worker.download_setup import ETAG, ROWS, downloading, head, whole
from tidewaiter.domain.job import State
from tidewaiter.domain.outcome import Retry

EXPORT = """
[operations.report.submit]
url = "/reports"
handle = "id"

[operations.report.poll]
url = "/reports/${handle}"
rules = [{ json = "parts", then = "ready" }]

[operations.report.results]
headers = { Accept = "text/csv" }

[operations.report.results.files]
each = "parts"
label = "name"
values = { number = "no" }

[operations.report.results.files.download]
method = "POST"
url = "/download"
headers = { X-Part = "${item.number}" }
json = { part = "${item.number}" }
"""
PARTS = {"parts": [{"no": 1, "name": "one.csv"}, {"no": 2, "name": "two.csv"}]}


def _answers(download: Answer) -> dict[str, Answer]:
    return {
        "POST /reports": answering({"id": "r1"}),
        "GET /reports/r1": answering(PARTS),
        "POST /download": download,
    }


async def _echo(request: web.Request) -> web.StreamResponse:
    part = (await request.json())["part"]
    return web.Response(text=f"{part},{request.headers['X-Part']},{request.headers['Accept']}\n")


async def _files(running: Running, job_id: int) -> dict[str, bytes]:
    return {one.label: (running.root / one.key).read_bytes() for one in await running.jobs.artifacts(job_id)}


async def test_each_file_is_asked_for_by_its_own_request(tmp_path: Path, sqlite_url: str) -> None:
    """Two files at one address, which their bodies tell apart."""
    async with serving(tmp_path, sqlite_url, EXPORT, _answers(_echo)) as (_, running):
        job = await running.run()
        assert (job.state, job.reason) == (State.SUCCEEDED, None)
        assert await _files(running, job.id) == {"one.csv": b"1,1,text/csv\n", "two.csv": b"2,2,text/csv\n"}


async def test_a_redirect_after_a_post_is_a_get(tmp_path: Path, sqlite_url: str) -> None:
    """303 to a file host: it gets neither the body nor headers of the account."""
    seen: list[tuple[str, bytes, dict[str, str]]] = []

    async def file(request: web.Request) -> web.StreamResponse:
        seen.append((request.method, await request.read(), dict(request.headers)))
        return web.Response(text="landed\n")

    async with open_provider({"GET /f": file}) as host:
        moved = answering(b"", status=303, headers={"Location": f"{host.url}/f"})
        async with serving(tmp_path, sqlite_url, EXPORT, _answers(moved)) as (_, running):
            job = await running.run()
            assert (job.state, job.reason) == (State.SUCCEEDED, None)
            assert set((await _files(running, job.id)).values()) == {b"landed\n"}
    assert len(seen) == 2
    for method, body, headers in seen:
        assert (method, body) == ("GET", b"")
        assert headers["Accept"] == "text/csv"
        assert not {"X-Part", "Content-Type"} & set(headers)


async def test_the_same_post_follows_307_within_the_origin(tmp_path: Path, sqlite_url: str) -> None:
    """Its method and its body stay."""
    answers = _answers(answering(b"", status=307, headers={"Location": "/moved"})) | {"POST /moved": _echo}
    async with serving(tmp_path, sqlite_url, EXPORT, answers) as (_, running):
        job = await running.run()
        assert await _files(running, job.id) == {"one.csv": b"1,1,text/csv\n", "two.csv": b"2,2,text/csv\n"}


async def test_another_origin_gets_no_post(tmp_path: Path, sqlite_url: str) -> None:
    """A server that sends a POST away with 307 gets a sentence, and the other host gets nothing."""
    async with open_provider({}) as host:
        away = answering(b"", status=307, headers={"Location": f"{host.url}/f"})
        async with serving(tmp_path, sqlite_url, EXPORT, _answers(away)) as (_, running):
            job = await running.submit()
            lines = await running.logged("job.troubled")
            assert "redirects a POST to another origin, which does not get it" in json.dumps(lines)
            assert not await running.jobs.artifacts(job.id)
        assert host.asked == []


async def test_a_post_that_broke_off_begins_again(tmp_path: Path) -> None:
    """Ranges are for GET: what came of a POST is dropped, although it has a strong entity tag."""

    async def answer(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        begun = head(200, f"Content-Length: {len(ROWS)}", f"ETag: {ETAG}") + ROWS[:20_000]
        writer.write(begun if setup.server.connections == 1 else whole(ROWS, f"ETag: {ETAG}"))
        writer.close()

    async with downloading(tmp_path, answer) as setup:
        asked = {"method": "POST", "headers": (("Content-Type", "application/json"),), "body": '{"a":1}'}
        assert isinstance(await setup.fails(**asked), Retry)
        assert await setup.lands(**asked) == ROWS
        assert setup.ranges == [None, None]
        assert {(one.method, one.body) for one in setup.server.asked} == {("POST", b'{"a":1}')}


async def test_a_page_of_html_is_no_file(tmp_path: Path) -> None:
    """Also of a POST: a 200 with an error page lands nothing."""
    page = whole(b"<!doctype html><html><body>Sign in</body></html>", "Content-Type: text/html")
    async with downloading(tmp_path, exactly(page)) as setup:
        outcome = await setup.fails(method="POST", body="x")
        assert outcome == Retry("a page of HTML came in place of the file")


NAMED = """
[operations.report.submit]
url = "/reports"
handle = "id"

[operations.report.poll]
url = "/reports/${handle}"
rules = [{ json = "parts", then = "ready" }]

[[operations.report.results.files]]
each = "parts"
headers = "headers"
"""


@pytest.mark.slow
async def test_a_file_host_that_quotes_the_fields_named_for_it(tmp_path: Path, sqlite_url: str) -> None:
    """They are sent, after the links were stored; a quote of them in an error is redacted wherever it is written."""
    tries = iter(range(2))

    async def file(request: web.Request) -> web.StreamResponse:
        token = request.headers["X-Token"]
        return web.Response(status=500 if next(tries) == 0 else 200, text=f"got {token}")

    async with open_provider({"GET /f": file}) as host:
        parts = {"parts": [{"url": f"{host.url}/f", "headers": {"X-Token": "secret-of-the-host"}}]}
        answers = {"POST /reports": answering({"id": "r1"}), "GET /reports/r1": answering(parts)}
        async with serving(tmp_path, sqlite_url, NAMED, answers) as (_, running):
            job = await running.run()
            assert (job.state, job.reason) == (State.SUCCEEDED, None)
            assert set((await _files(running, job.id)).values()) == {b"got secret-of-the-host"}
            told = [entry.detail for entry in await running.jobs.history(job.id)]
            lines = json.dumps(await running.logged("job.troubled"))
    assert "got [redacted]" in json.dumps(told)
    assert "secret-of-the-host" not in json.dumps(told) + lines

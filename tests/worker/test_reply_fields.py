"""Reply fields in whole daemons: repeated headers, cookies, new handles, second calls, odd lists."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web
from multidict import CIMultiDict

from tests.support.scripted_provider import Answer, answering, open_provider, serving
from tidewaiter.domain.backoff_and_limits import Backoff
from tidewaiter.domain.job import State
from tidewaiter.worker import page_walk

SUBMITTED = """
[operations.report.submit]
url = "/jobs"
handle = "id"

[operations.report.poll]
url = "/jobs/${handle}"
handle = "id"
rules = [{ word = "state", words = { busy = "pending", done = "ready" } }]

[operations.report.cleanup]
url = "/jobs/${handle}"
by_default = true
"""
AT_URL = SUBMITTED + '[operations.report.results]\nurl = "/files/${handle}"\n'
INLINE = SUBMITTED + "[operations.report.results]\ninline = true\n"
RESOLVED = (
    SUBMITTED
    + """
[operations.report.results]
rules = [{ status = 400, json = "code == 'JobNotFinished'", then = "pending" }]
[operations.report.results.resolve]
url = "/jobs/${handle}/url"
link = "url"
"""
)
LINKED = """
[operations.report.results.pages]
url = "/list"
items = "items"
next_url = { header = "Link", regex = '<([^>]+)>; *rel="?next' }
"""
NUMBERED = """
[operations.report.results.pages]
url = "/list"
query = { page = "${page.number}" }
items = "items"
"""
COUNTED = NUMBERED + 'size = 2\nlast = "pagination | current_page >= total_pages"\n'
CSV = """
[operations.report.results.pages]
url = "/list"
query = { page = "${page.number}" }
join = "csv"
"""
LOST = """
[operations.report.params]
kind = { help = "what is reported" }

[operations.report.submit]
url = "/jobs"
json = { kind = "${params.kind}" }
handle = "id"

[operations.report.adopt]
url = "/jobs"
items = "jobs"
match = { kind = "${params.kind}" }
handle = "id"
lag_s = 1

[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ word = "state", words = { done = "ready" } }]

[operations.report.results]
url = "/jobs/${handle}/file"
"""


def holding(secret: bytes, folder: Path) -> list[Path]:
    """The files below a folder that have this in them."""
    return [path for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()]


async def ended(_: web.Request) -> web.StreamResponse:
    """A remote job that is deleted."""
    return web.Response(status=204)


async def test_a_list_goes_on_after_the_second_of_two_link_fields(tmp_path: Path, sqlite_url: str) -> None:
    """Seen: paging stopped after page 1 of 3, and the job succeeded."""

    async def page(request: web.Request) -> web.StreamResponse:
        number = int(request.query.get("p", "1"))
        links = [("Link", f"</list?p={number}>; rel=self")]
        links += [("Link", f"</list?p={number + 1}>; rel=next")] if number < 3 else []
        return web.json_response({"items": [number]}, headers=CIMultiDict(links))

    async with serving(tmp_path, sqlite_url, LINKED, {"GET /list": page}) as (_, running):
        job = await running.run()
        assert json.loads(await running.file(job.id)) == [1, 2, 3]


async def test_a_new_handle_of_a_ready_reply_leads_to_the_results(tmp_path: Path, sqlite_url: str) -> None:
    """Results, manifest and cleanup use the name that came last."""
    answers: dict[str, Answer] = {
        "POST /jobs": answering({"id": "j1"}),
        "GET /jobs/j1": answering({"state": "busy"}, {"state": "done", "id": "r9"}),
        "GET /files/r9": answering(b"rows"),
        "DELETE /jobs/r9": ended,
    }
    async with serving(tmp_path, sqlite_url, AT_URL, answers) as (shop, running):
        job = await running.run()
        assert await running.file(job.id) == b"rows"
        assert (await running.manifest(job))["handle"] == "r9"
    assert (job.state, job.handle) == (State.SUCCEEDED, "r9")
    assert shop.asked[-2:] == ["GET /files/r9", "DELETE /jobs/r9"]


async def test_a_new_handle_of_a_reply_that_is_the_file(tmp_path: Path, sqlite_url: str) -> None:
    """The file is here already; what is cleaned up is the remote job by its new name."""
    answers: dict[str, Answer] = {
        "POST /jobs": answering({"id": "j1"}),
        "GET /jobs/j1": answering({"state": "done", "id": "r9"}),
        "DELETE /jobs/r9": ended,
    }
    async with serving(tmp_path, sqlite_url, INLINE, answers) as (shop, running):
        job = await running.run()
        assert (await running.manifest(job))["handle"] == "r9"
    assert (job.state, job.handle) == (State.SUCCEEDED, "r9")
    assert shop.asked[-1] == "DELETE /jobs/r9"


@pytest.mark.slow
async def test_a_second_call_that_is_too_early_is_asked_again(tmp_path: Path, sqlite_url: str) -> None:
    """Seen: 400 with JobNotFinished failed the job. It costs no download."""
    calls: list[int] = []

    async def url(_: web.Request) -> web.StreamResponse:
        calls.append(1)
        if len(calls) == 1:
            return web.json_response({"code": "JobNotFinished"}, status=400, headers={"Retry-After": "0"})
        return web.json_response({"url": "/files/1"})

    answers: dict[str, Answer] = {
        "POST /jobs": answering({"id": "j1"}),
        "GET /jobs/j1": answering({"state": "done"}),
        "GET /jobs/j1/url": url,
        "GET /files/1": answering(b"rows"),
        "DELETE /jobs/j1": ended,
    }
    async with serving(tmp_path, sqlite_url, RESOLVED, answers) as (_, running):
        job = await running.run()
        outcomes = await running.outcomes(job.id)
    assert (job.state, job.fetches, len(calls)) == (State.SUCCEEDED, 1, 2)
    assert "NotYet" in outcomes
    assert "Retry" not in outcomes


async def test_a_lost_submit_is_found_in_a_list_of_one_page(tmp_path: Path, sqlite_url: str) -> None:
    """Seen: the list was asked for a second page, gave the same, and the job was parked for going in circles."""

    async def create(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    answers: dict[str, Answer] = {
        "POST /jobs": create,
        "GET /jobs": answering({"jobs": [{"id": "x", "kind": "visits"}, {"id": "r1", "kind": "orders"}]}),
        "GET /jobs/r1": answering({"state": "done"}),
        "GET /jobs/r1/file": answering(b"rows"),
    }
    async with serving(tmp_path, sqlite_url, LOST, answers) as (shop, running):
        job = await running.run(kind="orders")
    assert (job.state, job.handle) == (State.SUCCEEDED, "r1")
    assert shop.times("GET /jobs?") + shop.asked.count("GET /jobs") == 1


@pytest.mark.slow
async def test_a_list_of_null_has_nothing_to_adopt(tmp_path: Path, sqlite_url: str) -> None:
    """Null is no items: after the lag the remote job is absent, and submitted again."""
    lost = [True]

    async def create(request: web.Request) -> web.StreamResponse:
        if lost.pop() if lost else False:
            assert request.transport is not None
            request.transport.close()
        return web.json_response({"id": "r1"})

    answers: dict[str, Answer] = {
        "POST /jobs": create,
        "GET /jobs": answering({"jobs": None}),
        "GET /jobs/r1": answering({"state": "done"}),
        "GET /jobs/r1/file": answering(b"rows"),
    }
    async with serving(tmp_path, sqlite_url, LOST, answers) as (shop, running):
        job = await running.run(kind="orders")
        outcomes = await running.outcomes(job.id)
    assert job.state is State.SUCCEEDED
    assert "Absent" in outcomes
    assert shop.times("POST /jobs") == 2


@pytest.mark.parametrize("spec", [NUMBERED, COUNTED])
async def test_a_list_that_ignores_the_number_of_the_page_ends(tmp_path: Path, sqlite_url: str, spec: str) -> None:
    """Nothing says how many pages there are, and the second repeats the first: it lands once."""
    answers = {"GET /list": answering({"items": [1, 2]})}
    async with serving(tmp_path, sqlite_url, spec, answers) as (shop, running):
        job = await running.run()
        assert json.loads(await running.file(job.id)) == [1, 2]
    assert len(shop.asked) == 2


async def test_a_list_that_says_there_is_more_and_repeats_itself_is_an_error(tmp_path: Path, sqlite_url: str) -> None:
    """Then the items of the pages after it are missing."""
    answers = {"GET /list": answering({"items": [1, 2], "pagination": {"current_page": 1, "total_pages": 9}})}
    async with serving(tmp_path, sqlite_url, COUNTED, answers) as (_, running):
        job = await running.run()
    assert job.state is State.FAILED
    assert "goes in circles" in (job.reason or "")


async def test_pages_of_csv_that_repeat_themselves_land_once(tmp_path: Path, sqlite_url: str) -> None:
    """The rows of the repeated page are not written."""
    async with serving(tmp_path, sqlite_url, CSV, {"GET /list": answering(b"a,b\n1,2\n")}) as (_, running):
        job = await running.run()
        assert await running.file(job.id) == b"a,b\n1,2\n"


async def test_pages_that_turn_back_are_an_error(tmp_path: Path, sqlite_url: str) -> None:
    """A, B, and A again by their links is a circle, whatever they hold."""

    async def page(request: web.Request) -> web.StreamResponse:
        name = request.query.get("p", "a")
        following = "b" if name == "a" else "a"
        return web.json_response({"items": [name]}, headers={"Link": f"</list?p={following}>; rel=next"})

    async with serving(tmp_path, sqlite_url, LINKED, {"GET /list": page}) as (_, running):
        job = await running.run()
    assert job.state is State.FAILED
    assert "goes in circles" in (job.reason or "")


async def test_a_download_keeps_the_cookies_of_its_redirects(tmp_path: Path, sqlite_url: str) -> None:
    """A server that lets in only whom it gave a cookie; neither log nor database has it."""

    async def file(request: web.Request) -> web.StreamResponse:
        if request.cookies.get("pass") == "c4nary":
            return web.Response(body=b"rows")
        return web.Response(status=302, headers={"Location": "/files/j1", "Set-Cookie": "pass=c4nary; Path=/"})

    answers: dict[str, Answer] = {
        "POST /jobs": answering({"id": "j1"}),
        "GET /jobs/j1": answering({"state": "done"}),
        "GET /files/j1": file,
        "DELETE /jobs/j1": ended,
    }
    async with serving(tmp_path, sqlite_url, AT_URL, answers) as (_, running):
        job = await running.run()
        assert await running.file(job.id) == b"rows"
        assert "c4nary" not in running.output.getvalue()
    assert job.state is State.SUCCEEDED
    assert not holding(b"c4nary", tmp_path)


async def test_a_partial_job_says_so_everywhere(tmp_path: Path, sqlite_url: str) -> None:
    """Without a word of the provider's the word is ``partial``: in the job, its manifest and the log."""
    spec = AT_URL.replace(
        'rules = [{ word = "state", words = { busy = "pending", done = "ready" } }]',
        'rules = [{ json = "length(error) > `0`", then = "partial" }, { then = "ready" }]',
    )
    answers: dict[str, Answer] = {
        "POST /jobs": answering({"id": "j1"}),
        "GET /jobs/j1": answering({"error": ["x"]}),
        "GET /files/j1": answering(b"rows"),
        "DELETE /jobs/j1": ended,
    }
    async with serving(tmp_path, sqlite_url, spec, answers) as (_, running):
        job = await running.run()
        assert (job.state, job.remote_status) == (State.SUCCEEDED, "partial")
        assert (await running.manifest(job))["status"] == "partial"
        (line,) = await running.logged("job.finished")
    assert line["status"] == "partial"


async def test_an_address_that_cannot_be_used_is_named_with_its_cause(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not "no URL": what is wrong with it."""
    monkeypatch.setattr(page_walk, "_AGAIN", Backoff(0.0, 1.0, 0.0))  # it would wait 20 seconds between its tries
    answers: dict[str, Answer] = {
        "POST /jobs": answering({"id": "j1"}),
        "GET /jobs/j1": answering({"state": "done"}),
        "GET /jobs/j1/url": answering({"url": "https://☃.example/f"}),
    }
    async with serving(tmp_path, sqlite_url, RESOLVED, answers) as (_, running):
        job = await running.submit()
        (line, *_) = await running.logged("job.troubled")
        assert job.id == line["job"]
    assert "its host '☃.example' is no host name" in str(line["reason"])


@pytest.mark.slow
async def test_another_host_that_fails_does_not_open_the_breaker(tmp_path: Path, sqlite_url: str) -> None:
    """Polls that are led on to a host that answers 500 go on: the provider itself has answered as it should."""

    async def lead_on(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"{host.url}/state"})

    async with open_provider({"GET /state": answering({}, status=500)}) as host:
        spec = """
[operations.report.submit]
url = "/jobs"
handle = "id"

[operations.report.poll]
url = "/jobs"
query = { id = "${handle}" }
rules = [{ word = "state", words = { busy = "pending", done = "ready" } }]

[operations.report.results]
url = "/files/${handle}"
"""
        answers = {"POST /jobs": answering(*({"id": number} for number in range(7))), "GET /jobs": lead_on}
        async with serving(tmp_path, sqlite_url, spec, answers) as (_, running):
            for _ in range(6):
                await running.submit()
            async with asyncio.timeout(20):
                while host.times("GET /state") < 9:  # noqa: ASYNC110  # at the sixth the breaker would have opened
                    await asyncio.sleep(0.02)

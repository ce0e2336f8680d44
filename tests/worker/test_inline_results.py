"""Inline results: the reply of a poll or submit is the file, and is checked like every download."""

import gzip
import hashlib
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Answer, answering, serving
from tidewaiter.domain.job import State
from tidewaiter.domain.manifest import folder_of

INLINE = """
[operations.report.submit]
url = "/jobs"
handle = "id"

[operations.report.poll]
method = "POST"
url = "/jobs/${handle}"
headers = { Accept = "text/csv" }
json = { what = "rows" }
rules = [{ status = 202, then = "pending" }, { status = "2xx", then = "ready" }]

[operations.report.results]
inline = true
label = "rows"
headers = { Accept = "no/such", X-More = "yes" }
"""
AT_ONCE = """
[operations.report.submit]
method = "POST"
url = "/jobs"
rules = [{ status = 200, then = "ready" }]

[operations.report.results]
inline = true
"""
LARGE = b"".join(b"%020d,%020d\n" % (n, n * n) for n in range(300_000))  # 12 MiB
ROWS = b"a,b\n1,2\n"


def polled(*answers: Answer) -> dict[str, Answer]:
    """A remote job whose polls are answered by these in turn, the last one for ever."""
    left = list(answers)

    async def answer(request: web.Request) -> web.StreamResponse:
        assert (await request.json(), request.headers["Accept"]) == ({"what": "rows"}, "text/csv")
        assert request.headers["X-More"] == "yes"
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    return {"POST /jobs": answering({"id": 1}), "POST /jobs/1": answer}


@pytest.mark.slow
@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_a_large_file_is_streamed_from_the_very_reply(tmp_path: Path, sqlite_url: str, coding: str) -> None:
    """Nothing is asked for twice, so no other representation can land; a coding is undone."""
    body = gzip.compress(LARGE, 1) if coding else LARGE
    headers = {"Content-Type": "text/csv"} | ({"Content-Encoding": coding} if coding else {})
    async with serving(tmp_path, sqlite_url, INLINE, polled(answering(body, headers=headers))) as (shop, running):
        job = await running.run()
        assert job.state is State.SUCCEEDED, job.reason
        assert hashlib.sha256(await running.file(job.id)).digest() == hashlib.sha256(LARGE).digest()
        (artifact,) = await running.jobs.artifacts(job.id)
    assert (artifact.name, artifact.media_type) == ("rows.csv", "text/csv")
    assert shop.asked == ["POST /jobs", "POST /jobs/1"]


async def test_a_large_answer_to_a_post_lands(tmp_path: Path, sqlite_url: str) -> None:
    """A submit must not be sent twice, and need not be."""
    async with serving(tmp_path, sqlite_url, AT_ONCE, {"POST /jobs": answering(LARGE)}) as (shop, running):
        job = await running.run()
        assert await running.file(job.id) == LARGE
    assert shop.asked == ["POST /jobs"]


async def cut_short(request: web.Request) -> web.StreamResponse:
    """A file beyond the body limit that breaks off."""
    response = web.StreamResponse(headers={"Content-Length": str(len(LARGE)), "ETag": '"e"'})
    await response.prepare(request)
    await response.write(LARGE[: 10 * 2**20])
    assert request.transport is not None
    request.transport.close()
    return response


NO_FILES: dict[str, Answer] = {
    "a page of HTML": answering(b"<!-- x --><html><title>Log in</title></html>", headers={"Content-Type": "text/csv"}),
    "nothing": answering(b"", status=204),
    "a reset": answering(b"", status=205),
    "a part": answering(ROWS[4:], status=206, headers={"Content-Range": f"bytes 4-{len(ROWS) - 1}/{len(ROWS)}"}),
    "a part that says 200": answering(ROWS[:4], headers={"Content-Range": f"bytes 0-3/{len(ROWS)}"}),
    "a coding that nobody knows": answering(ROWS, headers={"Content-Encoding": "x-secret"}),
    "a large file that breaks off": cut_short,
}


@pytest.mark.fault(68)
@pytest.mark.slow
@pytest.mark.parametrize("name", NO_FILES)
async def test_what_is_no_file_is_polled_again(tmp_path: Path, sqlite_url: str, name: str) -> None:
    """It never lands, and the next poll, whose reply the rules judge anew, brings the file."""
    answers = polled(NO_FILES[name], answering(ROWS, headers={"ETag": '"other"'}))
    async with serving(tmp_path, sqlite_url, INLINE, answers) as (shop, running):
        job = await running.run()
        assert job.state is State.SUCCEEDED, job.reason
        assert await running.file(job.id) == ROWS
    assert shop.times("POST /jobs/1") == 2


@pytest.mark.fault(68)
@pytest.mark.slow
async def test_a_login_page_after_a_redirect_is_no_file(tmp_path: Path, sqlite_url: str) -> None:
    """The chain ends with 200 and a page of HTML, declared as what was wanted or not."""
    spec = INLINE.replace('method = "POST"\nurl = "/jobs/', 'url = "/jobs/').replace('json = { what = "rows" }\n', "")
    seen = 0

    async def poll(_: web.Request) -> web.StreamResponse:
        nonlocal seen
        seen += 1
        if seen == 1:
            raise web.HTTPFound("/login")
        return web.Response(body=ROWS)

    answers = {
        "POST /jobs": answering({"id": 1}),
        "GET /jobs/1": poll,
        "GET /login": answering(b"\n<head><title>Log in", headers={"Content-Type": "text/html"}),
    }
    async with serving(tmp_path, sqlite_url, spec, answers) as (_, running):
        job = await running.run()
        assert await running.file(job.id) == ROWS
    assert seen == 2


async def test_a_post_whose_answer_is_no_file_is_not_sent_again(tmp_path: Path, sqlite_url: str) -> None:
    """The remote may have done what it was asked to: a person decides."""
    answers = {"POST /jobs": answering(b"<html>Log in</html>")}
    async with serving(tmp_path, sqlite_url, AT_ONCE, answers) as (shop, running):
        job = await running.run()
    assert job.state is State.PARKED
    assert "could not be stored" in (job.reason or "")
    assert shop.asked == ["POST /jobs"]


async def test_a_post_whose_file_is_refused_fails(tmp_path: Path, sqlite_url: str) -> None:
    """The submit is done, and the same file would be refused again: there is nothing for a person to find out."""
    account = "bounds = { largest_file_bytes = 5 }"
    async with serving(tmp_path, sqlite_url, AT_ONCE, {"POST /jobs": answering(ROWS)}, account) as (shop, running):
        job = await running.run()
    assert job.state is State.FAILED
    assert str(job.reason).startswith("the file in the reply to the submit is refused: ")
    assert shop.asked == ["POST /jobs"]


@pytest.mark.slow
async def test_a_get_whose_answer_is_no_file_is_sent_again(tmp_path: Path, sqlite_url: str) -> None:
    """By the rules of the submit, for a reply may also say that there is no file."""
    spec = AT_ONCE.replace("POST", "GET")
    answers = {"GET /jobs": answering(b"<html>Log in</html>", ROWS)}
    async with serving(tmp_path, sqlite_url, spec, answers) as (shop, running):
        job = await running.run()
        assert await running.file(job.id) == ROWS
    assert shop.asked == ["GET /jobs"] * 2


async def test_what_a_visit_that_died_has_landed_leaves_the_folder(tmp_path: Path, sqlite_url: str) -> None:
    """An earlier reply called itself by another media type, and its daemon died before it could record the file."""

    async def answer(_: web.Request) -> web.StreamResponse:
        job = await running.until(submitted.id, State.POLLING)
        folder = running.root / folder_of(job.account, job.operation, job.created_at, job.id)
        folder.mkdir(parents=True)
        (folder / "rows.json").write_bytes(b"[]")
        return web.Response(body=ROWS, headers={"Content-Type": "text/csv"})

    async with serving(tmp_path, sqlite_url, INLINE, polled(answer)) as (_, running):
        submitted = await running.submit()
        job = await running.until(submitted.id)
        assert job.state is State.SUCCEEDED
        folder = running.root / folder_of(job.account, job.operation, job.created_at, job.id)
        assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "rows.csv"]

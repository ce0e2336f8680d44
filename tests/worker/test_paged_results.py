"""Results over several pages land as one file; each page is one request."""

import asyncio
import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Answer, answering, serving
from tidewaiter.domain.job import State

COUNTED = """
[operations.report.params]
group = { help = "what is listed", required = false }

[operations.report.results]
label = "items"

[operations.report.results.pages]
url = "/list"
query = { limit = "${page.size}", offset = "${page.offset}", page = "${page.number}", group = "${params.group}" }
size = 3
items = "response"
"""
CURSOR = """
[operations.report.results.pages]
url = "/list"
query = { cursor = "${page.next}" }
items = "items"
next = "next"
last_values = ["null"]
"""
BY_URL = """
[operations.report.results.pages]
url = "/list"
items = "items"
next_url = { header = "Link", regex = '<([^>]+)>; rel="next"' }
"""
CSV = """
[operations.report.results.pages]
url = "/list"
query = { locator = "${page.next}" }
join = "csv"
next = { header = "Sforce-Locator" }
last_values = ["null"]
"""


def slices(total: int) -> Answer:
    """A list with limit and offset."""

    async def answer(request: web.Request) -> web.StreamResponse:
        start, limit = int(request.query["offset"]), int(request.query["limit"])
        return web.json_response({"response": [{"id": n, "name": "Zoë"} for n in range(total)][start : start + limit]})

    return answer


async def test_pages_land_as_one_array(tmp_path: Path, sqlite_url: str) -> None:
    """Nothing is submitted or polled; the file holds every item, and the manifest counts them."""
    async with serving(tmp_path, sqlite_url, COUNTED, {"GET /list": slices(7)}) as (shop, running):
        job = await running.run(group="a b")
        assert job.state is State.SUCCEEDED
        assert json.loads(await running.file(job.id)) == [{"id": n, "name": "Zoë"} for n in range(7)]
        manifest = await running.manifest(job)
        outcomes = await running.outcomes(job.id)
        (artifact,) = await running.jobs.artifacts(job.id)
    assert shop.asked == [f"GET /list?limit=3&offset={at}&page={at // 3 + 1}&group=a%20b" for at in (0, 3, 6)]
    assert manifest["artifacts"][0]["count"] == 7  # type: ignore[index]  # JSON
    assert (artifact.name, artifact.media_type, artifact.count) == ("items.json", "application/json", 7)
    assert (job.submits, job.polls, job.fetches) == (0, 0, 1)
    assert outcomes[1:] == ["Ready", "Stored"]


async def test_a_full_last_page_is_followed_by_an_empty_one(tmp_path: Path, sqlite_url: str) -> None:
    """The end cannot be told from a full page; a list without items is a success with an empty array."""
    async with serving(tmp_path, sqlite_url, COUNTED, {"GET /list": slices(6)}) as (shop, running):
        job = await running.run()
        assert len(json.loads(await running.file(job.id))) == 6
        assert len(shop.asked) == 3
        shop.answers["GET /list"] = slices(0)
        empty = await running.run()
        assert json.loads(await running.file(empty.id)) == []


@pytest.mark.slow
async def test_each_page_is_tried_again_by_itself(tmp_path: Path, sqlite_url: str) -> None:
    """A page that fails in passing costs one more request, not the pages before it, and no second download."""
    replies = iter([200, 502, 200, 200])

    async def answer(request: web.Request) -> web.StreamResponse:
        status = next(replies)
        return await slices(7)(request) if status == 200 else web.Response(status=status, text="<html>")

    async with serving(tmp_path, sqlite_url, COUNTED, {"GET /list": answer}) as (shop, running):
        job = await running.run()
        assert len(json.loads(await running.file(job.id))) == 7
    assert [asked.split("&")[1] for asked in shop.asked] == ["offset=0", "offset=3", "offset=3", "offset=6"]
    assert job.fetches == 1


@pytest.mark.slow
async def test_pages_are_paced_by_the_rate_limit(tmp_path: Path, sqlite_url: str) -> None:
    """Every page passes the account's budget: the third of two in a second waits."""
    limits = "limits = { requests = 2, period_s = 1 }"
    times: list[float] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        times.append(asyncio.get_running_loop().time())
        return await slices(7)(request)

    async with serving(tmp_path, sqlite_url, COUNTED, {"GET /list": answer}, limits) as (_, running):
        assert (await running.run()).state is State.SUCCEEDED
    assert times[2] - times[0] >= 0.99


async def test_a_list_with_cursors(tmp_path: Path, sqlite_url: str) -> None:
    """The cursor of each page asks for the next; a page may be empty in the middle; a word may mean the end."""
    pages = {
        None: {"items": [1], "next": "a/1"},
        "a/1": {"items": [], "next": "b"},
        "b": {"items": [2], "next": "null"},
    }

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(pages[request.query.get("cursor")])

    async with serving(tmp_path, sqlite_url, CURSOR, {"GET /list": answer}) as (shop, running):
        job = await running.run()
        assert json.loads(await running.file(job.id)) == [1, 2]
    assert shop.asked == ["GET /list", "GET /list?cursor=a%2F1", "GET /list?cursor=b"]


async def test_a_list_with_links(tmp_path: Path, sqlite_url: str) -> None:
    """The URL of the next page is followed byte for byte, relative or absolute."""

    async def answer(request: web.Request) -> web.StreamResponse:
        at = int(request.query.get("p", "1"))
        headers = {"Link": f'<list?p={at + 1}&x=%2F>; rel="next"'} if at < 3 else {}
        return web.json_response({"items": [at]}, headers=headers)

    async with serving(tmp_path, sqlite_url, BY_URL, {"GET /list": answer}) as (shop, running):
        job = await running.run()
        assert json.loads(await running.file(job.id)) == [1, 2, 3]
    assert shop.asked == ["GET /list", "GET /list?p=2&x=%2F", "GET /list?p=3&x=%2F"]


async def test_a_repeated_cursor_is_an_error(tmp_path: Path, sqlite_url: str) -> None:
    """A list that goes in circles ends the job with that reason after a bounded number of requests."""
    answers = {"GET /list": answering(*({"items": [n], "next": f"c{n % 3}"} for n in range(50)))}
    async with serving(tmp_path, sqlite_url, CURSOR, answers) as (shop, running):
        job = await running.run()
    assert job.state is State.FAILED
    assert "goes in circles" in (job.reason or "")
    assert len(shop.asked) < 12
    assert not list((tmp_path / "landed").rglob("*.part"))


async def test_a_list_that_ignores_the_offset_is_an_error(tmp_path: Path, sqlite_url: str) -> None:
    """The same full page again and again does not fill the disk."""
    async with serving(tmp_path, sqlite_url, COUNTED, {"GET /list": answering({"response": [1, 2, 3]})}) as (
        shop,
        running,
    ):
        job = await running.run()
    assert "goes in circles: what follows page 2" in (job.reason or "")
    assert len(shop.asked) == 2


async def test_pages_of_csv_have_one_header(tmp_path: Path, sqlite_url: str) -> None:
    """Headers, marks and missing line ends of later pages are taken out; quoted line breaks and packing do no harm."""
    bodies = {
        "": (b'id,"a\nname"\r\n1,x\r\n2,"y\r\nz"', "one"),
        "one": (gzip.compress(b'\xef\xbb\xbfid,"a\nname"\r\n3,w\r\n'), "two"),
        "two": (b'id,"a\nname"\r\n', "three"),
        "three": (b'id,"a\nname"\r\n4,v', "null"),
    }

    async def answer(request: web.Request) -> web.StreamResponse:
        body, after = bodies[request.query.get("locator", "")]
        coding = {"Content-Encoding": "gzip"} if body.startswith(b"\x1f\x8b") else {}
        return web.Response(body=body, headers={"Sforce-Locator": after, **coding})

    async with serving(tmp_path, sqlite_url, CSV, {"GET /list": answer}) as (_, running):
        job = await running.run()
        landed = (await running.file(job.id)).decode()
        (artifact,) = await running.jobs.artifacts(job.id)
    rows = list(csv.reader(io.StringIO(landed, newline="")))
    assert rows == [["id", "a\nname"], ["1", "x"], ["2", "y\r\nz"], ["3", "w"], ["4", "v"]]
    assert (artifact.count, artifact.media_type, artifact.name) == (4, "text/csv", "report.csv")


@pytest.mark.slow
async def test_a_page_of_csv_that_breaks_off_is_begun_again(tmp_path: Path, sqlite_url: str) -> None:
    """What had been written of it is taken back; the pages before it stay."""
    broken = iter([True, False])

    async def answer(request: web.Request) -> web.StreamResponse:
        if "locator" not in request.query:
            return web.Response(body=b"id\n1\n", headers={"Sforce-Locator": "x"})
        body = b"id\n" + b"".join(b"%d\n" % n for n in range(2, 2000))
        response = web.StreamResponse(headers={"Content-Length": str(len(body)), "Sforce-Locator": "null"})
        await response.prepare(request)
        if next(broken):
            await response.write(body[:5000])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(body)
        return response

    async with serving(tmp_path, sqlite_url, CSV, {"GET /list": answer}) as (shop, running):
        job = await running.run()
        assert (await running.file(job.id)).split() == [b"id", *(b"%d" % n for n in range(1, 2000))]
    assert len(shop.asked) == 3
    assert job.fetches == 1


@pytest.mark.slow
async def test_pages_in_several_codings(tmp_path: Path, sqlite_url: str) -> None:
    """They are undone by the same rules as a file's; a page that comes in another one is no page."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if "locator" not in request.query:
            body, coding, after = gzip.compress(gzip.compress(b"id\n1\n")), "GZIP, x-gzip", "x"
        else:
            body, coding, after = b"id\n2\n", "UTF-8" if len(shop.asked) > 2 else "br", "null"
        return web.Response(body=body, headers={"Content-Encoding": coding, "Sforce-Locator": after})

    async with serving(tmp_path, sqlite_url, CSV, {"GET /list": answer}) as (shop, running):
        job = await running.run()
        assert (await running.file(job.id)).split() == [b"id", b"1", b"2"]
    assert len(shop.asked) == 3


async def test_pages_with_other_columns_are_not_joined(tmp_path: Path, sqlite_url: str) -> None:
    """A joined file in which the columns change in the middle would be wrong without anybody noticing."""

    async def answer(request: web.Request) -> web.StreamResponse:
        later = "locator" in request.query
        body, after = (b"name,id\nx,2\n", "null") if later else (b"id,name\n1,y\n", "x")
        return web.Response(body=body, headers={"Sforce-Locator": after})

    async with serving(tmp_path, sqlite_url, CSV, {"GET /list": answer}) as (_, running):
        job = await running.run()
    assert job.state is State.FAILED
    assert "other columns" in (job.reason or "")


async def test_a_page_that_the_api_refuses(tmp_path: Path, sqlite_url: str) -> None:
    """Its message is the reason; a 404 without a remote job is no expired link that would be asked for for ever."""
    for status in (400, 404):
        async with serving(
            tmp_path, sqlite_url, COUNTED, {"GET /list": answering({"error": "no such group"}, status=status)}
        ) as (shop, running):
            job = await running.run()
        assert job.state is State.FAILED
        assert f"HTTP {status}: no such group" in (job.reason or "")
        assert len(shop.asked) == 1


@pytest.mark.slow
@pytest.mark.parametrize("status", [202, 204, 205, 206])
async def test_a_success_without_a_page_is_not_the_last_page(tmp_path: Path, sqlite_url: str, status: int) -> None:
    """Such a page of CSV is asked for again: its records, and the pages after it, would be missing."""
    replies = iter([200, status, 200])

    async def answer(request: web.Request) -> web.StreamResponse:
        code = next(replies)
        if code != 200:
            return web.Response(status=code, body=b"id\n" if code == 206 else None)
        body, after = (b"id\n2\n", "null") if "locator" in request.query else (b"id\n1\n", "x")
        return web.Response(body=body, headers={"Sforce-Locator": after})

    async with serving(tmp_path, sqlite_url, CSV, {"GET /list": answer}) as (shop, running):
        job = await running.run()
        assert (await running.file(job.id)).split() == [b"id", b"1", b"2"]
    assert len(shop.asked) == 3


LINES = COUNTED.replace("size = 3", 'size = 3\njoin = "jsonl"')


@pytest.mark.slow
async def test_pages_are_joined_as_lines(tmp_path: Path, sqlite_url: str) -> None:
    """One item a line, a line break within an item escaped; a list without items is an empty file."""
    items = [{"id": n, "text": "a\nb\u2028Zoë"} for n in range(7)]

    async def answer(request: web.Request) -> web.StreamResponse:
        start, limit = int(request.query["offset"]), int(request.query["limit"])
        return web.json_response({"response": items[start : start + limit]})

    async with serving(tmp_path, sqlite_url, LINES, {"GET /list": answer}) as (_, running):
        job = await running.run()
        assert job.state is State.SUCCEEDED, job.reason
        lines = (await running.file(job.id)).split(b"\n")
        assert lines.pop() == b""
        assert [json.loads(line) for line in lines] == items
        (artifact,) = await running.jobs.artifacts(job.id)
        assert (artifact.name, artifact.media_type, artifact.count) == ("items.ndjson", "application/x-ndjson", 7)
        items.clear()
        assert await running.file((await running.run()).id) == b""


@pytest.mark.slow
async def test_a_page_beyond_the_bound_of_replies(tmp_path: Path, sqlite_url: str) -> None:
    """The message names the key; with it the page lands."""
    items = [{"text": "x" * 100_000} for _ in range(90)]
    spec = '[operations.report.results.pages]\nurl = "/list"\nitems = "items"\n'
    answers = {"GET /list": answering({"items": items})}
    async with serving(tmp_path, sqlite_url, spec, answers) as (_, running):
        job = await running.run()
        assert job.state is State.FAILED
        assert "or raise largest_reply_bytes in the account's bounds" in (job.reason or "")
    (tmp_path / "raised").mkdir()
    account = "bounds = { largest_reply_bytes = 16777216 }"
    async with serving(tmp_path / "raised", sqlite_url, spec, answers, account) as (_, running):
        job = await running.run()
        assert job.state is State.SUCCEEDED, job.reason
        assert json.loads(await running.file(job.id)) == items

"""Packed files are unpacked when they land, whole, and never as a zip bomb."""

import gzip
import hashlib
import zlib
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Answer, answering, serving
from tidewaiter.domain.job import State

LISTED = """
[operations.report.submit]
url = "/jobs"
handle = "id"

[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ then = "ready" }]

[operations.report.results.files]
each = "files"
label = "name"
gzip = "packing == 'GZIP'"
size = "bytes"
sha256 = "sum"
md5 = "md5"
"""
RESOLVED = """
[operations.report.results]
label = "rows"

[operations.report.results.resolve]
url = "/where"
link = "url"
gzip = "packing == 'GZIP'"
"""
ROWS = b"".join(b"%d,%d\n" % (n, n * n) for n in range(50_000))
PACKED = gzip.compress(ROWS[:1000]) + gzip.compress(ROWS[1000:])


def listing(**more: object) -> dict[str, Answer]:
    """A remote job with one packed file, of which more may be announced."""
    file = {"url": "/file", "name": "rows.csv.gz", "packing": "GZIP", **more}
    return {
        "POST /jobs": answering({"id": 1}),
        "GET /jobs/1": answering({"files": [file]}),
        "GET /file": answering(PACKED, headers={"Content-Type": "application/gzip", "ETag": '"e"'}),
    }


async def test_a_packed_file_lands_unpacked(tmp_path: Path, sqlite_url: str) -> None:
    """All members of it, under a name without .gz; what was announced is compared with the packed bytes."""
    sums = {"sum": hashlib.sha256(PACKED).hexdigest(), "md5": hashlib.md5(PACKED).hexdigest()}  # noqa: S324  # a checksum
    async with serving(tmp_path, sqlite_url, LISTED, listing(bytes=len(PACKED), **sums)) as (_, running):
        job = await running.run()
        assert job.state is State.SUCCEEDED, job.reason
        assert await running.file(job.id) == ROWS
        (artifact,) = await running.jobs.artifacts(job.id)
    assert artifact.name == "rows.csv"
    assert artifact.sha256 == hashlib.sha256(ROWS).hexdigest()


async def test_a_resolved_link_says_that_its_file_is_packed(tmp_path: Path, sqlite_url: str) -> None:
    """Nothing was submitted: the request for the URL is all that there is."""
    answers = {
        "GET /where": answering({"url": "/file", "packing": "GZIP"}),
        "GET /file": answering(PACKED),
    }
    async with serving(tmp_path, sqlite_url, RESOLVED, answers) as (shop, running):
        job = await running.run()
        assert await running.file(job.id) == ROWS
    assert shop.asked == ["GET /where", "GET /file"]


@pytest.mark.slow
async def test_a_lost_link_is_requested_again_in_the_same_step(tmp_path: Path, sqlite_url: str) -> None:
    """As a page of a list is: one failed reply ends no download."""
    replies = [answering(b"", status=500), answering({"url": "/file"})]

    async def where(request: web.Request) -> web.StreamResponse:
        return await replies.pop(0)(request)

    answers = {"GET /where": where, "GET /file": answering(PACKED)}
    async with serving(tmp_path, sqlite_url, RESOLVED, answers) as (_, running):
        job = await running.run()
        assert (job.state, job.fetches) == (State.SUCCEEDED, 1)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_an_encoding_that_nobody_asked_for_is_undone(tmp_path: Path, sqlite_url: str, coding: str) -> None:
    """A server that packs though it was asked for the file as it is does no harm."""
    data = gzip.compress(ROWS) if coding == "gzip" else zlib.compress(ROWS)
    answers = {
        "GET /where": answering({"url": "/file"}),
        "GET /file": answering(data, headers={"Content-Encoding": coding, "ETag": '"e"'}),
    }
    async with serving(tmp_path, sqlite_url, RESOLVED, answers) as (_, running):
        job = await running.run()
        assert await running.file(job.id) == ROWS


@pytest.mark.slow
async def test_a_packed_file_that_breaks_off_is_fetched_again(tmp_path: Path, sqlite_url: str) -> None:
    """From its beginning: a range of packed bytes cannot be added to unpacked ones."""
    ranges: list[str | None] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        ranges.append(request.headers.get("Range"))
        response = web.StreamResponse(headers={"Content-Length": str(len(PACKED)), "ETag": '"e"'})
        await response.prepare(request)
        await response.write(PACKED[: len(PACKED) // 2] if len(ranges) == 1 else PACKED)
        if len(ranges) == 1:
            assert request.transport is not None
            request.transport.close()
        return response

    async with serving(tmp_path, sqlite_url, LISTED, listing() | {"GET /file": answer}) as (_, running):
        job = await running.run()
        assert await running.file(job.id) == ROWS
    assert ranges == [None, None]


@pytest.mark.slow
async def test_a_digest_that_cannot_be_read_is_logged_once(tmp_path: Path, sqlite_url: str) -> None:
    """It is an error of the spec, not of the file, which lands without it, here at the second attempt."""
    answers = listing(md5="see header", bytes=len(PACKED))
    answers["GET /file"] = answering(PACKED[:-1], PACKED)
    async with serving(tmp_path, sqlite_url, LISTED, answers) as (_, running):
        job = await running.run()
        assert job.state is State.SUCCEEDED, job.reason
        (line,) = running.events("file.digest_unread")
    assert job.fetches == 2
    assert (line["level"], line["label"]) == ("error", "rows.csv")
    assert line["reason"] == "md5: 'see header' cannot be read as a digest of md5"


@pytest.mark.slow
async def test_a_bomb_is_refused(tmp_path: Path, sqlite_url: str) -> None:
    """A file of which a gigabyte would come out of a megabyte ends the job, and leaves nothing behind."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(100)) + packer.flush()
    async with serving(tmp_path, sqlite_url, LISTED, listing() | {"GET /file": answering(bomb)}) as (shop, running):
        job = await running.run()
    assert job.state is State.FAILED
    assert "times its size" in (job.reason or "")
    assert shop.times("GET /file") == 1
    assert [path for path in (tmp_path / "landed").rglob("*") if path.is_file()] == []


@pytest.mark.slow
async def test_a_checksum_of_the_packed_file_that_differs(tmp_path: Path, sqlite_url: str) -> None:
    """The file is not what was announced: it is fetched again."""
    answers = listing(sum=hashlib.sha256(PACKED).hexdigest())
    answers["GET /file"] = answering(gzip.compress(ROWS[:1000]), PACKED)
    async with serving(tmp_path, sqlite_url, LISTED, answers) as (_, running):
        job = await running.run()
        assert await running.file(job.id) == ROWS
        history = await running.jobs.history(job.id)
    assert job.fetches == 2
    assert any("SHA-256" in (entry.detail or "") for entry in history)

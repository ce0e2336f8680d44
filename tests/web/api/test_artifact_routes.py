"""Landed files over HTTP: whole, in ranges, on conditions, and never a wrong byte as if it were right."""

import asyncio
import base64
import hashlib
import os
import random
import socket
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ETag, web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from tests.support.api_server import ApiServer
from tidewaiter.domain import outcome as o
from tidewaiter.web.api.artifact_routes import disposition
from tidewaiter.web.api.http_headers import known_tags, matched_tags, range_of
from tidewaiter.web.problems import ProblemError

CONTENT = random.Random(5).randbytes(3 * 2**20 + 777)


async def test_a_file_is_fetched_whole(site: ApiServer) -> None:
    """The bytes come as they landed, with their type, name, length, time and checksum; HEAD gives the same headers."""
    number, file = await site.landed(CONTENT)
    (listed,) = (await site.get(f"/v1/jobs/{number}/artifacts")).json["artifacts"]
    assert (listed["size"], listed["sha256"]) == (len(CONTENT), file.sha256)
    reply = await site.get(listed["location"])
    assert (reply.status, reply.body) == (200, CONTENT)
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    expected = {
        "ETag": f'"{file.sha256}"',
        "Content-Type": "text/csv",
        "Content-Length": str(len(CONTENT)),
        "Last-Modified": "Sun, 15 Jun 2025 15:06:40 GMT",
        "Content-Disposition": "attachment; filename=\"result.csv\"; filename*=UTF-8''result.csv",
        "Repr-Digest": f"sha-256=:{digest}:",
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
    }
    assert {name: reply.headers[name] for name in expected} == expected
    head = await site.call("HEAD", listed["location"])
    assert (head.status, head.body) == (200, b"")
    assert {name: head.headers[name] for name in expected} == expected


async def test_files_are_listed_in_pages(site: ApiServer) -> None:
    """By number; each page has the address of the next one, and a job with few files has one page."""
    number, file = await site.landed(b"content")
    files = tuple(replace(file, number=at, name=f"{at}.csv") for at in range(5))
    number = int((await site.submitted())["id"])
    await site.step(number, o.Intended("i"), o.Accepted("r-5"), o.Ready(), o.Stored(files))
    address: str | None = f"/v1/jobs/{number}/artifacts?limit=2"
    pages = []
    while address is not None:
        page = await site.get(address)
        pages.append([one["number"] for one in page.json["artifacts"]])
        address = page.json["next"]
        assert page.headers.get("Link") == (None if address is None else f'<{address}>; rel="next"')
    assert pages == [[0, 1], [2, 3], [4]]
    whole = (await site.get(f"/v1/jobs/{number}/artifacts")).json
    assert ([one["name"] for one in whole["artifacts"]], whole["next"]) == ([one.name for one in files], None)
    for faulty in ("limit=0", "limit=1001", "after=x", "after=-1", "after=1234567890"):
        assert (await site.get(f"/v1/jobs/{number}/artifacts?{faulty}")).status == 400


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-", 10, None),
        ("bytes=-5", -5, None),
        ("bytes=2000000-9999999999", 2_000_000, None),
    ],
)
async def test_a_range(site: ApiServer, asked: str, start: int, stop: int | None) -> None:
    """One range is sent as such, with its place in the whole."""
    number, file = await site.landed(CONTENT)
    place = f"/v1/jobs/{number}/artifacts/0"
    reply = await site.get(place, headers={"Range": asked, "If-Range": f'"{file.sha256}"'})
    begin = start if start >= 0 else len(CONTENT) + start
    assert (reply.status, reply.body) == (206, CONTENT[start:stop])
    end = begin + len(reply.body) - 1
    assert reply.headers["Content-Range"] == f"bytes {begin}-{end}/{len(CONTENT)}"


async def test_ranges_that_are_none(site: ApiServer) -> None:
    """A range behind the end is 416 with the size; several, nonsense, or one of another file give the whole."""
    number, _ = await site.landed(b"0123456789")
    place = f"/v1/jobs/{number}/artifacts/0"
    beyond = await site.get(place, headers={"Range": "bytes=10-"})
    beyond.problem(416)
    assert beyond.headers["Content-Range"] == "bytes */10"
    for headers in (
        {"Range": "bytes=0-1,3-4"},
        {"Range": "lines=1-2"},
        {"Range": "bytes=5-2"},
        {"Range": "bytes=-"},
        {"Range": "bytes=0-1", "If-Range": '"other"'},
        {"Range": "bytes=0-1", "If-Range": "Sun, 15 Jun 2025 15:06:41 GMT"},
    ):
        reply = await site.get(place, headers=headers)
        assert (reply.status, reply.body) == (200, b"0123456789"), headers
    dated = {"Range": "bytes=0-1", "If-Range": "Sun, 15 Jun 2025 15:06:40 GMT"}
    assert (await site.get(place, headers=dated)).body == b"01"


async def test_conditions(site: ApiServer) -> None:
    """Who has the file already is told so without it; who wants another one gets none."""
    number, file = await site.landed(b"content")
    place = f"/v1/jobs/{number}/artifacts/0"
    for known in (f'"{file.sha256}"', f'"x", W/"{file.sha256}"', "*"):
        reply = await site.get(place, headers={"If-None-Match": known})
        assert (reply.status, reply.body, reply.headers["ETag"]) == (304, b"", f'"{file.sha256}"')
    assert (await site.get(place, headers={"If-None-Match": '"x"'})).status == 200
    (await site.get(place, headers={"If-Match": '"x"'})).problem(412)
    assert (await site.get(place, headers={"If-Match": f'"{file.sha256}"'})).status == 200
    for other in (f'W/"{file.sha256}"', file.sha256, '"*"', "*, x"):
        (await site.get(place, headers={"If-Match": other})).problem(412)
    assert (await site.get(place, headers={"If-None-Match": '"*"'})).status == 200


async def test_conditions_by_time(site: ApiServer) -> None:
    """A file that landed before a time is known by then, and is not one that must have landed before that."""
    number, _ = await site.landed(b"content")
    place, before = f"/v1/jobs/{number}/artifacts/0", "Sun, 15 Jun 2025 15:06:39 GMT"
    for at, known, wanted in ((before, 200, 412), ("Sun, 15 Jun 2025 15:06:40 GMT", 304, 200), ("soon", 200, 200)):
        assert (await site.get(place, headers={"If-Modified-Since": at})).status == known
        assert (await site.get(place, headers={"If-Unmodified-Since": at})).status == wanted
    other = {"If-Modified-Since": "Sun, 15 Jun 2025 15:06:40 GMT", "If-None-Match": '"x"'}
    assert (await site.get(place, headers=other)).status == 200


async def test_only_get_has_ranges(site: ApiServer) -> None:
    """HEAD with a range is answered as without one."""
    number, _ = await site.landed(b"content")
    for asked in ("bytes=0-1", "bytes=99-"):
        head = await site.call("HEAD", f"/v1/jobs/{number}/artifacts/0", headers={"Range": asked})
        assert (head.status, head.headers["Content-Length"]) == (200, "7")


async def test_what_is_not_there(site: ApiServer) -> None:
    """No such job, no such file, a file that was removed or is another by now: a problem each, and a log line."""
    (await site.get("/v1/jobs/99/artifacts/0")).problem(404)
    number, file = await site.landed(b"content")
    for wrong in ("1", "-1", "a", "9" * 30):
        (await site.get(f"/v1/jobs/{number}/artifacts/{wrong}")).problem(404)
    path = site.folder / "landed" / file.key
    path.write_bytes(b"contents")
    (await site.get(f"/v1/jobs/{number}/artifacts/0")).problem(500)
    path.unlink()
    (await site.get(f"/v1/jobs/{number}/artifacts/0")).problem(410)
    path.symlink_to("/etc/hostname")
    (await site.get(f"/v1/jobs/{number}/artifacts/0")).problem(500)
    assert [line["key"] for line in site.logged("artifact.unreadable")] == [file.key] * 3


@pytest.mark.parametrize("key", ["../secret", "/etc/hostname", "a/../../b", ".partial/x", "a//b"])
async def test_no_key_leads_elsewhere(site: ApiServer, key: str, tmp_path: Path) -> None:
    """Even a key in the database that leads out of the storage opens nothing."""
    (tmp_path / "secret").write_bytes(b"content")
    number, _ = await site.landed(b"content", key=key)
    reply = await site.get(f"/v1/jobs/{number}/artifacts/0")
    reply.problem(500)
    assert b"content" not in reply.body


async def test_a_hostile_type_and_name(site: ApiServer) -> None:
    """What a provider calls its file cannot add headers, and is never shown as a page of ours."""
    number, _ = await site.landed(b"<script>", media_type="text/html\r\nX-Bad: 1", name='a"\r\n;b.html')
    reply = await site.get(f"/v1/jobs/{number}/artifacts/0")
    assert reply.headers["Content-Type"] == "application/octet-stream"
    assert "X-Bad" not in reply.headers
    assert reply.headers["Content-Disposition"].startswith("attachment;")
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'; sandbox;")
    assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert disposition("ä b.csv") == "attachment; filename=\"__b.csv\"; filename*=UTF-8''%C3%A4%20b.csv"


async def test_a_file_that_shrinks_breaks_the_connection(site: ApiServer) -> None:
    """A file cut short while it is sent ends in a broken connection, not in a short body that looks whole."""
    content = bytes(64 * 2**20)
    number, file = await site.landed(content)
    host, port = site.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(f"GET /v1/jobs/{number}/artifacts/0 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        received = 0
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        received += len(await loop.sock_recv(sock, 1))
        os.truncate(site.folder / "landed" / file.key, 2**20)
        with suppress(ConnectionResetError):
            while piece := await asyncio.wait_for(loop.sock_recv(sock, 2**20), 20):
                received += len(piece)
        assert received < len(content)


def _request(*headers: tuple[str, str]) -> web.Request:
    return make_mocked_request("GET", "/", CIMultiDict(headers))


def _ranged(header: str | None) -> web.Request:
    return _request() if header is None else _request(("Range", header))


@pytest.mark.parametrize(
    ("header", "size", "found"),
    [
        (None, 5, None),
        ("bytes=0-4", 5, (0, 5)),
        ("BYTES=1-1", 5, (1, 2)),
        ("bytes=-9", 5, (0, 5)),
        ("bytes=4-99", 5, (4, 5)),
        ("bytes=1-" + "9" * 30, 5, (1, 5)),
        ("bytes=" + "9" * 9999 + "-", 5, None),
        ("bytes=٣-", 5, None),
        ("bytes=0-1,3-4", 5, None),
        ("bytes=3-2", 5, None),
        ("lines=0-1", 5, None),
        ("bytes=-", 5, None),
    ],
)
def test_reading_ranges(header: str | None, size: int, found: tuple[int, int] | None) -> None:
    """A range is cut to the file; a header that is no single range of bytes is ignored."""
    assert range_of(_ranged(header), size) == found


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ("bytes=5-", 5),
        ("bytes=" + "9" * 30 + "-", 5),
        ("bytes=-0", 5),
        ("bytes=-00", 5),
        ("bytes=0-", 0),
        ("bytes=-3", 0),
    ],
)
def test_ranges_of_nothing(header: str, size: int) -> None:
    """A range without a byte of the file cannot be sent."""
    with pytest.raises(ProblemError) as caught:
        range_of(_ranged(header), size)
    assert (caught.value.status, caught.value.headers["Content-Range"]) == (416, f"bytes */{size}")


def test_what_aiohttp_reads_wrongly_in_a_range() -> None:
    """Aiohttp takes the last 0 bytes for the whole file, and an entity tag in If-Range for no condition.

    When this fails, aiohttp has changed: see whether `range_of` and `_may_send_range` can become shorter.
    """
    assert _ranged("bytes=-0").http_range == slice(0, None, 1)
    assert _request(("If-Range", '"a"')).if_range is None


@pytest.mark.parametrize(
    ("lines", "tags", "by_aiohttp"),
    [
        (['"a"', '"b"'], frozenset({"a", "b"}), (ETag("a"),)),  # it reads the first line only
        (['"*"'], frozenset(), (ETag("*"),)),  # it takes a quoted star for the wildcard
        (['"", "a"'], frozenset({"", "a"}), ()),  # it stops at the empty tag, which is valid
        (['"a", , "b"'], frozenset({"a", "b"}), (ETag("a"),)),  # it stops at an empty member, which is permitted
    ],
)
def test_what_aiohttp_reads_wrongly_in_entity_tags(
    lines: list[str], tags: frozenset[str], by_aiohttp: tuple[ETag, ...]
) -> None:
    """The four differences for which entity tags are read here (RFC 9110, sections 5.3, 5.6.1 and 8.8.3).

    When this fails, aiohttp has changed: see whether `known_tags` and `matched_tags` can use it.
    """
    request = _request(*(("If-Match", line) for line in lines), *(("If-None-Match", line) for line in lines))
    assert (matched_tags(request), known_tags(request)) == (tags, tags)
    assert (request.if_match, request.if_none_match) == (by_aiohttp, by_aiohttp)

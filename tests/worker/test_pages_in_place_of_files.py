"""A reply that is no file although its status is a success: it is asked for again, and never lands."""

import asyncio
import gzip
from pathlib import Path

import pytest

from tests.support.byte_servers import ReceivedRequest, answering
from tests.worker.download_setup import ROWS, chunked, downloading, head, whole
from tests.worker.file_replies import PAGE
from tidewaiter.domain import outcome as o


@pytest.mark.fault(68)
@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (whole(b"", status=202), o.NotYet("HTTP 202: the file is not there yet")),
        (whole(b"{}", "Retry-After: 7", status=202), o.NotYet("HTTP 202: the file is not there yet", 7.0)),
        (head(204), o.Retry("HTTP 204, and no file")),
        (whole(b"", status=205), o.Retry("HTTP 205, and no file")),
        (whole(b"<multistatus/>", status=207), o.Retry("HTTP 207, and no file")),
    ],
)
async def test_a_2xx_without_a_file(tmp_path: Path, reply: bytes, outcome: o.Outcome) -> None:
    """It lands nothing, not even where the file is announced as empty; a file that is being made is waited for."""
    async with downloading(tmp_path, answering(reply)) as setup:
        assert await setup.fails() == outcome
        assert await setup.fails(size=0) == outcome


async def test_a_file_that_a_proxy_has_changed(tmp_path: Path) -> None:
    """203 is a 200 with a warning."""
    async with downloading(tmp_path, answering(whole(ROWS, status=203))) as setup:
        assert await setup.lands() == ROWS


@pytest.mark.fault(27, 68)
@pytest.mark.parametrize(
    "reply",
    [
        whole(PAGE),
        whole(b"\n" * 9000 + PAGE),
        chunked(b"\xef\xbb\xbf \r\n<HEAD>" + PAGE, size=1),
        whole("<!doctype html>".encode("utf-16")),
        whole(gzip.compress(PAGE, mtime=0), "Content-Encoding: gzip"),
        whole(PAGE, f"Content-Range: bytes 0-{len(PAGE) - 1}/{len(PAGE)}", status=206),
    ],
)
async def test_a_page_in_place_of_a_file(tmp_path: Path, reply: bytes) -> None:
    """However it begins, in whatever pieces it comes, and however it is packed."""
    async with downloading(tmp_path, answering(reply)) as setup:
        assert await setup.fails() == o.Retry("a page of HTML came in place of the file")
        assert await setup.fails(media_type="text/csv", gzip=True) == o.Retry(
            "a page of HTML came in place of the file"
        )


@pytest.mark.fault(68)
async def test_a_packed_page_in_place_of_a_packed_file(tmp_path: Path) -> None:
    """The unpacked bytes are looked at."""
    async with downloading(tmp_path, answering(whole(gzip.compress(PAGE, mtime=0)))) as setup:
        assert await setup.fails(gzip=True) == o.Retry("a page of HTML came in place of the file")


@pytest.mark.fault(68)
async def test_a_login_page_behind_a_redirect(tmp_path: Path) -> None:
    """The last reply counts."""

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(PAGE) if asked.target == "/login" else whole(b"", "Location: /login", status=302))

    async with downloading(tmp_path, answer) as setup:
        assert await setup.fails() == o.Retry("a page of HTML came in place of the file")


async def test_html_that_is_wanted_or_only_declared(tmp_path: Path) -> None:
    """A file that the spec calls HTML is left alone; a declared text/html proves nothing."""
    async with downloading(tmp_path, answering(whole(PAGE))) as setup:
        assert await setup.lands(media_type="text/html") == PAGE
    async with downloading(tmp_path, answering(whole(ROWS, "Content-Type: text/html"))) as setup:
        assert await setup.lands() == ROWS

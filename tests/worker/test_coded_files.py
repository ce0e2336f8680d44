"""Files that come packed: codings are undone, sizes and digests may be of either form, what breaks off never lands."""

import gzip
from pathlib import Path

import pytest

from tests.support.byte_servers import answering
from tests.support.log_lines import log_lines
from tests.worker.download_setup import ROWS, chunked, downloading, sha256, whole
from tests.worker.file_replies import ONCE, SIZE, TWICE, WHOLE
from tidewaiter.domain import outcome as o


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (ONCE, ["Content-Encoding: GZIP"]),
        (TWICE, ["Content-Encoding: gzip, x-gzip"]),
        (TWICE, ["Content-Encoding: gzip", "Content-Encoding: gzip"]),
        (ONCE, ["Content-Encoding: identity, gzip"]),
        (ONCE, ["Content-Encoding: gzip,identity"]),
        (ONCE, ["Content-Encoding: gzip,aws-chunked"]),
        *[
            (ROWS, [f"Content-Encoding: {word}"])
            for word in ("UTF-8", "none", "binary", "8bit", "ISO-8859-1", "aws-chunked", "", "identity")
        ],
    ],
)
async def test_declared_codings_are_undone(tmp_path: Path, body: bytes, fields: list[str]) -> None:
    """In order, in any case; what is no coding is passed over."""
    async with downloading(tmp_path, answering(whole(body, *fields))) as setup:
        assert await setup.lands() == ROWS
        assert len(setup.server.asked) == 1


@pytest.mark.fault(68)
@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, br"])
async def test_a_coding_that_cannot_be_undone(tmp_path: Path, coding: str) -> None:
    """The file is asked for again without it; where it comes in it again, it does not land."""
    coded = whole(b"\x0b\x02\x80rows", f"Content-Encoding: {coding}")
    async with downloading(tmp_path, answering(coded, WHOLE)) as setup:
        assert await setup.lands() == ROWS
        assert [asked.headers["accept-encoding"] for asked in setup.server.asked] == ["identity", "identity;q=1, *;q=0"]
    async with downloading(tmp_path / "again", answering(coded)) as setup:
        failure = await setup.fails()
        assert isinstance(failure, o.Retry)
        assert coding in failure.reason
        assert len(setup.server.asked) == 2


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (ROWS, []),
        (ONCE, []),
        (ROWS[:2], []),
        (b"", []),
        (ONCE, ["Content-Encoding: gzip"]),
        (TWICE, ["Content-Encoding: gzip"]),
        (ROWS, ["Content-Encoding: binary"]),
        (ROWS, ["Content-Encoding: gzip"]),
    ],
)
async def test_where_the_link_says_gzip_the_bytes_decide(tmp_path: Path, body: bytes, fields: list[str]) -> None:
    """A file that comes plain lands as it is; one that is packed below a Content-Encoding is unpacked twice."""
    file = body if len(body) < 5 else ROWS
    for reply in (whole(body, *fields), chunked(body, *fields, size=1)):
        async with downloading(tmp_path, answering(reply)) as setup:
            assert await setup.lands(gzip=True) == file


@pytest.mark.parametrize("body", [ONCE[:2], ONCE[:1], ONCE[:-1], gzip.compress(ONCE, mtime=0)[:3]])
async def test_a_packed_file_that_breaks_off(tmp_path: Path, body: bytes) -> None:
    """It is no plain file, however early that is."""
    async with downloading(tmp_path, answering(chunked(body))) as setup:
        assert isinstance(await setup.fails(gzip=True), o.Retry)


async def test_a_packed_file_stays_packed_where_nobody_says_so(tmp_path: Path) -> None:
    """A .tar.gz stays one."""
    async with downloading(tmp_path, answering(whole(ONCE, "Content-Type: application/gzip"))) as setup:
        assert await setup.lands() == ONCE
    async with downloading(tmp_path, answering(whole(TWICE, "Content-Encoding: gzip"))) as setup:
        assert await setup.lands() == ONCE


@pytest.mark.parametrize("form", [ROWS, ONCE, TWICE])
async def test_what_is_announced_may_be_of_any_form(tmp_path: Path, form: bytes) -> None:
    """Of the packed or of the unpacked bytes, of any level."""
    async with downloading(tmp_path, answering(whole(TWICE, "Content-Encoding: gzip"))) as setup:
        assert await setup.lands(gzip=True, size=len(form)) == ROWS
        assert await setup.lands(gzip=True, sha256=sha256(form), size=len(ROWS)) == ROWS


@pytest.mark.fault(38)
@pytest.mark.parametrize("gzipped", [True, False])
@pytest.mark.parametrize(
    "announced", [{"size": SIZE + 1}, {"size": 0}, {"sha256": sha256(b"other")}, {"md5": "0" * 32}]
)
async def test_what_is_announced_must_match_one(tmp_path: Path, announced: dict[str, object], gzipped: bool) -> None:
    """A size of 0 is a size; what matches no form does not land."""
    fields = ["Content-Encoding: gzip"] if gzipped else []
    async with downloading(tmp_path, answering(whole(ONCE if gzipped else ROWS, *fields))) as setup:
        failure = await setup.fails(gzip=gzipped, **announced)
        assert isinstance(failure, o.Retry)
        assert "announced" in failure.reason


async def test_an_empty_body_where_a_size_was_announced(tmp_path: Path) -> None:
    """It is no file; where the file is empty, it is."""
    async with downloading(tmp_path, answering(whole(b""))) as setup:
        assert isinstance(await setup.fails(size=SIZE), o.Retry)
        assert await setup.lands(size=0, sha256=sha256(b"")) == b""


async def test_a_digest_that_cannot_be_read(tmp_path: Path) -> None:
    """It is reported once, and the file lands without it."""
    async with downloading(tmp_path, answering(WHOLE)) as setup:
        assert await setup.lands(unread="sha256: 'soon' cannot be read") == ROWS
    (line,) = log_lines(setup.output)
    assert (line["event"], line["reason"]) == ("file.digest_unread", "sha256: 'soon' cannot be read")

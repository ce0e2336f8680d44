"""One file's download over the wire: each kind of reply, and what lands, or why nothing lands."""

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.byte_servers import ReceivedRequest, answering, reset
from tests.worker.download_setup import ETAG, KEY, ROWS, chunked, downloading, head, open_files, sha256, whole
from tests.worker.file_replies import HALF, ONCE, PAGE, SIZE, TAG, WHOLE, broken, rest, turns
from tidewaiter.domain import outcome as o
from tidewaiter.transport.wire import Timeouts
from tidewaiter.worker.file_download import Downloaded

# --- parts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "replies"),
    [
        ("the rest", [rest()]),
        ("another spelling of the unit", [rest().replace(b"bytes ", b"BYTES ")]),
        ("the total is not named", [rest(total="*"), head(416, f"Content-Range: bytes */{SIZE}", "Content-Length: 0")]),
        ("it ends early", [rest(last=HALF + 9), rest(HALF + 10)]),
        ("in three parts", [rest(last=HALF), rest(HALF + 1, HALF + 1), rest(HALF + 2)]),
        ("with our tag", [rest(HALF, SIZE - 1, SIZE, TAG)]),
    ],
)
async def test_a_download_goes_on(tmp_path: Path, name: str, replies: list[bytes]) -> None:
    """What came before a break is kept and is not asked for again, however the rest comes."""
    async with downloading(tmp_path, turns(broken(), *replies)) as setup:
        first = await setup.fails(size=SIZE, sha256=sha256(ROWS))
        assert isinstance(first, o.Retry)
        assert first.progressed
        assert await setup.lands(size=SIZE, sha256=sha256(ROWS)) == ROWS
        assert setup.ranges[1] == f"bytes={HALF}-", name
        assert setup.server.asked[1].headers["if-range"] == ETAG


@pytest.mark.parametrize(
    ("before", "after", "goes_on"),
    [
        ("/file?X-Amz-Signature=a&part=1", "/file?part=1&X-Amz-Signature=b", True),
        ("/file?part=1", "/file?part=2", False),
    ],
)
async def test_a_download_goes_on_with_the_same_file_only(
    tmp_path: Path, before: str, after: str, goes_on: bool
) -> None:
    """A link that was signed anew is of the same file; one with another query is not, whatever its entity tag says."""
    async with downloading(tmp_path, turns(broken(), rest() if goes_on else WHOLE)) as setup:
        assert not isinstance(await setup.get(before), Downloaded)
        assert isinstance(await setup.get(after), Downloaded)
        assert setup.ranges[1] == (f"bytes={HALF}-" if goes_on else None)
        assert (setup.root / KEY).read_bytes() == ROWS


@pytest.mark.fault(40)
async def test_nothing_was_missing(tmp_path: Path) -> None:
    """A 416 that names as many bytes as are held says that these are all, and they land without being sent again."""
    unended = chunked(ROWS, TAG)[:-5]
    satisfied = whole(b"too far", f"Content-Range: bytes */{SIZE}", "Content-Type: text/html", status=416)
    async with downloading(tmp_path, turns(unended, satisfied)) as setup:
        await setup.fails()
        got = await setup.get()
        assert isinstance(got, Downloaded)
        assert (got.landed.sha256, got.media_type, got.resumed_from) == (sha256(ROWS), None, SIZE)


@pytest.mark.parametrize(("link", "media_type"), [({}, "text/csv"), ({"media_type": "text/tab"}, "text/tab")])
async def test_whose_media_type_counts(tmp_path: Path, link: dict[str, str], media_type: str) -> None:
    """That of the link, if it has one, else that of the reply."""
    async with downloading(tmp_path, turns(whole(ROWS, "Content-Type: text/csv"))) as setup:
        got = await setup.get(**link)
        assert isinstance(got, Downloaded)
        assert got.media_type == media_type


@pytest.mark.fault(39, 40, 63)
@pytest.mark.parametrize(
    "unfit",
    [
        rest(0),
        rest(HALF - 10),
        rest(HALF + 10),
        rest(HALF, HALF + 9, SIZE + 1),
        rest(HALF, SIZE - 1, SIZE, 'ETag: "v2"'),
        rest(HALF, SIZE - 1, SIZE, 'ETag: W/"v1"'),
        rest(HALF, SIZE - 1, SIZE, "Content-Encoding: gzip"),
        rest().replace(b"bytes ", b"rows "),
        rest().replace(b"Content-Range", b"X-Range"),
        rest(HALF, SIZE - 1, SIZE, f"Content-Range: bytes 0-9/{SIZE}"),
        whole(b"--x\r\n\r\nrows\r\n--x--", "Content-Type: multipart/byteranges; boundary=x", status=206),
        whole(b"", "Content-Range: bytes */99", status=416),
        whole(b"", status=416),
        whole(b"", status=412),
        whole(b"no ranges", status=501),
        whole(b"no ranges", status=400),
        rest().replace(b"206", b"200", 1),
    ],
)
async def test_what_does_not_fit_is_asked_for_from_the_start(tmp_path: Path, unfit: bytes) -> None:
    """In the same download, and without Range: a slice is never joined to what it does not belong to."""
    async with downloading(tmp_path, turns(broken(), unfit, WHOLE)) as setup:
        await setup.fails()
        assert await setup.lands() == ROWS
        assert setup.ranges == [None, f"bytes={HALF}-", None]


@pytest.mark.fault(63)
@pytest.mark.parametrize(
    ("part", "outcome"),
    [
        (rest(0, 99), o.Retry),
        (rest(100, 199, 200), o.Retry),
        (rest(0, 99, "*"), o.Retry),
        (whole(b"--x\r\n\r\nrows\r\n--x--", "Content-Type: multipart/byteranges; boundary=x", status=206), o.Retry),
        (rest(100, 199).replace(b"206", b"200", 1), o.Refused),
        (rest(0, 99).replace(b"206", b"200", 1).replace(b"bytes ", b"bytes="), o.Refused),
    ],
)
async def test_a_part_that_nobody_asked_for(tmp_path: Path, part: bytes, outcome: type) -> None:
    """It is never taken for the whole file; a 200 that names a part is asked for once more, and then refused."""
    async with downloading(tmp_path, answering(part)) as setup:
        assert isinstance(await setup.fails(), outcome)
        assert len(setup.server.asked) == (2 if outcome is o.Refused else 1)


async def test_a_part_that_is_the_whole_file(tmp_path: Path) -> None:
    """An unasked 206 of all bytes is the file."""
    async with downloading(tmp_path, answering(rest(0))) as setup:
        assert await setup.lands() == ROWS


@pytest.mark.fault(63)
async def test_a_part_that_is_longer_than_it_says(tmp_path: Path) -> None:
    """What came with it cannot be told from what belongs there: all of it is forgotten."""
    longer = chunked(ROWS[HALF:] + b"more", f"Content-Range: bytes {HALF}-{SIZE - 1}/{SIZE}", status=206)
    async with downloading(tmp_path, turns(broken(), longer, WHOLE)) as setup:
        await setup.fails()
        second = await setup.fails()
        assert isinstance(second, o.Retry)
        assert not second.progressed
        assert await setup.lands() == ROWS
        assert setup.ranges[-1] is None


async def test_progress_is_said(tmp_path: Path) -> None:
    """Only a download that came further than the last one, and kept what came, has made progress."""
    further = HALF + 5000

    def cut(first: int, stop: int) -> bytes:
        named = f"Content-Range: bytes {first}-{SIZE - 1}/{SIZE}"
        return head(206, named, f"Content-Length: {SIZE - first}") + ROWS[first:stop]

    replies = [broken(HALF), cut(HALF, further), cut(further, further), whole(b"", status=500), rest(further)]

    async def answer(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(replies.pop(0))
        await writer.drain()
        writer.close()

    async with downloading(tmp_path, answer) as setup:
        seen = [await setup.fails() for _ in range(4)]
        assert [isinstance(one, o.Retry) and one.progressed for one in seen] == [True, True, False, False]
        assert await setup.lands() == ROWS


@pytest.mark.fault(63)
async def test_a_server_that_sends_small_parts(tmp_path: Path) -> None:
    """The rest is asked for part by part; after many of them the download stops for now, and has made progress."""

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        if "range" not in asked.headers:
            writer.write(broken())
            writer.close()
            return
        first = int(asked.headers["range"].removeprefix("bytes=").removesuffix("-"))
        writer.write(rest(first, min(first + 299, SIZE - 1)))

    async with downloading(tmp_path, answer) as setup:
        for _ in range(2):
            failure = await setup.fails()
            assert isinstance(failure, o.Retry)
            assert failure.progressed
        assert await setup.lands() == ROWS
        assert len(setup.server.asked) == 1 + -(-(SIZE - HALF) // 300)


@pytest.mark.fault(39)
async def test_an_entity_tag_says_nothing_about_another_file(tmp_path: Path) -> None:
    """After fresh links another file may stand in the same place of the list, and have the same tag."""
    async with downloading(tmp_path, turns(broken(), WHOLE)) as setup:
        await setup.get("/first")
        assert isinstance(await setup.get("/second"), Downloaded)
        assert setup.ranges == [None, None]


async def test_fresh_links_to_the_same_file(tmp_path: Path) -> None:
    """Another signature is no other file."""
    async with downloading(tmp_path, turns(broken(), rest())) as setup:
        await setup.get("/file?X-Amz-Signature=a")
        assert isinstance(await setup.get("/file?X-Amz-Signature=b"), Downloaded)
        assert setup.ranges == [None, f"bytes={HALF}-"]


# --- truncation and size ----------------------------------------------------------------------------------------------


@pytest.mark.fault(38)
@pytest.mark.parametrize(
    "reply",
    [
        head(200, f"Content-Length: {SIZE}") + ROWS[:-1],
        chunked(ROWS)[:-5],
        chunked(ROWS)[:-40],
        whole(ONCE[:-1], "Content-Encoding: gzip"),
        whole(ONCE[:2], "Content-Encoding: gzip"),
        whole(ROWS[:-1], f"Content-Range: bytes 0-{SIZE - 1}/{SIZE}", status=206),
        chunked(ROWS[:-1], f"Content-Range: bytes 0-{SIZE - 1}/{SIZE}"),
        head(200) + b"",
    ],
)
async def test_a_file_that_is_cut_short(tmp_path: Path, reply: bytes) -> None:
    """It never lands, whichever length says that it is."""

    async def answer(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await writer.drain()
        writer.close()

    async with downloading(tmp_path, answer) as setup:
        if reply == head(200):
            assert isinstance(await setup.fails(size=1), o.Retry)
        else:
            assert isinstance(await setup.fails(), o.Retry)


@pytest.mark.fault(41)
async def test_a_file_without_end(tmp_path: Path) -> None:
    """It is refused at the limit, packed or not; where its length is named, before any of it is read."""
    empty = gzip.compress(b"")
    for reply in (chunked(ROWS), whole(ROWS), chunked(empty * 500, "Content-Encoding: gzip")):
        async with downloading(tmp_path, answering(reply), largest_bytes=1000) as setup:
            failure = await setup.fails()
            assert isinstance(failure, o.Refused)
            assert failure.reason.startswith("the file is larger than 1000 bytes")


async def test_an_error_that_cannot_be_unpacked_is_an_error(tmp_path: Path) -> None:
    """Its status is read, though its body is not what its Content-Encoding says."""
    for status, kind in ((503, o.Throttled), (404, o.LinksExpired)):
        async with downloading(tmp_path, answering(whole(b"no", "Content-Encoding: gzip", status=status))) as setup:
            assert isinstance(await setup.fails(), kind)


# --- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.invariant(12)
async def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    """Whatever the server does, and whatever becomes of the step: the landing has ended."""
    replies = [
        whole(b"", status=416),
        whole(b"", status=202),
        whole(b"", status=503),
        whole(b"", status=404),
        head(204),
        whole(PAGE),
        whole(b"x", "Content-Encoding: br"),
        whole(b"x", "Content-Encoding: gzip"),
        rest(0, 99),
        rest(0, 99).replace(b"206", b"200", 1),
        whole(ROWS),
        b"nonsense\r\n\r\n",
    ]
    async with downloading(tmp_path, answering(WHOLE)) as setup:
        for reply in [*replies, *[whole(b"", status=416)] * 5]:
            setup.server.answer = answering(reply)
            await setup.get(size=1)
            assert open_files(tmp_path) == [], reply

        async def hangs_up(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
            writer.write(head(200, f"Content-Length: {SIZE}") + ROWS[:HALF])
            await writer.drain()
            reset(writer)

        setup.server.answer = hangs_up
        await setup.get()
        assert open_files(tmp_path) == []


async def test_a_download_that_is_cancelled(tmp_path: Path) -> None:
    """It keeps what came, and leaves no descriptor open."""
    has_begun = asyncio.Event()

    async def stalls(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(broken())
        await writer.drain()
        has_begun.set()
        await asyncio.Event().wait()

    async with downloading(tmp_path, stalls, timeouts=Timeouts(read_s=30)) as setup:
        for _ in range(3):
            has_begun.clear()
            step = asyncio.ensure_future(setup.get())
            await has_begun.wait()
            await _until(lambda: any((tmp_path / ".partial").glob("*.part")))
            step.cancel()
            with pytest.raises(asyncio.CancelledError):
                await step
            assert open_files(tmp_path) == []
        assert not (tmp_path / "shop").exists()


async def _until(holds: Callable[[], bool]) -> None:
    """Returns once something holds."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  # nobody says when a thread has closed a file
            await asyncio.sleep(0.01)

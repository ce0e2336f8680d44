"""Files through the client: whole and checked, or not there at all."""

import asyncio
from pathlib import Path

import pytest

from tests.client.broken_relay import QuickClock, relaying
from tests.support.api_server import ApiServer
from tests.support.byte_servers import answering, reply, serving
from tidewaiter.client import ApiError, AsyncClient, ChecksumError, NotFoundError

CONTENT = bytes(range(256)) * 400


async def test_a_file_is_written_whole(client: AsyncClient, site: ApiServer, tmp_path: Path) -> None:
    """To a path or into a folder, with nothing beside it; the list has its checksum."""
    number, landed = await site.landed(CONTENT)
    (file,) = await client.files(number)
    assert (file.name, file.size, file.sha256) == ("result.csv", len(CONTENT), landed.sha256)
    folder = tmp_path / "here"
    folder.mkdir()
    assert await client.download(file, folder) == folder / "result.csv"
    assert await client.download(file, str(folder / "other.csv")) == folder / "other.csv"
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == {"result.csv": CONTENT, "other.csv": CONTENT}
    assert b"".join([piece async for piece in client.stream(file)]) == CONTENT


async def test_an_empty_file(client: AsyncClient, site: ApiServer, tmp_path: Path) -> None:
    """It has no pieces, and is a file."""
    number, _ = await site.landed(b"")
    (file,) = await client.files(number)
    assert (await client.download(file, tmp_path)).read_bytes() == b""


async def test_another_content_is_refused(client: AsyncClient, site: ApiServer, tmp_path: Path) -> None:
    """A file that was changed in the storage, with the same size, leaves nothing; nor does one that was removed."""
    number, landed = await site.landed(CONTENT)
    (file,) = await client.files(number)
    stored = site.folder / "landed" / landed.key
    stored.write_bytes(CONTENT[::-1])
    target = tmp_path / "new.csv"
    target.write_text("the old one")
    with pytest.raises(ChecksumError, match=r"result\.csv"):
        await client.download(file, target)
    stored.unlink()
    with pytest.raises(NotFoundError, match="removed from the storage"):
        await client.download(file, target)
    assert target.read_text() == "the old one"
    assert not await asyncio.to_thread(lambda: list(tmp_path.glob(".*")))


async def test_a_name_leads_nowhere_else(client: AsyncClient, site: ApiServer, tmp_path: Path) -> None:
    """A folder gets the last part of a name, whatever the reply says."""
    number, _ = await site.landed(CONTENT)
    (file,) = await client.files(number)
    folder = tmp_path / "here"
    folder.mkdir()
    file = file.model_copy(update={"name": "../outside.csv"})
    assert await client.download(file, folder) == folder / "outside.csv"


async def test_a_broken_download_is_resumed(site: ApiServer, tmp_path: Path) -> None:
    """Each connection goes on where the one before broke, and the whole is checked."""
    number, _ = await site.landed(CONTENT)
    async with relaying(site.base) as relay, AsyncClient(relay.origin, clock=QuickClock()) as client:
        relay.breaks_after = [40_000, 0, 30_000]
        (file,) = await client.files(number)
        assert (await client.download(file, tmp_path)).read_bytes() == CONTENT
        ranges = [line for one in relay.requests for line in one.splitlines() if line.startswith("Range: ")]
        assert len(ranges) >= 2
        assert "Range: bytes=0-" not in ranges


async def test_a_body_that_does_not_end(client: AsyncClient, site: ApiServer) -> None:
    """It is given up as soon as it has more bytes than the file that landed."""
    number, _ = await site.landed(CONTENT)
    (file,) = await client.files(number)
    async with serving(answering(reply(200, CONTENT * 100))) as liar, AsyncClient(liar.origin) as deceived:
        with pytest.raises(ChecksumError, match=f"more than the {len(CONTENT)} bytes"):
            [piece async for piece in deceived.stream(file)]


async def test_no_other_host_gets_the_token(client: AsyncClient, site: ApiServer) -> None:
    """An address in a reply is a path; what would make it another host is refused, and nothing is sent."""
    number, _ = await site.landed(CONTENT)
    (file,) = await client.files(number)
    async with serving(answering(reply(200, CONTENT))) as other:
        file = file.model_copy(update={"location": f"@127.0.0.1:{other.port}/file"})
        with pytest.raises(ApiError, match="no path"):
            [piece async for piece in client.stream(file)]
        assert not other.asked

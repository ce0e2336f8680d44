"""One file's landing: whole or not at all, whatever happens in between."""

import asyncio
import hashlib
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.storage.folders import descriptors, files, only, read, write
from tidewaiter.storage.base import ChecksumError, Landing, StorageError, StorageThreads, StorageUnavailableError
from tidewaiter.storage.folder import LocalStorage

KEY = "shop/statistics/2026/01/31/7/result.csv"
CONTENT = random.Random(1).randbytes(5 * 2**20 + 12_345)
ETAG = '"5a1c"'


def sha256(content: bytes) -> str:
    """As hex."""
    return hashlib.sha256(content).hexdigest()


def md5(content: bytes) -> str:
    """As hex."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


async def send(landing: Landing, content: bytes, piece: int = 100_000) -> None:
    """Write ``content`` in pieces, as a network would."""
    for at in range(0, len(content), piece):
        await landing.write(content[at : at + piece])


async def begun(storage: LocalStorage, content: bytes, etag: str | None = ETAG) -> None:
    """Leave the beginning of a file behind."""
    landing = await storage.open(KEY, 7, 0)
    await send(landing, content)
    await landing.checkpoint(etag)


@pytest.mark.fault(38)
@pytest.mark.parametrize(
    "announced",
    [
        {"size": len(CONTENT) + 1},
        {"size": len(CONTENT) - 1},
        {"sha256": sha256(b"something else")},
        {"md5": md5(b"something else")},
    ],
)
async def test_what_was_not_announced(storage: LocalStorage, root: Path, announced: dict[str, object]) -> None:
    """A wrong size or checksum never lands, and nothing of it is kept."""
    await storage.put(KEY, b"what was there")
    before = descriptors()
    landing = await storage.open(KEY, 7, 0, md5=True)
    await send(landing, CONTENT)
    with pytest.raises(ChecksumError):
        await landing.finish(**announced)  # type: ignore[arg-type]  # sizes and digests by their names
    assert files(root) == [KEY]
    assert read(root / KEY) == b"what was there"
    assert descriptors() == before


async def test_a_landed_file_needs_no_task_to_end(root: Path) -> None:
    """Leaving a landing that has ended makes no task, alone and in a group."""
    made: list[str] = []

    def make(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        made.append(work.__qualname__)
        return asyncio.Task(work, loop=loop, **options)

    with StorageThreads() as threads:
        storage = LocalStorage(root, threads)
        asyncio.get_running_loop().set_task_factory(make)
        for files in (1, 2):
            async with storage.group(7, files) as group, await group.open("a/b", 0, identity="x") as landing:
                await landing.write(b"content")
                await landing.finish()
    assert made == []


async def test_discarding(storage: LocalStorage, root: Path) -> None:
    """Nothing is left: no file, no descriptor; ending again is harmless."""
    before = descriptors()
    landing = await storage.open(KEY, 7, 0)
    await send(landing, CONTENT)
    for _ in range(2):
        await landing.discard()
        await landing.checkpoint(ETAG)
    assert files(root) == []
    assert descriptors() == before


# --- going on -------------------------------------------------------------------------------------------------------


@pytest.mark.fault(3)
async def test_going_on_from_a_checkpoint(storage: LocalStorage, root: Path) -> None:
    """The second try has what the first received, and the checksum is of all of it."""
    before = descriptors()
    await begun(storage, CONTENT[:3_000_000])
    assert descriptors() == before
    landing = await storage.open(KEY, 7, 0, md5=True)
    assert (landing.offset, landing.validator) == (3_000_000, ETAG)
    await send(landing, CONTENT[3_000_000:])
    await landing.finish(sha256=sha256(CONTENT), size=len(CONTENT), md5=md5(CONTENT))
    assert read(root / KEY) == CONTENT
    assert files(root) == [KEY]


async def test_going_on_several_times(storage: LocalStorage, root: Path) -> None:
    """Each try adds to the last, and a try that receives nothing loses nothing."""
    await begun(storage, CONTENT[:1000])
    for start, end in ((1000, 1000), (1000, 2_000_000), (2_000_000, len(CONTENT))):
        landing = await storage.open(KEY, 7, 0)
        assert landing.offset == start
        await send(landing, CONTENT[start:end])
        await landing.checkpoint(ETAG)
    landing = await storage.open(KEY, 7, 0)
    await landing.finish(sha256=sha256(CONTENT))
    assert read(root / KEY) == CONTENT


@pytest.mark.fault(39, 40)
async def test_starting_over(storage: LocalStorage, root: Path) -> None:
    """The remote sends the file from its beginning, or another file: nothing of the old one stays."""
    await begun(storage, CONTENT)
    landing = await storage.open(KEY, 7, 0)
    await landing.write(b"of the old one")
    await landing.restart()
    assert (landing.offset, landing.validator) == (0, None)
    await landing.write(b"another")
    await landing.checkpoint('"other"')
    landing = await storage.open(KEY, 7, 0)
    assert (landing.offset, landing.validator) == (7, '"other"')
    await landing.write(b" file")
    await landing.finish(size=12, sha256=sha256(b"another file"))
    assert read(root / KEY) == b"another file"


@pytest.mark.fault(40)
async def test_starting_over_with_less(storage: LocalStorage, root: Path) -> None:
    """A file that has become shorter does not end in what was there before."""
    await begun(storage, CONTENT)
    landing = await storage.open(KEY, 7, 0)
    await landing.restart()
    await landing.write(b"short")
    await landing.finish(size=5)
    assert read(root / KEY) == b"short"


@pytest.mark.fault(39)
@pytest.mark.parametrize("etag", [None, 'W/"5a1c"'])
async def test_nothing_is_kept_without_proof(storage: LocalStorage, root: Path, etag: str | None) -> None:
    """Without a strong validator nobody could tell whether the rest belongs to it."""
    await begun(storage, CONTENT, etag)
    assert files(root) == []
    assert (await storage.open(KEY, 7, 0)).offset == 0


async def test_files_of_a_job_are_kept_apart(storage: LocalStorage) -> None:
    """A checkpoint belongs to one file of one job."""
    await begun(storage, CONTENT)
    assert (await storage.open(KEY, 7, 1)).offset == 0
    assert (await storage.open(KEY, 77, 0)).offset == 0
    assert (await storage.open(KEY, 7, 0)).offset == len(CONTENT)


@pytest.mark.fault(3)
async def test_a_part_without_a_checkpoint(storage: LocalStorage, root: Path) -> None:
    """What a crash left is removed by the next try: nobody knows how much of it is durable."""
    await storage.check()
    write(root / ".partial/7-0-0123456789abcdef.part", CONTENT)
    landing = await storage.open(KEY, 7, 0)
    assert landing.offset == 0
    assert len(files(root)) == 1
    await landing.discard()
    assert files(root) == []


async def test_a_part_that_grew_after_its_checkpoint(storage: LocalStorage, root: Path) -> None:
    """What was written later and lost its checkpoint in a power cut is cut off."""
    await begun(storage, CONTENT[:1000])
    part = only(root, ".partial/*.part")
    write(part, read(part) + b"later, and not durable" * 100)
    landing = await storage.open(KEY, 7, 0)
    assert landing.offset == 1000
    await landing.write(CONTENT[1000:2000])
    await landing.finish(sha256=sha256(CONTENT[:2000]))
    assert read(root / KEY) == CONTENT[:2000]


@pytest.mark.parametrize("damage", ["cut", "altered", "gone"])
async def test_a_part_that_is_not_what_it_was(storage: LocalStorage, root: Path, damage: str) -> None:
    """Every byte of the beginning is read again and compared: a damaged one starts over."""
    await begun(storage, CONTENT)
    part = only(root, ".partial/*.part")
    match damage:
        case "cut":
            write(part, CONTENT[:-1])
        case "altered":
            write(part, b"\0" + CONTENT[1:])
        case _:
            os.unlink(part)  # noqa: PTH108  # a coroutine may not use a Path for it
    landing = await storage.open(KEY, 7, 0)
    assert (landing.offset, landing.validator) == (0, None)
    await landing.write(b"anew")
    await landing.finish(sha256=sha256(b"anew"))
    assert files(root) == [KEY]


@pytest.mark.parametrize(
    "torn",
    [b"", b"{", b"[]", b"null", b'{"part": 1}', b"\xff", b'{"part":"x","offset":"?","validator":"","sha256":""}'],
)
async def test_a_torn_checkpoint(storage: LocalStorage, root: Path, torn: bytes) -> None:
    """A checkpoint that cannot be read is none."""
    await begun(storage, CONTENT)
    write(root / ".partial/7-0.json", torn)
    landing = await storage.open(KEY, 7, 0)
    assert landing.offset == 0
    await landing.discard()
    assert files(root) == []


async def test_a_checkpoint_that_points_elsewhere(storage: LocalStorage, root: Path, tmp_path: Path) -> None:
    """A checkpoint names a part of its own file and nothing else on the disk."""
    write(tmp_path / "secret", CONTENT)
    other = await storage.open("a/of-another-job", 8, 0)
    await other.write(CONTENT)
    await other.checkpoint(ETAG)
    others_part = only(root, ".partial/8-0-*.part")
    for part in ("../../secret", "7-0-../../../secret", others_part.name):
        document = {"part": part, "offset": 10, "validator": ETAG, "sha256": sha256(CONTENT[:10])}
        write(root / ".partial/7-0.json", json.dumps(document).encode())
        landing = await storage.open(KEY, 7, 0)
        assert landing.offset == 0
        await landing.discard()
    assert read(tmp_path / "secret") == read(others_part) == CONTENT


# --- two owners -----------------------------------------------------------------------------------------------------


@pytest.mark.invariant(5)
@pytest.mark.parametrize("resumed", [False, True])
async def test_a_stale_owner_spoils_nothing(storage: LocalStorage, root: Path, resumed: bool) -> None:
    """An owner that wakes up after its lease has passed on writes into nobody's file and lands none."""
    kept = b"of both of them, " if resumed else b""
    if resumed:
        await begun(storage, kept)
    stale = await storage.open(KEY, 7, 0)
    await stale.write(b"of the stale one")
    successor = await storage.open(KEY, 7, 0)
    assert successor.offset == len(kept)
    await successor.write(b"of the successor")
    await stale.write(CONTENT)
    with pytest.raises(StorageError, match="No such file"):
        await stale.finish()
    landed = await successor.finish()
    assert landed.sha256 == sha256(kept + b"of the successor")
    assert read(root / KEY) == kept + b"of the successor"
    assert files(root) == [KEY]


async def test_a_stale_owners_checkpoint(storage: LocalStorage, root: Path) -> None:
    """What it keeps is never taken up, for its part is gone."""
    stale = await storage.open(KEY, 7, 0)
    await stale.write(CONTENT)
    successor = await storage.open(KEY, 7, 0)
    await stale.checkpoint(ETAG)
    assert (await storage.open(KEY, 7, 0)).offset == 0
    await successor.discard()


async def test_leaving_keeps_a_checkpoint(storage: LocalStorage) -> None:
    """What was kept for later is not discarded, and the size of the whole file is kept with it."""
    async with await storage.open(KEY, 7, 0, identity="a") as landing:
        await send(landing, b"x" * 100)
        assert await landing.checkpoint(ETAG, 500)
    async with await storage.open(KEY, 7, 0, identity="a") as landing:
        assert (landing.offset, landing.validator, landing.total) == (100, ETAG, 500)
        await landing.restart()
        assert (landing.offset, landing.validator, landing.total) == (0, None, None)


async def test_a_checkpoint_of_another_file(storage: LocalStorage) -> None:
    """It is not gone on from, whatever its entity tag: after fresh links the same number may be another file."""
    async with await storage.open(KEY, 7, 0, identity="a") as landing:
        await send(landing, b"x" * 100)
        await landing.checkpoint(ETAG)
    async with await storage.open(KEY, 7, 0, identity="b") as landing:
        assert (landing.offset, landing.validator) == (0, None)


async def test_what_is_not_kept(storage: LocalStorage) -> None:
    """A checkpoint says whether there is one."""
    async with await storage.open(KEY, 7, 0) as landing:
        await send(landing, b"x" * 100)
        assert not await landing.checkpoint(None)
        assert not await landing.checkpoint(ETAG)


@pytest.mark.fault(43)
async def test_a_storage_that_becomes_unusable(storage: LocalStorage, root: Path) -> None:
    """That the last step of a landing fails is no failure of the file where nothing can be written at all."""
    landing = await storage.open(KEY, 7, 0)
    await send(landing, CONTENT)
    (root / ".partial").rename(root / "elsewhere")
    (root / ".partial").write_bytes(b"")
    with pytest.raises(StorageUnavailableError, match=r"^Could not land "):
        await landing.finish()
    await landing.discard()

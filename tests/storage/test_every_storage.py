"""The contract of every storage, folder and bucket."""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from tests.storage.inspected_storage import InspectedStorage
from tests.storage.landings import send, sha256
from tidewaiter.domain.file_names import file_name
from tidewaiter.domain.manifest import folder_of
from tidewaiter.storage.base import ChecksumError, Landed, StorageError

KEY = "shop/statistics/2026/01/31/7/result.csv"
SMALL = random.Random(1).randbytes(5 * 2**20 + 12_345)
LARGE = random.Random(2).randbytes(20 * 2**20 + 12_345)
ETAG = '"5a1c"'


def md5(content: bytes) -> str:
    """As hex."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("piece", [1000, 2**18, 2**20, 3 * 2**20, 10**9])
@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
async def test_it_lands_whole(inspected: InspectedStorage, content: bytes, piece: int) -> None:
    """In whatever pieces it comes: the bytes, the size and the checksum are right, and nothing else is left."""
    landing = await inspected.storage.open(KEY, 7, 0)
    assert (landing.offset, landing.validator) == (0, None)
    await send(landing, content, piece)
    assert KEY not in inspected.listing()
    landed = await landing.finish(sha256=sha256(content), size=len(content))
    assert (landed.size, landed.sha256) == (len(content), sha256(content))
    assert (inspected.listing(), inspected.unfinished()) == ([KEY], 0)
    assert inspected.read(KEY) == content


async def test_single_bytes(inspected: InspectedStorage) -> None:
    """A host that sends byte by byte does not reach what one system call can take."""
    landing = await inspected.storage.open(KEY, 7, 0)
    await send(landing, SMALL[:5000], 1)
    await landing.finish(sha256=sha256(SMALL[:5000]))
    assert inspected.read(KEY) == SMALL[:5000]


@pytest.mark.fault(33)
async def test_an_empty_file(inspected: InspectedStorage) -> None:
    """Zero rows are a success, and land as nothing."""
    landing = await inspected.storage.open(KEY, 7, 0, md5=True)
    assert (await landing.finish(size=0, sha256=sha256(b"").upper(), md5=md5(b"").upper())).size == 0
    assert inspected.read(KEY) == b""


@pytest.mark.fault(38)
@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("wrong", ["longer", "shorter", "sha256", "md5"])
async def test_what_was_not_announced(inspected: InspectedStorage, content: bytes, wrong: str) -> None:
    """A wrong size or checksum never lands, and nothing of it is kept."""
    await inspected.storage.put(KEY, b"what was there")
    landing = await inspected.storage.open(KEY, 7, 0, md5=True)
    await send(landing, content)
    other = b"something else"
    with pytest.raises(ChecksumError):
        await landing.finish(
            size={"longer": len(content) + 1, "shorter": len(content) - 1}.get(wrong),
            sha256=sha256(other) if wrong == "sha256" else None,
            md5=md5(other) if wrong == "md5" else None,
        )
    assert (inspected.listing(), inspected.unfinished()) == ([KEY], 0)
    assert inspected.read(KEY) == b"what was there"


async def test_an_md5_that_was_not_reckoned(inspected: InspectedStorage) -> None:
    """An announced MD5 that nobody reckoned along is no proof."""
    landing = await inspected.storage.open(KEY, 7, 0)
    with pytest.raises(ChecksumError):
        await landing.finish(md5=md5(b""))


@pytest.mark.fault(4)
@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
async def test_it_replaces_what_bears_its_name(inspected: InspectedStorage, content: bytes) -> None:
    """A file that landed before a crash is landed again, in its place: there is no second one."""
    for each in (b"landed, not committed", content, content):
        landing = await inspected.storage.open(KEY, 7, 0)
        await send(landing, each)
        await landing.finish()
    assert (inspected.listing(), inspected.unfinished()) == ([KEY], 0)
    assert inspected.read(KEY) == content


@pytest.mark.parametrize("content", [b"", SMALL, LARGE], ids=["nothing", "small", "large"])
async def test_discarding(inspected: InspectedStorage, content: bytes) -> None:
    """Nothing is left; ending again is harmless."""
    landing = await inspected.storage.open(KEY, 7, 0)
    await send(landing, content)
    for _ in range(2):
        await landing.discard()
        await landing.checkpoint(ETAG)
    assert (inspected.listing(), inspected.unfinished()) == ([], 0)


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
async def test_ending_a_landed_file_again(inspected: InspectedStorage, content: bytes) -> None:
    """Cleaning up after a cancellation works whether or not the file has landed."""
    landing = await inspected.storage.open(KEY, 7, 0)
    await send(landing, content)
    await landing.finish()
    await landing.checkpoint(ETAG)
    await landing.discard()
    assert inspected.listing() == [KEY]


@pytest.mark.fault(39, 40)
@pytest.mark.parametrize("before", [b"of the old one", LARGE], ids=["small", "large"])
async def test_starting_over(inspected: InspectedStorage, before: bytes) -> None:
    """The remote sends the file from its beginning, or another file: nothing of the old one stays."""
    landing = await inspected.storage.open(KEY, 7, 0)
    await send(landing, before)
    await landing.restart()
    assert (landing.offset, landing.validator) == (0, None)
    await landing.write(b"another file")
    await landing.finish(size=12, sha256=sha256(b"another file"))
    assert (inspected.listing(), inspected.unfinished()) == ([KEY], 0)
    assert inspected.read(KEY) == b"another file"


@pytest.mark.invariant(5)
@pytest.mark.parametrize("content", [b"of the stale one", LARGE], ids=["small", "large"])
async def test_a_stale_owner_spoils_nothing(inspected: InspectedStorage, content: bytes) -> None:
    """An owner that wakes up after its lease has passed on does not land its file over its successor's."""
    stale = await inspected.storage.open(KEY, 7, 0)
    await send(stale, content)
    successor = await inspected.storage.open(KEY, 7, 0)
    await successor.write(b"of the successor")
    await successor.finish()
    with pytest.raises(StorageError):
        await stale.finish()
    await stale.discard()
    assert (inspected.listing(), inspected.unfinished()) == ([KEY], 0)
    assert inspected.read(KEY) == b"of the successor"


async def test_a_small_file(inspected: InspectedStorage) -> None:
    """It lands under its key and nothing else is left; a second one of that name replaces it."""
    for content in (b"first", b"second, longer"):
        landed = await inspected.storage.put("shop/statistics/2026/01/31/7/manifest.json", content)
        assert (landed.size, landed.sha256) == (len(content), sha256(content))
        assert inspected.listing() == ["shop/statistics/2026/01/31/7/manifest.json"]
        assert inspected.read(inspected.listing()[0]) == content


async def test_finding(inspected: InspectedStorage) -> None:
    """The size of a landed file; folders and names in thin air are none."""
    await inspected.storage.put("a/b", b"12345")
    assert await inspected.storage.find("a/b") == 5
    assert await inspected.storage.find("a") is None
    assert await inspected.storage.find("a/c") is None
    assert await inspected.storage.find("a/b/c") is None


@pytest.mark.fault(45)
@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../../etc/passwd",
        "a/../../b",
        "a/..",
        "a/./b",
        "a//b",
        "a/",
        ".partial/1-0.json",
        ".hidden",
        "a/b\0c",
        "a/b\nc",
        "a\\..\\b",
        "a/" + "b" * 256,
        "a/" + "ü" * 200,
        "a/\udcff",
    ],
)
@pytest.mark.parametrize("call", ["open", "put", "find"])
async def test_keys_that_lead_elsewhere(inspected: InspectedStorage, key: str, call: str) -> None:
    """Keys are made safe before they come here; here they are refused once more, in every method."""
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "open": lambda: inspected.storage.open(key, 1, 0),
        "put": lambda: inspected.storage.put(key, b""),
        "find": lambda: inspected.storage.find(key),
    }
    with pytest.raises(StorageError):
        await calls[call]()
    assert inspected.listing() == []


@pytest.mark.fault(45)
@pytest.mark.parametrize(
    "label",
    [
        "../../etc/passwd",
        "",
        "x" * 4096,
        "\udcff\x00\n",
        "manifest.json",
        "ü.csv",
        "..",
        "отчёт.csv",
        "报告 2025.csv",
        "📊.csv",
        "तालिका.csv",
        "a b#c%2Fd+e?f=g&h~i:j@k.csv",
    ],
)
async def test_names_that_a_provider_proposes(inspected: InspectedStorage, label: str) -> None:
    """Whatever a provider calls a file, the key made of it is one that lands where it should."""
    key = f"{folder_of('shop', 'statistics', 1.77e9, 7)}/{file_name(label, 0, 2, 'text/csv', 'statistics')}"
    await inspected.storage.put(key, b"a,b")
    assert inspected.listing() == [key]
    assert inspected.read(key) == b"a,b"


async def test_a_check_leaves_nothing(inspected: InspectedStorage) -> None:
    """A probe that passes is gone afterwards."""
    await inspected.storage.check()
    assert (inspected.listing(), inspected.unfinished()) == ([], 0)


async def test_sweeping_where_nothing_was_begun(inspected: InspectedStorage) -> None:
    """A storage that was never used has nothing to sweep."""
    assert await inspected.storage.sweep(2e9, keep=()) == 0


async def test_a_copy(inspected: InspectedStorage) -> None:
    """It is a file of its own, with a checksum reckoned anew; what becomes of the one does nothing to the other."""
    await inspected.storage.put(KEY, SMALL)
    copied = KEY.replace("/7/", "/8/")
    landed = await inspected.storage.copy(KEY, copied)
    assert (landed.size, landed.sha256) == (len(SMALL), sha256(SMALL))
    inspected.write(KEY, b"something else by now")
    assert inspected.read(copied) == SMALL
    assert inspected.unfinished() == 0


async def test_a_copy_of_nothing(inspected: InspectedStorage) -> None:
    """A file that is not there cannot be copied, and nothing is left of the attempt."""
    with pytest.raises(StorageError, match="Could not"):
        await inspected.storage.copy(KEY, KEY.replace("/7/", "/8/"))
    assert (inspected.listing(), inspected.unfinished()) == ([], 0)


async def test_measuring(inspected: InspectedStorage) -> None:
    """What is there now counts, not what was written: size and checksum are those of every byte."""
    await inspected.storage.put(KEY, SMALL)
    measured = await inspected.storage.measure(KEY)
    assert measured == Landed(len(SMALL), sha256(SMALL))
    await inspected.storage.put(KEY, SMALL[::-1])
    assert await inspected.storage.measure(KEY) == Landed(len(SMALL), sha256(SMALL[::-1]))
    assert await inspected.storage.measure(KEY + ".none") is None
    assert await inspected.storage.measure(KEY + "/none") is None


async def test_listing_and_removing(inspected: InspectedStorage) -> None:
    """The files of one folder only, without what lies beside or below it; what is not there is removed already."""
    folder = KEY.rpartition("/")[0]
    names = ["001-a.csv", "002-b.csv", "manifest.json"]
    for name in names:
        await inspected.storage.put(f"{folder}/{name}", b"x")
    beside = [f"{folder}0/c.csv", f"{folder}/below/d.csv"]
    for key in beside:
        await inspected.storage.put(key, b"x")
    assert list(await inspected.storage.list(folder)) == [f"{folder}/{name}" for name in names]
    for _ in range(2):
        await inspected.storage.remove(f"{folder}/002-b.csv")
    assert list(await inspected.storage.list(folder)) == [f"{folder}/001-a.csv", f"{folder}/manifest.json"]
    assert await inspected.storage.list(f"{folder}/none") == []
    assert set(beside) <= set(inspected.listing())


@pytest.mark.parametrize("call", ["measure", "list", "remove"])
async def test_no_key_leads_out(inspected: InspectedStorage, call: str) -> None:
    """Above the root nothing is looked at and nothing removed."""
    with pytest.raises(StorageError):
        await getattr(inspected.storage, call)("../x")


@pytest.mark.parametrize("content", [b"", SMALL, LARGE], ids=["nothing", "small", "large"])
async def test_a_landing_is_a_context_that_always_ends(inspected: InspectedStorage, content: bytes) -> None:
    """Leaving the block without an end discards the landing, with an error or not; an ended one stays as it was."""
    async with await inspected.storage.open(KEY, 7, 0) as landing:
        await send(landing, content)
    with suppress(ZeroDivisionError):
        async with await inspected.storage.open(KEY, 7, 0) as landing:
            await send(landing, content)
            raise ZeroDivisionError
    assert (inspected.listing(), inspected.unfinished()) == ([], 0)
    async with await inspected.storage.open(KEY, 7, 0) as landing:
        await send(landing, content)
        await landing.finish()
    assert inspected.listing() == [KEY]


async def test_leaving_a_landing_twice_cancelled(inspected: InspectedStorage) -> None:
    """A step that is cancelled while its landing ends leaves nothing open behind."""

    async def step() -> None:
        async with await inspected.storage.open(KEY, 7, 0) as landing:
            await send(landing, SMALL)
            has_begun.set()
            await asyncio.Event().wait()

    has_begun = asyncio.Event()
    task = asyncio.ensure_future(step())
    await has_begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(10):
        while inspected.listing() or inspected.unfinished():  # noqa: ASYNC110  # nobody waits for the end any more
            await asyncio.sleep(0.01)

"""Small files of one step: what each costs, when its name is durable, and that a step that is over lands nothing."""

import asyncio
import errno
import os
import stat
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tests.storage.folders import descriptors, files, read
from tidewaiter.storage.base import ChecksumError, LandingGroup, StorageError, StorageThreads
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.storage.safe_paths import Place
from tidewaiter.storage.step_folder import StepFolder

T = TypeVar("T")

JOB = 7
ETAG = '"v1"'
MIB = 2**20


class Counting:
    """Threads that count what they are given."""

    def __init__(self, threads: StorageThreads) -> None:
        self._threads = threads
        self.hand_offs = 0

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        self.hand_offs += 1
        return self._threads(work)


async def land(group: LandingGroup, number: int, content: bytes = b"content") -> None:
    """One file that comes in one piece."""
    landing = await group.open(f"shop/report/{number}", number)
    await landing.write(content)
    await landing.finish(size=len(content))


def calls_of_the_system(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts syncs and listings of folders from now on."""
    counted: Counter[str] = Counter()

    def counting_calls(name: str, call: Callable[[int], object]) -> None:
        def counted_call(descriptor: int) -> object:
            counted[name] += 1
            return call(descriptor)

        monkeypatch.setattr(os, name, counted_call)

    counting_calls("fsync", os.fsync)
    counting_calls("listdir", os.listdir)
    return counted


async def test_what_a_single_file_costs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hand-offs, one sync for itself and one for its name, and one look for parts of the job."""
    with StorageThreads() as threads:
        counting = Counting(threads)
        storage = LocalStorage(root, counting)
        async with storage.group(JOB, 1) as group:
            await land(group, 0)  # makes the folders
        counting.hand_offs, counted = 0, calls_of_the_system(monkeypatch)
        async with storage.group(JOB + 1, 1) as group:
            await land(group, 1)
    assert (counting.hand_offs, counted) == (2, Counter(fsync=2, listdir=1))


async def test_what_a_small_file_costs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One hand-off and one sync each, one sync of the folder for all of them, and no listing of the parts."""
    counted = calls_of_the_system(monkeypatch)
    with StorageThreads() as threads:
        counting = Counting(threads)
        async with LocalStorage(root, counting).group(JOB, 50) as group:
            await land(group, 0)  # makes the folders
            await group.sync()
            counted.clear()
            counting.hand_offs = 0
            await asyncio.gather(*(land(group, number) for number in range(1, 50)))
            assert (counting.hand_offs, counted) == (49, Counter(fsync=49))
            await group.sync()
            await group.sync()
            assert (counting.hand_offs, counted["fsync"]) == (51, 50)
    assert len(files(root)) == 50
    assert read(root / "shop/report/49") == b"content"


@pytest.mark.fault(16)
async def test_a_step_that_is_over_lands_nothing(storage: LocalStorage, root: Path) -> None:
    """A process that goes on after its lease has neither a small file nor a large one to publish."""
    async with storage.group(JOB, 2) as stale:
        small = await stale.open("shop/report/0", 0)
        await small.write(b"stale")
        growing = await stale.open("shop/report/1", 1)
        large = await stale.open("shop/report/2", 2)
        await large.write(b"s" * MIB)
        async with storage.group(JOB, 2) as group:
            await land(group, 0, b"new")
            for landing in (small, large):
                with pytest.raises(StorageError):
                    await landing.finish()
            with pytest.raises(StorageError):
                await growing.write(b"s" * MIB)
            await land(group, 1, b"new")
    assert [(name, read(root / name)) for name in files(root)] == [
        ("shop/report/0", b"new"),
        ("shop/report/1", b"new"),
    ]


@pytest.mark.parametrize("files_in_step", [1, 2])
async def test_the_next_step_goes_on(storage: LocalStorage, root: Path, files_in_step: int) -> None:
    """From the checkpoint of a large file or a small one, also where its step has not left its folder."""
    before = descriptors()
    for size in (5, 3 * MIB):
        group = storage.group(JOB, 2)
        await group.__aenter__()  # killed: it is never left
        landing = await (await group.__aenter__()).open("shop/report/0", 0, identity="a")
        await landing.write(b"a" * size)
        assert await landing.checkpoint(ETAG)
        async with storage.group(JOB, files_in_step) as following:
            landing = await following.open("shop/report/0", 0, identity="a")
            assert (landing.offset, landing.validator) == (size, ETAG)
            await landing.write(b"b")
            await landing.finish(size=size + 1)
            await following.sync()
        assert read(root / "shop/report/0") == b"a" * size + b"b"
    assert files(root) == ["shop/report/0"]
    assert descriptors() <= before + 4  # of the steps that were killed


async def test_what_was_announced_is_compared(storage: LocalStorage, root: Path) -> None:
    """Before a small file gets its name; nothing of it is left."""
    async with storage.group(JOB, 2) as group:
        landing = await group.open("shop/report/0", 0, md5=True)
        await landing.write(b"content")
        with pytest.raises(ChecksumError):
            await landing.finish(md5="0" * 32)
        await landing.discard()
    assert files(root) == []


async def test_nothing_is_left_in_the_end(storage: LocalStorage, root: Path) -> None:
    """Not of a file that was given up, nor of a job whose parts are dropped, nor of a step that was killed long ago."""
    before = descriptors()
    async with storage.group(JOB, 2) as group:
        landing = await group.open("shop/report/0", 0)
        await landing.write(b"s" * MIB)
        await landing.discard()
    assert (files(root), descriptors()) == ([], before)
    killed = await storage.group(JOB, 2).__aenter__()
    landing = await killed.open("shop/report/0", 0)
    await landing.write(b"s" * MIB)
    await landing.write(b"s")
    assert await storage.sweep(0.0, keep=()) == 0
    assert await storage.sweep(2e12, keep=(JOB,)) == 0
    assert await storage.sweep(2e12, keep=()) == 1
    assert list((root / ".partial").iterdir()) == []
    await storage.group(JOB, 2).__aenter__()
    await storage.drop_partials(JOB)
    assert list((root / ".partial").iterdir()) == []


def test_a_sync_that_fails_is_done_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the next one, also by one that came meanwhile: it must not say of a name that it is durable."""
    real, synced, second = os.fsync, Counter[str](), [threading.Thread()]
    folder = StepFolder(root, JOB)
    folder.land(Place.of(root, "shop/report/0"), [b"content"], sha256=None, size=None, md5=None)

    def fsync(descriptor: int) -> None:
        synced["calls"] += 1
        if synced["calls"] == 1:
            second[0] = threading.Thread(target=folder.sync)
            second[0].start()
            raise OSError(errno.EIO, "the disk fails")
        real(descriptor)
        synced["done"] += 1

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="the disk fails"):
        folder.sync()
    second[0].join()
    assert synced["done"] == 1
    folder.end()


async def test_a_step_ends_after_its_landings(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread may still land a file that nobody waits for: its descriptors must not become those of other files."""
    real, goes_on, begun, loop = os.fsync, threading.Event(), asyncio.Event(), asyncio.get_running_loop()

    def fsync(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            loop.call_soon_threadsafe(begun.set)
            goes_on.wait(30)
        real(descriptor)

    before = descriptors()
    with StorageThreads() as threads:
        group = await LocalStorage(root, threads).group(JOB, 2).__aenter__()
        landing = await group.open("shop/report/0", 0)
        await landing.write(b"content")
        monkeypatch.setattr(os, "fsync", fsync)
        finishing = asyncio.create_task(landing.finish())
        await begun.wait()
        finishing.cancel()
        leaving = asyncio.create_task(group.__aexit__(None, None, None))
        done, _ = await asyncio.wait([leaving], timeout=0.1)
        goes_on.set()
        await leaving
    assert done == set()
    assert (files(root), descriptors()) == (["shop/report/0"], before)

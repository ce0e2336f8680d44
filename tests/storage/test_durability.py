"""When data is durable: the order of syncs and renames, a killed process, a cancelled task, a slow disk."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest

from tests.storage.folders import descriptors, files, only, read
from tidewaiter.storage.base import StorageError, StorageThreads
from tidewaiter.storage.folder import LocalStorage

T = TypeVar("T")

KEY = "shop/statistics/7/result.csv"
MIB = 2**20
ETAG = '"5a1c"'


# --- the order of things --------------------------------------------------------------------------------------------


@pytest.fixture
def steps(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to the file system, in order: every sync, rename, removal and new folder, by what it is done to."""
    done: list[str] = []
    sync, rename, unlink, mkdir = os.fsync, os.replace, os.unlink, os.mkdir

    def name(path: object, folder: int | None = None) -> str:
        whole = str(path) if folder is None else f"{Path(f'/proc/self/fd/{folder}').readlink()}/{path}"
        below = os.path.relpath(whole, root)
        return below.rpartition(".")[2] if below.startswith(".partial/") else below

    def recorded_sync(descriptor: int) -> None:
        sync(descriptor)
        done.append(f"sync {name(Path(f'/proc/self/fd/{descriptor}').readlink())}")

    def recorded_rename(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        done.append(f"rename {name(source, src_dir_fd)} to {name(target, dst_dir_fd)}")

    def recorded_unlink(path: str, *, dir_fd: int) -> None:
        unlink(path, dir_fd=dir_fd)
        done.append(f"remove {name(path, dir_fd)}")

    def recorded_mkdir(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        mkdir(path, mode, dir_fd=dir_fd)
        done.append(f"make {name(path, dir_fd)}")

    monkeypatch.setattr(os, "fsync", recorded_sync)
    monkeypatch.setattr(os, "replace", recorded_rename)
    monkeypatch.setattr(os, "unlink", recorded_unlink)
    monkeypatch.setattr(os, "mkdir", recorded_mkdir)
    return done


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="descriptors are named only on Linux")


@pytest.mark.invariant(6)
@needs_proc
async def test_the_order_of_a_landing(storage: LocalStorage, steps: list[str]) -> None:
    """Content, then each new folder in its parent, then the name, then the folder that holds it."""
    landing = await storage.open("a/b/f", 7, 0)
    await landing.write(b"content")
    steps.clear()
    await landing.finish()
    assert steps == ["sync part", "make a", "sync .", "make a/b", "sync a", "rename part to a/b/f", "sync a/b"]
    steps.clear()
    await storage.put("a/b/manifest.json", b"{}")
    assert steps == ["sync tmp", "rename tmp to a/b/manifest.json", "sync a/b"]


@needs_proc
async def test_the_order_of_a_checkpoint(storage: LocalStorage, steps: list[str]) -> None:
    """The bytes are durable before anything says so."""
    landing = await storage.open(KEY, 7, 0)
    await landing.write(b"content")
    steps.clear()
    await landing.checkpoint(ETAG)
    assert steps == ["sync part", "sync tmp", "rename tmp to json", "sync .partial"]


@needs_proc
async def test_the_order_of_a_copy_and_of_a_removal(storage: LocalStorage, steps: list[str]) -> None:
    """A copy is durable before it has its name, and what is removed stays removed."""
    await storage.put("a/f", b"content")
    steps.clear()
    await storage.copy("a/f", "a/g")
    assert steps == ["sync tmp", "rename tmp to a/g", "sync a"]
    steps.clear()
    await storage.remove("a/g")
    assert steps == ["remove a/g", "sync a"]


async def test_a_file_that_cannot_get_its_name(
    storage: LocalStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is there: neither under its name nor among the unfinished files."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StorageError):
        await storage.put("a/f", b"content")
    assert files(root) == []


# --- killed ---------------------------------------------------------------------------------------------------------

DOWNLOAD = """
import asyncio, sys
from pathlib import Path
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.storage.base import StorageThreads

async def main():
    with StorageThreads() as threads:
        landing = await LocalStorage(Path(sys.argv[1]), threads).open(sys.argv[2], 7, 0)
        print(landing.offset, flush=True)
        for _ in range(8):
            await landing.write(bytes(2**20))
        print("written", flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


def killed_while_downloading(root: Path) -> str:
    """Let a process begin a download, kill it amid, and tell where it began."""
    process = subprocess.Popen([sys.executable, "-c", DOWNLOAD, str(root), KEY], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout as output:
        began = output.readline().strip()
        assert output.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
    return began


@pytest.mark.fault(3)
async def test_killed_in_a_download(root: Path) -> None:
    """Nothing is half-published, what is left is not trusted, and the next try lands the file whole."""
    assert killed_while_downloading(root) == "0"
    assert [name for name in files(root) if not name.endswith(".part")] == []
    with StorageThreads() as threads:
        storage = LocalStorage(root, threads)
        landing = await storage.open(KEY, 7, 0)
        assert landing.offset == 0
        await landing.write(b"whole")
        await landing.finish()
    assert files(root) == [KEY]
    assert read(root / KEY) == b"whole"


@pytest.mark.fault(3)
async def test_killed_after_a_checkpoint(root: Path) -> None:
    """A process that goes on from a checkpoint and is killed leaves what the checkpoint named, and nothing more."""
    with StorageThreads() as threads:
        storage = LocalStorage(root, threads)
        landing = await storage.open(KEY, 7, 0)
        await landing.write(b"beginning")
        await landing.checkpoint(ETAG)
        assert killed_while_downloading(root) == "9"
        again = await storage.open(KEY, 7, 0)
        assert again.offset == 9
        await again.finish()
    assert read(root / KEY) == b"beginning"


# --- cut off --------------------------------------------------------------------------------------------------------


class Gate:
    """A thread that does nothing while the gate is shut: a disk that takes its time.

    ``most`` is how many calls were on their way at a time.
    """

    def __init__(self, thread: StorageThreads) -> None:
        self._thread = thread
        self._gate = threading.Event()
        self._gate.set()
        self._calls = 0
        self.most = 0

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Do the work when the gate is open."""
        self._calls += 1
        self.most = max(self.most, self._calls)

        def gated() -> T:
            try:
                assert self._gate.wait(30)
                return work()
            finally:
                self._calls -= 1

        return self._thread(gated)

    def shut(self) -> None:
        """From now on nothing is done."""
        self._gate.clear()

    def open(self) -> None:
        """Do what waits."""
        self._gate.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate before one real thread, open in the beginning and in the end."""
    with StorageThreads(1) as thread:
        gate = Gate(thread)
        yield gate
        gate.open()


async def turns() -> None:
    """Let everything happen that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def cut_off(work: asyncio.Task[object]) -> None:
    """Cancel a task that waits for the disk."""
    await turns()
    assert not work.done()
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


async def test_a_slow_disk_holds_up_the_network(root: Path, gate: Gate) -> None:
    """One block is being written while the next fills up; the one after that waits, and so memory stays bounded."""
    landing = await LocalStorage(root, gate).open(KEY, 7, 0)
    gate.shut()
    await landing.write(bytes(MIB))
    await landing.write(bytes(MIB - 1))
    third = asyncio.ensure_future(landing.write(bytes(1)))
    await turns()
    assert not third.done()
    gate.open()
    await third
    await landing.finish(size=2 * MIB)
    assert gate.most == 1


async def test_cut_off_amid_a_write(root: Path, gate: Gate) -> None:
    """What was handed over and what was not yet are both kept: a drain loses nothing that has arrived."""
    storage = LocalStorage(root, gate)
    landing = await storage.open(KEY, 7, 0)
    gate.shut()
    await landing.write(b"a" * MIB)
    await cut_off(asyncio.ensure_future(landing.write(b"b" * MIB)))
    gate.open()
    await landing.checkpoint(ETAG)
    landing = await storage.open(KEY, 7, 0)
    assert landing.offset == 2 * MIB
    await landing.finish()
    assert read(root / KEY) == b"a" * MIB + b"b" * MIB


@pytest.mark.fault(4)
@pytest.mark.parametrize("ending", ["checkpoint", "discard"])
async def test_cut_off_while_landing(root: Path, gate: Gate, ending: str) -> None:
    """A file that is being landed when its task is cancelled has landed, and cleaning up does not undo it."""
    before = descriptors()
    landing = await LocalStorage(root, gate).open(KEY, 7, 0)
    gate.shut()
    await cut_off(asyncio.ensure_future(landing.finish()))
    gate.open()
    await (landing.checkpoint(ETAG) if ending == "checkpoint" else landing.discard())
    assert files(root) == [KEY]
    assert descriptors() <= before + 1


@pytest.mark.invariant(12)
async def test_cut_off_while_opening(root: Path, gate: Gate) -> None:
    """A file that was opened for nobody is closed and removed."""
    storage = LocalStorage(root, gate)
    await storage.check()
    before = descriptors()
    gate.shut()
    await cut_off(asyncio.ensure_future(storage.open(KEY, 7, 0)))
    gate.open()
    await storage.check()  # one thread does one thing after the other
    await turns()
    assert files(root) == []
    assert descriptors() == before


async def test_two_files_of_a_new_folder(root: Path) -> None:
    """Landings of one job that make the same folders at once do not get in each other's way."""
    with StorageThreads() as threads:
        storage = LocalStorage(root, threads)

        async def land(number: int) -> None:
            landing = await storage.open(f"a/b/c/{number}", 7, number)
            await landing.write(b"x")
            await landing.finish()

        await asyncio.gather(*(land(number) for number in range(20)))
    assert len(files(root)) == 20


async def test_a_part_is_there_before_its_bytes(storage: LocalStorage, root: Path) -> None:
    """Unfinished files lie on the same file system as finished ones, where a rename is one step."""
    landing = await storage.open(KEY, 7, 0)
    assert only(root, ".partial/7-0-*.part").parent.parent == root
    await landing.discard()

"""A full storage: recognized, nothing left behind, and work goes on when there is space again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.storage.folders import descriptors, files, only
from tidewaiter.storage.base import Landing, StorageFullError
from tidewaiter.storage.folder import LocalStorage

KEY = "shop/statistics/7/result.csv"
ETAG = '"5a1c"'
REPOSITORY = Path(__file__).parents[2]

no_full_device = pytest.mark.skipif(sys.platform != "linux", reason="the device that is always full is Linux's")


def fill_up(part: Path) -> None:
    """Make the descriptor of a part lead to the device that is always full: the next write truly finds no room."""
    (number,) = [int(one.name) for one in Path("/proc/self/fd").iterdir() if one.exists() and one.samefile(part)]
    full = os.open("/dev/full", os.O_RDWR)
    os.dup2(full, number)
    os.close(full)


async def until_noticed(landing: Landing, by: str) -> None:
    """Write until a write, the finish or the checkpoint notices."""
    match by:
        case "write":
            for _ in range(3):
                await landing.write(bytes(2**20))
        case "finish":
            await landing.write(b"a few bytes")
            await landing.finish()
        case _:
            await landing.write(b"a few bytes")
            await landing.checkpoint(ETAG)


@pytest.mark.fault(43)
@no_full_device
@pytest.mark.parametrize("noticed_by", ["write", "finish", "checkpoint"])
async def test_no_room_for_a_download(storage: LocalStorage, root: Path, noticed_by: str) -> None:
    """The temporary file is removed, its descriptor closed, and the reason told; ending again is harmless."""
    before = descriptors()
    landing = await storage.open(KEY, 7, 0)
    fill_up(only(root, ".partial/*.part"))
    with pytest.raises(StorageFullError, match=f"^The storage is full: could not write {KEY} "):
        await until_noticed(landing, noticed_by)
    assert files(root) == []
    assert descriptors() == before
    await landing.checkpoint(ETAG)
    await landing.discard()
    assert files(root) == []


@no_full_device
async def test_no_room_and_nobody_asks(storage: LocalStorage, root: Path) -> None:
    """A download that is given up anyway does not care that its last block found no room."""
    landing = await storage.open(KEY, 7, 0)
    fill_up(only(root, ".partial/*.part"))
    await landing.write(bytes(2**20))
    await landing.discard()
    assert files(root) == []


SCRIPT = """
import asyncio, sys
from pathlib import Path
from tidewaiter.storage.base import StorageFullError
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.storage.base import StorageThreads
from tests.storage.folders import files

async def refused(work):
    try:
        await work
    except StorageFullError:
        return
    raise AssertionError("there was room")

async def download(storage, size):
    landing = await storage.open("a/download", 1, 0)
    for _ in range(size):
        await landing.write(bytes(2**20))
    await landing.finish(size=size * 2**20)

async def main(root):
    with StorageThreads() as threads:
        storage = LocalStorage(root, threads)
        await storage.check()
        await refused(download(storage, 8))
        await refused(storage.put("a/manifest.json", bytes(8 * 2**20)))
        assert files(root) == [], files(root)
        (root / "ballast").write_bytes(bytes(4 * 2**20 - 2**15))
        await refused(storage.check())
        await refused(storage.put("a/manifest.json", bytes(2**16)))
        assert files(root) == ["ballast"], files(root)
        (root / "ballast").unlink()
        await storage.check()
        await download(storage, 3)
        assert files(root) == ["a/download"], files(root)

asyncio.run(main(Path(sys.argv[1])))
"""


# The system calls that write, on a disk that is as small: what does not fit is not written, and the next write fails.
LIMITED = """
import errno, os, sys
from pathlib import Path

def room():
    return 4 * 2**20 - sum(path.stat().st_size for path in Path(sys.argv[1]).rglob("*") if path.is_file())

def limited(write, size, cut):
    def written(descriptor, content):
        left = room()
        if size(content) and left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, content) if size(content) <= left else os_write(descriptor, cut(content)[:left])
    return written

os_write = os.write
os.writev = limited(os.writev, lambda pieces: sum(map(len, pieces)), lambda pieces: b"".join(pieces))
os.write = limited(os_write, len, bytes)
"""


@pytest.mark.fault(43)
def test_a_limited_disk(tmp_path: Path) -> None:
    """Where four mebibytes can be written and no more: full, told, cleaned up, and working once there is room."""
    run = subprocess.run(
        [sys.executable, "-c", LIMITED + SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.fault(43)
def test_a_small_disk(tmp_path: Path) -> None:
    """The same on a real file system of that size."""
    mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mounted = f"mount -t tmpfs -o size=4m tmpfs '{tmp_path}'"
    if not _works([*mount, mounted]):
        pytest.skip("nobody may mount a file system here; that a full disk is survived, the limited one shows anywhere")
    run = subprocess.run(
        [*mount, f"{mounted} && exec '{sys.executable}' -c \"$SCRIPT\" '{tmp_path}'"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "SCRIPT": SCRIPT},
        check=False,
    )
    assert run.returncode == 0, run.stderr


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.fault(14)
def test_a_file_larger_than_allowed(tmp_path: Path) -> None:
    """A limit on the size of files cuts a write short: that is an error, but no full storage, and no short file."""
    limited = """
import asyncio, resource, sys
from pathlib import Path
from tidewaiter.storage.base import StorageError, StorageFullError
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.storage.base import StorageThreads
from tests.storage.folders import files

async def main(root):
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * 2**19, 3 * 2**19))
    with StorageThreads() as threads:
        landing = await LocalStorage(root, threads).open("a/download", 1, 0)
        try:
            for _ in range(4):
                await landing.write(bytes(2**20))
        except StorageFullError:
            raise
        except StorageError as error:
            print(error)
        assert files(root) == [], files(root)

asyncio.run(main(Path(sys.argv[1])))
"""
    run = subprocess.run(
        [sys.executable, "-c", limited, str(tmp_path)], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "Could not write a/download: File too large.\n"

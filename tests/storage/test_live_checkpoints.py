"""Checkpoints that a download writes on its way: they survive a kill, and an owner that lives cannot spoil them."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.storage.folders import files, only, read
from tidewaiter.storage import partial_files
from tidewaiter.storage.base import Landing, StorageError, StorageThreads
from tidewaiter.storage.folder import LocalStorage

KEY = "shop/report/7/result.csv"
ETAG = '"5a1c"'
MIB = 2**20

DOWNLOAD = """
import asyncio, sys
from pathlib import Path
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.storage.base import StorageThreads

async def main():
    with StorageThreads() as threads:
        async with LocalStorage(Path(sys.argv[1]), threads).group(7, 2) as group:
            landing = await group.open(sys.argv[2], 0, identity="a")
            if landing.offset == 0:
                landing.comes_from(sys.argv[3] or None, None)
            for number in range(landing.offset // 2**20, int(sys.argv[4])):
                await landing.write(bytes([number]) * 2**20)
            await landing.write(b"")
            print(landing.offset, flush=True)
            await asyncio.sleep(3600)

asyncio.run(main())
"""


def killed(root: Path, etag: str, mib: int) -> int:
    """Let a process download so much, kill it, and tell where it began."""
    command = [sys.executable, "-c", DOWNLOAD, str(root), KEY, etag, str(mib)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        began = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    return began


async def write(landing: Landing, letter: bytes, mib: int) -> None:
    """Write so much; all of it but the last MiB is in the part then."""
    for _ in range(mib):
        await landing.write(letter * MIB)


@pytest.mark.fault(3)
@pytest.mark.slow
async def test_a_kill_goes_on_from_the_last_64_mib(root: Path) -> None:
    """Twice, and the file has the right bytes in the end."""
    assert killed(root, ETAG, 71) == 0
    assert killed(root, ETAG, 135) == 64 * MIB
    with StorageThreads() as threads:
        landing = await LocalStorage(root, threads).open(KEY, 7, 0, identity="a")
        assert (landing.offset, landing.validator) == (128 * MIB, ETAG)
        for number in range(128, 140):
            await landing.write(bytes([number]) * MIB)
        await landing.finish(size=140 * MIB)
    assert files(root) == [KEY]
    with (root / KEY).open("rb") as file:
        assert all(file.read(MIB) == bytes([number]) * MIB for number in range(140))


@pytest.mark.slow
async def test_a_kill_without_a_strong_etag_starts_over(root: Path) -> None:
    """Nobody could tell whether the rest belongs to what was kept."""
    assert killed(root, "", 71) == 0
    assert killed(root, "", 1) == 0


async def test_what_is_kept_on_the_way(root: Path, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a strong ETag names; and nothing after the file has landed, was restarted, or was given up."""
    monkeypatch.setattr(partial_files, "CHECKPOINT_BYTES", 2 * MIB)
    for etag in (None, 'W/"5a1c"', ETAG):
        for ending in ("finish", "restart", "discard"):
            landing = await storage.open(KEY, 7, 0)
            landing.comes_from(etag, 9 * MIB)
            for _ in range(5):
                await landing.write(b"a" * MIB)
            await landing.write(b"a")  # the blocks before it have been written
            saved = [json.loads(read(root / name)) for name in files(root) if name.endswith(".json")]
            assert [(one["offset"], one["validator"], one["total"]) for one in saved] == (
                [(4 * MIB, ETAG, 9 * MIB)] if etag == ETAG else []
            )
            await (landing.finish() if ending == "finish" else landing.restart())
            assert [name for name in files(root) if name.endswith(".json")] == []
            await landing.discard()
            await storage.remove(KEY)
            assert files(root) == []


@pytest.mark.parametrize("files_in_step", [1, 2])
async def test_a_kill_soon_after_a_restart_loses_nothing(storage: LocalStorage, files_in_step: int) -> None:
    """What an orderly end has kept stays kept when the next download is killed before it has come further."""
    landing = await storage.open(KEY, 7, 0, identity="a")
    await landing.write(b"a" * 3 * MIB)
    assert await landing.checkpoint(ETAG)
    for _ in range(3):  # killed: none of them is left
        group = await storage.group(7, files_in_step).__aenter__()
        again = await group.open(KEY, 0, identity="a")
        assert (again.offset, again.validator) == (3 * MIB, ETAG)
        await again.write(b"b")


@pytest.mark.fault(16)
async def test_an_owner_that_lives_spoils_nothing(
    root: Path, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stopped and goes on after its lease: what it writes is in no file of its successor."""
    monkeypatch.setattr(partial_files, "CHECKPOINT_BYTES", 2 * MIB)
    async with storage.group(7, 2) as stale:
        former = await stale.open(KEY, 0, identity="a")
        former.comes_from(ETAG, None)
        for _ in range(3):
            await former.write(b"a" * MIB)
        await former.write(b"")
        async with storage.group(7, 2) as group:
            landing = await group.open(KEY, 0, identity="a")
            assert (landing.offset, landing.validator) == (2 * MIB, ETAG)
            with pytest.raises(StorageError):
                await write(former, b"x", 3)
            assert ".partial/7-0.json" in files(root)
            await landing.write(b"b")
            await landing.finish(size=2 * MIB + 1)
    assert read(root / KEY) == b"a" * 2 * MIB + b"b"
    assert files(root) == [KEY]


async def test_a_checkpoint_whose_bytes_have_changed_is_not_used(
    root: Path, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is compared with the checksum."""
    monkeypatch.setattr(partial_files, "CHECKPOINT_BYTES", 2 * MIB)
    landing = await storage.open(KEY, 7, 0)
    landing.comes_from(ETAG, None)
    for _ in range(3):
        await landing.write(b"a" * MIB)
    await landing.write(b"")
    with only(root, ".partial/7-0-*.part").open("r+b") as part:
        part.write(b"x")
    again = await storage.open(KEY, 7, 0)
    assert again.offset == 0
    await again.discard()
    await landing.discard()
    assert files(root) == []

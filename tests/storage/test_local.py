"""Keys, small files, and the housekeeping of a storage."""

import hashlib
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from app.domain.manifest import file_name, folder_of
from app.storage.base import StorageError
from app.storage.local import LocalStorage
from tests.storage.folders import files, write

T = TypeVar("T")


async def test_a_small_file(storage: LocalStorage, root: Path) -> None:
    """It lands under its key and nothing else is left; a second one of that name replaces it."""
    for content in (b"first", b"second, longer"):
        landed = await storage.put("shop/statistics/2026/01/31/7/manifest.json", content)
        assert (landed.size, landed.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert files(root) == ["shop/statistics/2026/01/31/7/manifest.json"]
        assert (root / files(root)[0]).read_bytes() == content


async def test_modes(storage: LocalStorage, root: Path) -> None:
    """Files are for the owner and the group, less the umask; nobody else may look."""
    before = os.umask(0o022)
    try:
        await storage.put("a/b", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((root / "a/b").stat().st_mode) == 0o640
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o750


async def test_finding(storage: LocalStorage, root: Path) -> None:
    """The size of a landed file; folders and names in thin air are none."""
    await storage.put("a/b", b"12345")
    assert await storage.find("a/b") == 5
    assert await storage.find("a") is None
    assert await storage.find("a/c") is None
    assert await storage.find("a/b/c") is None


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
async def test_keys_that_lead_elsewhere(storage: LocalStorage, root: Path, key: str, call: str) -> None:
    """Keys are made safe before they come here; here they are refused once more, in every method (fault 45)."""
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "open": lambda: storage.open(key, 1, 0),
        "put": lambda: storage.put(key, b""),
        "find": lambda: storage.find(key),
    }
    with pytest.raises(StorageError):
        await calls[call]()
    assert files(root) == []


@pytest.mark.parametrize("label", ["../../etc/passwd", "", "x" * 4096, "\udcff\x00\n", "manifest.json", "ü.csv", ".."])
async def test_names_that_a_provider_proposes(storage: LocalStorage, root: Path, label: str) -> None:
    """Whatever a provider calls a file, the key made of it is one that lands below the root (fault 45)."""
    key = f"{folder_of('shop', 'statistics', 1.77e9, 7)}/{file_name(label, 0, 2, 'text/csv', 'statistics')}"
    await storage.put(key, b"a,b")
    assert files(root) == [key]


async def test_a_check_leaves_nothing(storage: LocalStorage, root: Path) -> None:
    """A probe that passes is gone afterwards."""
    await storage.check()
    assert files(root) == []


async def test_a_root_that_is_a_file(storage: LocalStorage, root: Path) -> None:
    """What the file system refuses is told in words, with its reason."""
    write(root, b"")
    for call in (storage.check(), storage.put("a/b", b""), storage.open("a/b", 1, 0)):
        with pytest.raises(StorageError, match=r"^Could not .*(Not a directory|File exists)"):
            await call


async def test_dropping_a_jobs_partials(storage: LocalStorage, root: Path) -> None:
    """All of one job's unfinished files go, with their checkpoints, and nobody else's."""
    for job_id, number in ((1, 0), (1, 1), (11, 0)):
        landing = await storage.open(f"a/{job_id}-{number}", job_id, number)
        await landing.write(b"beginning")
        await landing.checkpoint('"etag"')
    assert len(files(root)) == 6
    await storage.drop_partials(1)
    assert [name.partition("-")[0] for name in files(root)] == [".partial/11"] * 2
    assert (await storage.open("a/11-0", 11, 0)).offset == 9


async def test_dropping_where_nothing_was_begun(storage: LocalStorage) -> None:
    """A storage that was never used has nothing to drop or to sweep."""
    await storage.drop_partials(1)
    assert await storage.sweep(2e9, keep=()) == 0


async def test_sweeping(storage: LocalStorage, root: Path) -> None:
    """Old leftovers of jobs that nobody works on go; young ones, live jobs', and foreign files stay (fault 44)."""
    for job_id in (1, 2, 3):
        landing = await storage.open(f"a/{job_id}", job_id, 0)
        await landing.write(b"beginning")
        await landing.checkpoint('"etag"')
    partial = root / ".partial"
    (partial / "put-0123456789abcdef.tmp").write_bytes(b"left by a crash")
    (partial / "1-0-0123456789abcdef.tmp").write_bytes(b"left by a crash")
    (partial / "README").write_bytes(b"somebody else's")
    for path in partial.iterdir():
        os.utime(path, (1000.0, 2000.0 if path.name.startswith("3-") else 1000.0))
    assert await storage.sweep(1500.0, keep={2}) == 4
    assert {path.name.partition("-")[0] for path in partial.iterdir()} == {"2", "3", "README"}
    assert await storage.sweep(1500.0, keep={2}) == 0

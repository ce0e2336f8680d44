"""Keys, small files, and the housekeeping of a storage."""

import os
import stat
from pathlib import Path
from typing import TypeVar

import pytest

from app.storage.base import StorageError, StorageUnavailableError
from app.storage.local import LocalStorage
from tests.storage.folders import files, write

T = TypeVar("T")


async def test_modes(storage: LocalStorage, root: Path) -> None:
    """Files are for the owner and the group, less the umask; nobody else may look."""
    before = os.umask(0o022)
    try:
        await storage.put("a/b", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((root / "a/b").stat().st_mode) == 0o640
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o750


async def test_a_root_that_is_a_file(storage: LocalStorage, root: Path) -> None:
    """What the file system refuses is told in words, with its reason, and as the fault of no single job."""
    write(root, b"")
    for call in (storage.check(), storage.put("a/b", b""), storage.open("a/b", 1, 0)):
        with pytest.raises(StorageUnavailableError, match=r"^Could not .*(Not a directory|File exists)"):
            await call


async def test_a_key_that_cannot_be_written(storage: LocalStorage, root: Path) -> None:
    """Where the storage works and one file does not, it is the fault of that file."""
    write(root / "a", b"a file where a folder should be")
    with pytest.raises(StorageError, match=r"^Could not write a/b: ") as caught:
        await storage.put("a/b", b"")
    assert not isinstance(caught.value, StorageUnavailableError)


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

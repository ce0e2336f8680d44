"""Keys, small files, and the cleanup of a storage."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.storage.folders import files, only, write
from tidewaiter.storage.base import StorageError, StorageUnavailableError
from tidewaiter.storage.folder import LocalStorage

T = TypeVar("T")


@pytest.fixture(params=[0, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """A umask of this process, for one test."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
async def test_modes_of_landed_files(storage: LocalStorage, root: Path) -> None:
    """Files are for the owner and the group, whatever the umask, and however they landed; nobody else may look."""
    landing = await storage.open("a/b/landed", 7, 0)
    await landing.write(b"content")
    await landing.finish()
    await storage.put("a/b/put", b"")
    await storage.copy("a/b/put", "a/b/copied")
    assert {name: _mode(root / name) for name in ("a/b/landed", "a/b/put", "a/b/copied")} == {
        "a/b/landed": 0o640, "a/b/put": 0o640, "a/b/copied": 0o640
    }  # fmt: skip
    assert [_mode(folder) for folder in (root, root / "a", root / "a/b")] == [0o750] * 3


@pytest.mark.usefixtures("umask")
async def test_modes_of_unfinished_files(storage: LocalStorage, root: Path) -> None:
    """What has not landed is for the owner alone, whatever the umask, and so is its folder."""
    landing = await storage.open("a/b", 7, 0)
    await landing.write(b"content")
    assert [_mode(path) for path in (root / ".partial").iterdir()] == [0o600]
    await landing.checkpoint('"etag"')
    assert [_mode(path) for path in (root / ".partial").iterdir()] == [0o600] * 2
    assert _mode(root / ".partial") == 0o700


async def test_modes_of_an_earlier_version(storage: LocalStorage, root: Path) -> None:
    """The folder of unfinished files, and a part to go on with, lose what others were permitted."""
    landing = await storage.open("a/b", 7, 0)
    await landing.write(b"content")
    await landing.checkpoint('"etag"')
    (root / ".partial").chmod(0o755)
    only(root, ".partial/*.part").chmod(0o644)
    assert (await storage.open("a/b", 7, 0)).offset == 7
    assert _mode(root / ".partial") == 0o700
    assert _mode(only(root, ".partial/*.part")) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder to a group that it is not in")
@pytest.mark.usefixtures("umask")
async def test_the_group_of_a_volume(storage: LocalStorage, root: Path) -> None:
    """A root whose new files belong to its group (setgid: fsGroup in Kubernetes) hands that on to every folder."""
    os.mkdir(root)  # noqa: PTH102  # a coroutine may not use a Path for it
    os.chown(root, -1, 12345)
    os.chmod(root, 0o2770)  # noqa: PTH101, S103  # the same; a volume of Kubernetes looks so
    await storage.put("a/b/c", b"")
    assert [_mode(root / name) for name in ("a", "a/b", "a/b/c", ".partial")] == [0o2750, 0o2750, 0o640, 0o2700]
    assert {(root / name).stat().st_gid for name in ("a", "a/b", "a/b/c", ".partial")} == {12345}
    assert _mode(root) == 0o2770


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


@pytest.mark.fault(44)
async def test_sweeping(storage: LocalStorage, root: Path) -> None:
    """Old leftovers of jobs that nobody works on go; young ones, live jobs', and foreign files stay."""
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

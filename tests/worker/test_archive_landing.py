"""Landing the members of an archive: interrupted, without the lease, and with a storage that fails."""

import asyncio
import io
import zipfile
from pathlib import Path

import pytest

from tests.support import s3
from tidewaiter.clock import SystemClock
from tidewaiter.domain import outcome as o
from tidewaiter.domain.manifest import Artifact
from tidewaiter.storage.base import Storage, StorageFullError, StorageThreads
from tidewaiter.storage.bucket import Bucket, connect
from tidewaiter.storage.bucket_storage import ObjectStorage
from tidewaiter.storage.folder import LocalLanding, LocalStorage
from tidewaiter.worker.archive_landing import ArchiveLanding, PackedArchive
from tidewaiter.worker.archive_reading import ArchiveLimits, Member

LIMITS = ArchiveLimits(10, 10_000_000)


class ReluctantStorage(LocalStorage):
    """A storage that stops, or has no space, when the second member is opened."""

    opened = 0
    fails = False

    def __init__(self, root: Path, run: StorageThreads) -> None:
        super().__init__(root, run)
        self.waits = asyncio.Event()

    async def open(self, key: str, job_id: int, number: int, *, md5: bool = False, identity: str = "") -> LocalLanding:
        self.opened += 1
        if self.opened == 2 and self.fails:
            raise StorageFullError("There is no space.")
        if self.opened == 2:
            self.waits.set()
            await asyncio.Event().wait()
        return await super().open(key, job_id, number, md5=md5, identity=identity)


def place_of(member: Member, place: int, _: int) -> tuple[int, str]:
    """A number and a key."""
    return place, f"job/{place}-{member.path}"


async def packed_in(storage: Storage, *contents: bytes) -> PackedArchive:
    """An archive that has been downloaded."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.csv", content)
    landed = await storage.put("job/_archive-0", data.getvalue())
    return PackedArchive("zip", "job/_archive-0", "export.zip", "f" * 64, landed)


async def land(storage: Storage, archive: PackedArchive, *, held: bool = True) -> list[Artifact] | o.Outcome:
    """Land its members."""
    unpacking = ArchiveLanding(storage, SystemClock(), str)
    return await unpacking.land(7, archive, LIMITS, place_of, media_type="text/csv", may_remove=lambda: held)


@pytest.mark.parametrize("held", [True, False])
async def test_a_step_that_is_stopped_leaves_no_member(tmp_path: Path, held: bool) -> None:
    """Nothing is left of it, unless another daemon may have the lane by now."""
    with StorageThreads() as threads:
        storage = ReluctantStorage(tmp_path, threads)
        archive = await packed_in(storage, b"1", b"2")
        task = asyncio.create_task(land(storage, archive, held=held))
        await storage.waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        left = [] if held else ["job/0-0.csv", "job/_archive-0"]
        assert sorted(await storage.list("job")) == left


async def test_a_storage_without_space_is_not_the_fault_of_the_job(tmp_path: Path) -> None:
    """The members that had landed are removed."""
    with StorageThreads() as threads:
        storage = ReluctantStorage(tmp_path, threads)
        storage.fails = True
        assert await land(storage, await packed_in(storage, b"1", b"2")) == o.StorageFull("There is no space.")
        assert await storage.list("job") == []


async def test_a_large_archive_is_read_in_ranges(tmp_path: Path) -> None:
    """The thread asks the event loop for what it needs, many times."""
    contents = [bytes(range(256)) * 9000, b"2" * 3_000_000]
    with StorageThreads() as threads:
        storage = LocalStorage(tmp_path, threads)
        landed = await land(storage, await packed_in(storage, *contents))
        assert isinstance(landed, list)
        assert [(tmp_path / one.key).read_bytes() for one in landed] == contents
        assert await storage.list("job") == [one.key for one in landed]


@pytest.mark.slow
async def test_an_archive_in_a_bucket_is_unpacked_without_a_local_copy(bucket: s3.Bucket) -> None:
    """Ranges of the object are read, and its members are objects."""
    contents = [bytes(range(256)) * 20_000, b"2" * 3_000_000, b""]
    with StorageThreads() as threads:
        storage = ObjectStorage(Bucket(connect(f"s3://{bucket.name}/in", bucket.server.options)), threads)
        landed = await land(storage, await packed_in(storage, *contents))
        assert isinstance(landed, list)
        assert [bucket.read(f"in/{one.key}") for one in landed] == contents
        assert sorted(await storage.list("job")) == sorted(one.key for one in landed)


async def test_an_archive_that_is_gone_is_downloaded_again(tmp_path: Path) -> None:
    """Somebody removed it meanwhile."""
    with StorageThreads() as threads:
        storage = LocalStorage(tmp_path, threads)
        archive = await packed_in(storage, b"1")
        await storage.remove(archive.key)
        assert isinstance(await land(storage, archive), o.Retry)

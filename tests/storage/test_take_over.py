"""A step of a job takes over from earlier ones: one that goes on after its lease publishes nothing any more."""

import json
from pathlib import Path

import pytest

from tests.storage.folders import files, read
from tidewaiter.storage import partial_files
from tidewaiter.storage.base import StorageError
from tidewaiter.storage.folder import LocalStorage

JOB, KEY, ETAG, MIB = 7, "shop/report/export.csv", '"v1"', 2**20
# The file of another remote job has another identity, and so its part has another number, but the same final name.
OLD, NEW = 11, 22


@pytest.mark.fault(16)
@pytest.mark.parametrize("files_in_step", [1, 2])
async def test_a_former_owner_does_not_replace_the_file_of_another_remote_job(
    root: Path, storage: LocalStorage, files_in_step: int
) -> None:
    """The job was submitted again meanwhile, and its new file has landed under the same name."""
    async with storage.group(JOB, 1) as stale:
        former = await stale.open(KEY, OLD, identity="old")
        await former.write(b"old")
        async with storage.group(JOB, files_in_step) as group, await group.open(KEY, NEW, identity="new") as landing:
            await landing.write(b"new")
            await landing.finish()
        with pytest.raises(StorageError):
            await former.finish()
    assert (files(root), read(root / KEY)) == ([KEY], b"new")


@pytest.mark.fault(16)
async def test_a_kept_part_goes_on_under_another_name(
    root: Path, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint of a file that this step does not open yet stays of use, but its owner cannot land the part."""
    monkeypatch.setattr(partial_files, "CHECKPOINT_BYTES", 2 * MIB)
    former = await storage.open(KEY, JOB, OLD, identity="old")
    former.comes_from(ETAG, None)
    for _ in range(3):
        await former.write(b"a" * MIB)
    await former.write(b"")
    async with storage.group(JOB, 1) as group:
        async with await group.open("shop/report/other", NEW, identity="new") as landing:
            await landing.write(b"other")
            await landing.finish()
        with pytest.raises(StorageError):
            await former.finish()
        checkpoint = json.loads(read(root / f".partial/{JOB}-{OLD}.json"))
        assert f".partial/{checkpoint['part']}" in files(root)
    async with storage.group(JOB, 1) as group, await group.open(KEY, OLD, identity="old") as landing:
        assert (landing.offset, landing.validator) == (2 * MIB, ETAG)
        await landing.write(b"b")
        await landing.finish(size=2 * MIB + 1)
    assert files(root) == [KEY, "shop/report/other"]

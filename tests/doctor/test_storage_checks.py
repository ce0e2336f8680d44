"""Checks of the storage, folder and bucket; they leave nothing behind."""

from pathlib import Path

from tests.doctor.folders import names_in
from tests.support.s3 import Bucket
from tidewaiter.clock import SystemClock
from tidewaiter.doctor.data_checks import check_folder, check_storage
from tidewaiter.doctor.findings import CheckStatus, Finding, Notes
from tidewaiter.storage.open_storage import open_storage

CLOCK = SystemClock()


async def looked_at(root: Path) -> dict[str, Finding]:
    """What is found of a folder, by check."""
    notes = Notes("storage", CLOCK)
    with open_storage(root, None, {}) as storage:
        await check_folder(notes, storage, root)
    return {one.check: one for one in notes.findings}


async def test_a_folder(tmp_path: Path) -> None:
    """A file is written and deleted again, and so is what was made for it."""
    found = await looked_at(tmp_path)
    assert found["storage"].status is CheckStatus.OK
    assert found["free space"].status in (CheckStatus.OK, CheckStatus.WARNING)
    assert names_in(tmp_path) == []


async def test_the_folder_of_a_daemon(tmp_path: Path) -> None:
    """What a daemon has under way there stays."""
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "7-0").write_text("half")
    assert (await looked_at(tmp_path))["storage"].status is CheckStatus.OK
    assert names_in(tmp_path / ".partial") == ["7-0"]


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """It is not made: the doctor may be another user than the daemon."""
    found = await looked_at(tmp_path / "exports")
    assert found["storage"].status is CheckStatus.INFO
    assert names_in(tmp_path) == []


async def test_a_folder_that_takes_nothing(tmp_path: Path) -> None:
    """Where nothing can be written, that is told with what to do."""
    (tmp_path / ".partial").write_text("a file in the way, for root may write anywhere")
    found = await looked_at(tmp_path)
    assert found["storage"].status is CheckStatus.FAILURE
    assert "chown" in found["storage"].remedy


async def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    """It is reported as such: another owner would not help."""
    (tmp_path / "exports").write_text("")
    found = await looked_at(tmp_path / "exports")
    assert found["storage"].status is CheckStatus.FAILURE
    assert found["storage"].message.endswith("exports is a file, not a folder")
    assert found["storage"].remedy.startswith("name a folder as storage.root")


async def test_a_bucket(bucket: Bucket) -> None:
    """An object is written and deleted; a bucket that is not there is told."""
    for name, status in ((bucket.name, CheckStatus.OK), (f"{bucket.name}-gone", CheckStatus.FAILURE)):
        notes = Notes("storage", CLOCK)
        with open_storage(None, f"s3://{name}", bucket.server.options) as storage:
            await check_storage(notes, storage, f"s3://{name}", "look at its permissions")
        (found,) = notes.findings
        assert found.status is status
        assert bool(found.remedy) is (status is CheckStatus.FAILURE)
    assert bucket.listing() == []

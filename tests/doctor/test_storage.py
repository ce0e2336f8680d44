"""The storage: a folder and a bucket, tried without leaving anything behind."""

from pathlib import Path

from app.clock import SystemClock
from app.doctor.finding import Finding, Notes, Status
from app.doctor.storage import look_at_folder, look_at_storage
from app.storage.choice import open_storage
from tests.doctor.folders import names_in
from tests.support.s3 import Bucket

CLOCK = SystemClock()


async def looked_at(root: Path) -> dict[str, Finding]:
    """What is found of a folder, by check."""
    notes = Notes("storage", CLOCK)
    with open_storage(root, None, {}) as storage:
        await look_at_folder(notes, storage, root)
    return {one.check: one for one in notes.findings}


async def test_a_folder(tmp_path: Path) -> None:
    """A file is written and deleted again, and so is what was made for it."""
    found = await looked_at(tmp_path)
    assert found["storage"].status is Status.OK
    assert found["free space"].status in (Status.OK, Status.WARNING)
    assert names_in(tmp_path) == []


async def test_the_folder_of_a_daemon(tmp_path: Path) -> None:
    """What a daemon has under way there stays."""
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "7-0").write_text("half")
    assert (await looked_at(tmp_path))["storage"].status is Status.OK
    assert names_in(tmp_path / ".partial") == ["7-0"]


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """It is not made: the doctor may be another user than the daemon."""
    found = await looked_at(tmp_path / "exports")
    assert found["storage"].status is Status.INFO
    assert names_in(tmp_path) == []


async def test_a_folder_that_takes_nothing(tmp_path: Path) -> None:
    """Where nothing can be written, that is told with what to do."""
    (tmp_path / ".partial").write_text("a file in the way, for root may write anywhere")
    found = await looked_at(tmp_path)
    assert found["storage"].status is Status.FAILURE
    assert "chown" in found["storage"].mend


async def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    """It is told as that: no other owner would mend it."""
    (tmp_path / "exports").write_text("")
    found = await looked_at(tmp_path / "exports")
    assert found["storage"].status is Status.FAILURE
    assert found["storage"].message.endswith("exports is a file, not a folder")
    assert found["storage"].mend.startswith("name a folder as storage.root")


async def test_a_bucket(bucket: Bucket) -> None:
    """An object is written and deleted; a bucket that is not there is told."""
    for name, status in ((bucket.name, Status.OK), (f"{bucket.name}-gone", Status.FAILURE)):
        notes = Notes("storage", CLOCK)
        with open_storage(None, f"s3://{name}", bucket.server.options) as storage:
            await look_at_storage(notes, storage, f"s3://{name}", "look at its permissions")
        (found,) = notes.findings
        assert found.status is status
        assert bool(found.mend) is (status is Status.FAILURE)
    assert bucket.listing() == []

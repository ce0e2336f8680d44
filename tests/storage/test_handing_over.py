"""Files of one run move into the folder that a person named, and replace nothing there."""

import json
from pathlib import Path

import pytest

from tidewaiter.domain.job import Job, State
from tidewaiter.domain.manifest import Artifact, render_manifest
from tidewaiter.storage.base import StorageError
from tidewaiter.storage.handing_over import hand_over

FOLDER = "shop/report/2026/01/31/77"
JOB = Job(77, 1, "shop", "report", {}, State.FETCHING, 3, None, 1.0, 9.0)


def _landed(root: Path, *names: str) -> list[Artifact]:
    """Files as a job lands them, with their manifest."""
    folder = root / FOLDER
    folder.mkdir(parents=True)
    files = [
        Artifact(number, name, name, f"{FOLDER}/{name}", len(name), "00", "text/csv", 1.0)
        for number, name in enumerate(names)
    ]
    for name in names:
        (folder / name).write_text(name)
    document = render_manifest(JOB, params={}, labels={}, status=None, artifacts=files, finished_at=2.0)
    (folder / "manifest.json").write_bytes(document)
    return files


def test_names_that_are_taken_stay(tmp_path: Path) -> None:
    """A file, a link that leads nowhere and a manifest keep their names; the manifest names the new ones."""
    out, root = tmp_path, tmp_path / ".landing"
    files = _landed(root, "a.csv", "b.csv", "plain")
    (out / "a.csv").write_text("mine")
    (out / "plain").symlink_to("nowhere")
    (out / "manifest.json").write_text("mine")
    moved = hand_over(root, FOLDER, files, out, 77)
    assert [one.key for one in moved] == ["a-77.csv", "b.csv", "plain-77"]
    assert (out / "a.csv").read_text() == (out / "manifest.json").read_text() == "mine"
    assert (out / "a-77.csv").read_text() == "a.csv"
    assert (out / "plain").readlink() == Path("nowhere")
    manifest = json.loads((out / "manifest-77.json").read_bytes())
    assert [one["key"] for one in manifest["artifacts"]] == ["a-77.csv", "b.csv", "plain-77"]


def test_a_move_that_fails_loses_nothing(tmp_path: Path) -> None:
    """Without the folder to move to, the files stay where they have landed, and the error says what failed."""
    files = _landed(tmp_path / "landing", "a.csv")
    with pytest.raises(StorageError, match="Could not move"):
        hand_over(tmp_path / "landing", FOLDER, files, tmp_path / "missing", 77)
    assert (tmp_path / "landing" / FOLDER / "a.csv").read_text() == "a.csv"

"""The lint of whole files: every fault at once, and files that cannot be read."""

from pathlib import Path

from tests.support.spec_samples import (
    REQUEST,
    WHOLE,
    changed,
    faults_of,
)
from tidewaiter.providers.checks.spec_lint import lint


def test_all_faults_come_at_once() -> None:
    """Mistakes of structure do not hide mistakes of meaning, whichever table they are in."""
    text = changed(
        '"Demo"', "5", changed(REQUEST, 'url = "/${handle}/${params.x}"', changed("[account]", "colour = 1\n[account]"))
    )
    assert [line.split(": ")[1] for line in faults_of(text)] == [
        "colour",
        "operations.report.submit.url",
        "operations.report.submit.url",
        "title",
    ]


def test_files_that_cannot_be_read_are_faults(tmp_path: Path) -> None:
    """No traceback for a file that is not there, or is not text."""
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    (missing,) = lint(tmp_path / "none.toml")
    (binary,) = lint(tmp_path / "binary.toml")
    assert "cannot be read" in missing.reason
    assert "cannot be read" in binary.reason


def test_a_file_is_linted_under_its_path(tmp_path: Path) -> None:
    """The path that was given is the path that is told."""
    path = tmp_path / "mine.toml"
    path.write_text(WHOLE)
    assert lint(path) == []
    path.write_text("name = 1")
    assert {fault.file for fault in lint(path)} == {str(path)}

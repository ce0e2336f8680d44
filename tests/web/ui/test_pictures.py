"""The tool that takes the pictures of the documentation: what it says of pictures that are too large."""

from pathlib import Path

import pytest

from tests.web.ui.pictures import MOST_BYTES, too_large


def test_pictures_that_are_too_large_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are named at the end, and what would make them smaller, if it is missing."""
    (tmp_path / "page-small.png").write_bytes(b"x" * MOST_BYTES)
    assert too_large(tmp_path) is None
    (tmp_path / "page-jobs.png").write_bytes(b"x" * (MOST_BYTES + 1))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert too_large(tmp_path) == (
        "larger than 200,000 bytes; pngquant is not installed: install it, and take them again: "
        "page-jobs.png (200,001 bytes)"
    )

"""The check that no Python file names a provider."""

from pathlib import Path

import pytest

from tests.arch.names import ROOT, namings, provider_names


@pytest.mark.slow
def test_nothing_is_named() -> None:
    """The source names no provider, and the check has names to look for."""
    assert len(provider_names(ROOT)) >= 2
    assert list(namings(ROOT)) == []


def test_a_naming_is_found(tmp_path: Path) -> None:
    """A name is found in any spelling, with its place; an emulator may name its provider."""
    for folder in (
        "app/tidewaiter/providers/catalog",
        "app/tidewaiter/emulators",
        "app/tidewaiter/worker",
        "migrations",
    ):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "app/tidewaiter/providers/catalog/any-file.toml").write_text('name = "made-up-api"\n')
    (tmp_path / "app/tidewaiter/emulators/made_up_api.py").write_text("class MadeUpApi: ...\n")
    (tmp_path / "app/tidewaiter/worker/lane.py").write_text('x = 1\nif name == "made-up-api": ...\n')
    (tmp_path / "app/tidewaiter/one.py").write_text("class MadeUpApi: ...\n")
    assert list(namings(tmp_path)) == [
        "app/tidewaiter/one.py:1: MadeUpApi",
        "app/tidewaiter/worker/lane.py:2: made-up-api",
    ]

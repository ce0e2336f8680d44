"""The list of reloadable parts: all of them change, or none does."""

from pathlib import Path

import pytest

from app.bootstrap.bound import Bound, Reloadable, Running
from app.config import Config, load
from app.config.tables import WorkerTable


class Part:
    """Keeps the settings that it was given last."""

    def __init__(self) -> None:
        self.settings: WorkerTable | None = None

    def reconfigure(self, settings: WorkerTable) -> None:
        """Take them."""
        self.settings = settings


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration without accounts."""
    path = tmp_path / "tidewaiter.toml"
    path.write_text("[worker]\ndrain_s = 7\n")
    return load(path, {})


def test_every_part_gets_its_settings(config: Config) -> None:
    """A part gets the table of the configuration that it is listed with."""
    running, part = Running(Bound(config, {})), Part()
    running.join(Reloadable(part, lambda bound: bound.config.worker))
    running.replace(Bound(config, {}))
    assert part.settings == config.worker
    assert config.worker.drain_s == 7


def test_nothing_changes_where_one_setting_cannot_be_derived(config: Config) -> None:
    """Settings are derived for all parts before the first part gets its own."""

    def broken(_: Bound) -> WorkerTable:
        raise OSError("the certificate is gone")

    before = Bound(config, {})
    running, part = Running(before), Part()
    running.join(Reloadable(part, lambda bound: bound.config.worker), Reloadable(Part(), broken))
    with pytest.raises(OSError, match="certificate"):
        running.replace(Bound(config, {}))
    assert running.bound is before
    assert part.settings is None

"""The reloadable parts of the configuration change together or not at all."""

from pathlib import Path

import pytest

from tidewaiter.bootstrap.live_config import BoundConfig, LiveConfig, Reloadable
from tidewaiter.config import Config, load
from tidewaiter.config.config_tables import WorkerTable


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
    running, part = LiveConfig(BoundConfig(config, {})), Part()
    running.join(Reloadable(part, lambda bound: bound.config.worker))
    running.replace(BoundConfig(config, {}))
    assert part.settings == config.worker
    assert config.worker.drain_s == 7


def test_nothing_changes_where_one_setting_cannot_be_derived(config: Config) -> None:
    """Settings are derived for all parts before the first part gets its own."""

    def broken(_: BoundConfig) -> WorkerTable:
        raise OSError("the certificate is gone")

    before = BoundConfig(config, {})
    running, part = LiveConfig(before), Part()
    running.join(Reloadable(part, lambda bound: bound.config.worker), Reloadable(Part(), broken))
    with pytest.raises(OSError, match="certificate"):
        running.replace(BoundConfig(config, {}))
    assert running.bound is before
    assert part.settings is None


def test_settings_are_derived_when_ready_and_not_again(config: Config) -> None:
    """What is ready can be applied later, in any order: going back needs nothing that may be gone by then."""
    old, new = BoundConfig(config, {}), BoundConfig(config, {})
    derived: list[BoundConfig] = []

    def worker(bound: BoundConfig) -> WorkerTable:
        derived.append(bound)
        return bound.config.worker

    running, part = LiveConfig(old), Part()
    running.join(Reloadable(part, worker))
    forward, back = running.ready(new), running.ready(old)
    assert derived == [new, old]
    assert (running.bound, part.settings) == (old, None)
    forward()
    assert running.bound is new
    back()
    assert running.bound is old
    assert part.settings is config.worker
    assert len(derived) == 2

"""Fixtures of the command line's tests: a folder with a configuration, without a provider and with an emulated one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_folder import CONFIG, CommandFolder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandFolder:
    """A folder of this test's own, and the working directory of its commands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDEWAITER_CONFIG", raising=False)
    return CommandFolder(tmp_path)


@pytest.fixture
def emulated(place: CommandFolder) -> Iterator[CommandFolder]:
    """The same with an emulated provider behind its account, started by ``tidewaiter emulate`` itself."""
    with place.process("emulate", "symplify", "--build-s", "0.5", "--token", "canary-token") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        place.config.write_text(CONFIG.replace("http://127.0.0.1:9", url))
        yield place

"""Fixtures of the command line's tests: a folder with a configuration, without a provider and with an emulated one."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_shell import CONFIG, CommandShell


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandShell:
    """A folder of this test's own, and the working directory of its commands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDEWAITER_CONFIG", raising=False)
    return CommandShell(tmp_path)


@pytest.fixture
def migrated(shell: CommandShell, sqlite_template: Path) -> None:
    """The shell's database is there already, empty; without this the first command makes it, which takes a while."""
    shutil.copyfile(sqlite_template, shell.folder / "tidewaiter.db")


@pytest.fixture
def emulated(shell: CommandShell) -> Iterator[CommandShell]:
    """The same with an emulated provider behind its account, started by ``tidewaiter emulate`` itself."""
    with shell.process("emulate", "symplify", "--build-s", "0.5", "--token", "canary-token") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        shell.config.write_text(CONFIG.replace("http://127.0.0.1:9", url))
        yield shell

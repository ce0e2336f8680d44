"""What keeps a daemon from starting on this machine is found by `check-config`, in the words of `serve`."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.cli.command_shell import CONFIG, CommandShell
from tests.doctor.folders import names_in
from tidewaiter.cli.exit_codes import ExitCode

OTHER: Final = 12345
_AS_ANOTHER_USER: Final = """
import os
from pathlib import Path
from tidewaiter.bootstrap import faults_of_machine
from tidewaiter.config import load
config = load(Path("tidewaiter.toml"), {})  # and all code: the other user may have no way to it
os.setgroups([])
os.setresgid(12345, 12345, 12345)
os.setresuid(12345, 12345, 12345)
print(*faults_of_machine(config), sep="\\n")
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


def faults(shell: CommandShell) -> str:
    """What `check-config` says beside warnings."""
    told = shell("check-config", code=ExitCode.CONFIG).stderr.splitlines(keepends=True)
    return "".join(line for line in told if not line.startswith("warning: "))


def both(shell: CommandShell) -> str:
    """The faults of `check-config`, with which `serve` has ended, too; nothing was created."""
    before = names_in(shell.folder)
    told = faults(shell)
    assert shell("serve", code=ExitCode.UNAVAILABLE).stderr == told
    assert names_in(shell.folder) == before
    return told


def test_files_in_the_place_of_folders(shell: CommandShell) -> None:
    """The storage and the database are told together, each with its key and its remedy."""
    (shell.folder / "landed").write_text("")
    (shell.folder / "data").write_text("")
    shell.config.write_text(CONFIG + '[database]\nurl = "sqlite:///data/tide.db"\n')
    root, url = both(shell).splitlines()
    assert root.startswith("tidewaiter: tidewaiter.toml: storage.root: ")
    assert root.endswith("landed is a file, not a folder; name a folder as storage.root, or move that file away")
    assert url.startswith("tidewaiter: tidewaiter.toml: database.url: ")
    assert "data is no folder; name another place than" in url


@needs_root
def test_a_lock_of_another_user(shell: CommandShell) -> None:
    """A lock file that another user could hold for ever is refused; one that a daemon holds is not."""
    lock = shell.folder / "tidewaiter.db.lock"
    lock.touch(0o600)
    assert "no fault" in shell("check-config").stdout
    os.chown(lock, OTHER, OTHER)
    assert "tidewaiter.db.lock belongs to another user (number 12345)" in both(shell)


def test_an_extra_that_is_not_installed(shell: CommandShell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket without its library is a fault, with the command that installs it."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "tidewaiter.storage.bucket", raising=False)
    shell.config.write_text(CONFIG.replace('root = "landed"', 'url = "s3://exports"'))
    told = faults(shell)
    assert "tidewaiter.toml: storage.url: object storage needs the extra `object`; " in told
    assert shell("serve", code=ExitCode.CONFIG).stderr == told
    assert "no fault" in shell("check-config", "--file-only").stdout


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder with a configuration that every user may read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "tidewaiter.toml").write_text(CONFIG)
        (folder / "tidewaiter.toml").chmod(0o644)
        yield folder


@needs_root
@pytest.mark.slow
@pytest.mark.parametrize("exists", [False, True], ids=["to be created", "of root"])
def test_folders_of_another_user(public: Path, *, exists: bool) -> None:
    """Permissions are those of the user who runs it: neither the storage nor the database can be written."""
    if exists:
        (public / "landed").mkdir(0o755)
        (public / "tidewaiter.db").touch(0o644)
    ended = subprocess.run(
        [sys.executable, "-c", _AS_ANOTHER_USER], cwd=public, capture_output=True, text=True, check=True
    )
    root, url = ended.stdout.splitlines()
    assert root.startswith("tidewaiter.toml: storage.root: ")
    assert url.startswith("tidewaiter.toml: database.url: ")
    assert "give it to that user: chown 12345:12345 " in root
    assert "give it to that user: chown 12345:12345 " in url

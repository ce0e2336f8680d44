"""Files and folders of another user, as a volume of root in a container: the message has path, users and remedy."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon_in_process import TOKEN
from tidewaiter.database import migrate

USER = 65532
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user"),
    pytest.mark.slow,
]
# It becomes the other user by itself, after commands that work have loaded everything: that user may have no way to
# this Python.
AS_USER = """
import contextlib, io, os, sys
from tidewaiter.cli.main import main

def run(words, config):
    sys.argv = ["tidewaiter", *words, "--config", config]
    try:
        main()
    except SystemExit as ended:
        return int(ended.code)

user, well, ill = int(sys.argv[1]), sys.argv[2], sys.argv[3]
with contextlib.redirect_stdout(io.StringIO()):
    run(["db", "upgrade"], well)
    for words in COMMANDS:
        if words != ["serve"]:
            run(words, well)
sys.path.clear()
sys.path_importer_cache.clear()
os.setgroups([])
os.setresgid(user, user, user)
os.setresuid(user, user, user)
print([run(words, ill) for words in COMMANDS])
"""
CONFIG = """
[database]
url = "sqlite:///{volume}/tidewaiter.db"
[storage]
root = "{volume}/exports"
[accounts.shop]
provider = "symplify"
[accounts.shop.settings]
server = "https://eu-proxy-1.symplifymail.com"
customer_id = "5004"
token_file = "token"
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may enter, with a configuration, and a volume of root."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "volume").mkdir(0o755)
        (place / "tidewaiter.toml").write_text(CONFIG.format(volume=place / "volume"))
        (place / "token").write_text(TOKEN)
        for file in ("token", "tidewaiter.toml"):
            (place / file).chmod(0o644)
        yield place


def run(folder: Path, *commands: str) -> str:
    """The messages of commands of the other user, and then their exit codes."""
    with tempfile.TemporaryDirectory() as name:
        well = Path(name, "tidewaiter.toml")
        well.write_text(CONFIG.format(volume=name))
        Path(name, "token").write_text(TOKEN)
        script = AS_USER.replace("COMMANDS", repr([words.split() for words in commands]))
        command = [sys.executable, "-c", script, str(USER), str(well), str(folder / "tidewaiter.toml")]
        ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        return ended.stderr + ended.stdout


def test_a_volume_of_root(folder: Path) -> None:
    """The daemon and the doctor name the folder, both users, and the command that repairs it."""
    volume = folder / "volume"
    text = run(folder, "serve", "doctor --offline --json")
    denied = f"{volume} belongs to user 0, group 0 (mode 0755), and this process runs as user {USER}"
    assert f"storage.root: {volume}/exports does not exist, and cannot be created: {denied}; create " in text
    assert f"database.url: {volume}/tidewaiter.db does not exist, and cannot be created: {denied}; create " in text
    assert text.count(f"chown {USER}:{USER} {volume} (for the volume of a container, on its host)") == 4
    assert text.endswith("[69, 1]\n")


def test_a_storage_folder_of_root(folder: Path) -> None:
    """A folder that takes no files is named with its owner."""
    volume = folder / "volume"
    os.chown(volume, USER, USER)
    (volume / "exports").mkdir(0o755)
    text = run(folder, "doctor --offline --json")
    assert f"{volume}/exports belongs to user 0, group 0 (mode 0755), and this process runs as user {USER}" in text


@pytest.mark.parametrize("file", ["token", "tidewaiter.toml"])
def test_a_file_that_the_user_cannot_read(folder: Path, file: str) -> None:
    """A secret, or the configuration itself, of an image that was built under umask 077."""
    path = folder / file
    path.chmod(0o600)
    text = run(folder, "check-config")
    assert text.endswith("[78]\n"), text
    assert (
        f"{path} belongs to user 0, group 0 (mode 0600), and this process runs as user {USER}; let that user read it: "
        f"chown {USER} {path}, or chgrp {USER} {path} and chmod g+r {path}"
    ) in text


def test_a_folder_that_the_user_cannot_enter(folder: Path) -> None:
    """The folder is named, and not the file in it."""
    secrets = folder / "secrets"
    secrets.mkdir(0o700)
    (folder / "token").rename(secrets / "token")
    config = folder / "tidewaiter.toml"
    config.write_text(config.read_text().replace('"token"', '"secrets/token"'))
    text = run(folder, "check-config")
    assert text.endswith("[78]\n"), text
    assert f"{secrets} belongs to user 0, group 0 (mode 0700), and this process runs as user {USER}; let that" in text


def test_a_database_of_root(folder: Path) -> None:
    """It exists, and only its owner may read it."""
    volume = folder / "volume"
    migrate.upgrade(f"sqlite:///{volume}/tidewaiter.db")
    os.chown(volume, USER, USER)
    text = run(folder, "jobs list")
    assert f"The database {volume}/tidewaiter.db cannot be opened: {volume}/tidewaiter.db belongs to user 0" in text
    assert text.endswith("[69]\n")

"""New configuration files: nothing that is there already is overwritten, or read without an end."""

import os
from pathlib import Path

import pytest

from tidewaiter.cli.config_file import write_once
from tidewaiter.cli.exit_codes import CommandError

TEXT = "[database]\n"


def test_the_same_text_may_be_there(tmp_path: Path) -> None:
    """The second time nothing is changed."""
    path = tmp_path / "new.toml"
    write_once(path, TEXT, "remove it")
    write_once(path, TEXT, "remove it")
    assert path.read_text() == TEXT


def test_what_is_no_text(tmp_path: Path) -> None:
    """A file of other bytes, and a link to a device without an end, are refused as any other content."""
    path, endless = tmp_path / "new.toml", tmp_path / "endless"
    path.write_bytes(b"\xff\xfe")
    endless.symlink_to("/dev/zero")
    for one in (path, endless):
        with pytest.raises(CommandError, match="other content; remove it"):
            write_once(one, TEXT, "remove it")
    assert path.read_bytes() == b"\xff\xfe"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody writes into it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(CommandError, match="exists already"):
        write_once(path, TEXT, "remove it")

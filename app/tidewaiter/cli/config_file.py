"""Writes a new configuration file for its owner only."""

import os
from pathlib import Path
from typing import Final

from tidewaiter.cli.exit_codes import CommandError, ExitCode

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC


def write_config(path: Path, text: str, *, force: bool = False) -> bool:
    """Write a configuration; with ``force`` an existing file is overwritten.

    Returns:
        Whether it was written; a file that exists already is unchanged.
    """
    try:
        # It may hold secrets later, so only its owner may read it.
        descriptor = os.open(path, _NEW_FILE | (os.O_TRUNC if force else os.O_EXCL), 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        written.write(text)
    return True


def write_once(path: Path, text: str, hint: str) -> None:
    """Write a configuration where there is none, or where the same text is already.

    Raises:
        CommandError: another configuration is there; ``hint`` is what to do.
    """
    if write_config(path, text):
        return
    # A pipe would be waited for, and a device such as /dev/zero has no end.
    if not path.is_file() or path.read_bytes() != text.encode():
        raise CommandError(ExitCode.FAILED, f"{path} exists already, with other content; {hint}")

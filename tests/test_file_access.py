"""Why a path cannot be used, in words with the right remedy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.doc_pages import ROOT

_UNSHARED = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
_SCRIPT = """
import os, sys
from pathlib import Path
from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.database.errors import StoreUnavailableError
from tidewaiter.file_access import reason_of, why_denied
print(why_denied(Path(sys.argv[1]), os.W_OK | os.X_OK))
print(why_denied(Path(sys.argv[1]), os.R_OK | os.X_OK))
try:
    Path(sys.argv[1], "new").touch()
except OSError as error:
    print(reason_of(error, Path(sys.argv[1], "new"), os.W_OK))
try:
    DaemonLock(Path(sys.argv[1], "x.lock")).try_acquire()
except StoreUnavailableError as error:
    print(error)
"""


def test_a_file_system_that_is_mounted_read_only(tmp_path: Path) -> None:
    """Nobody is told to give a folder to the user who has it; it may still be read, and an error has the remedy."""
    mounted = f"mount -t tmpfs -o ro tmpfs '{tmp_path}'"
    try:
        subprocess.run([*_UNSHARED, mounted], capture_output=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("nobody may mount a file system here")
    run = subprocess.run(
        [*_UNSHARED, f"{mounted} && exec '{sys.executable}' -c \"$SCRIPT\" '{tmp_path}'"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "SCRIPT": _SCRIPT},
        check=True,
    )
    advice = "mount it for writing (in a systemd unit: ReadWritePaths=), or use another folder"
    why = f"{tmp_path} is on a file system that is mounted read-only; {advice}"
    reason = f"Read-only file system; {why}"
    lock = f"The lock file {tmp_path}/x.lock cannot be opened: {reason}."
    assert run.stdout.splitlines() == [why, "", reason, lock]

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
from tidewaiter.file_access import why_denied
print(why_denied(Path(sys.argv[1]), os.W_OK | os.X_OK))
print(why_denied(Path(sys.argv[1]), os.R_OK | os.X_OK))
"""


def test_a_file_system_that_is_mounted_read_only(tmp_path: Path) -> None:
    """Nobody is told to give a folder to the user who has it; and it may still be read."""
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
    advice = "mount it for writing, or use another folder"
    assert run.stdout.splitlines() == [f"{tmp_path} is on a file system that is mounted read-only; {advice}", ""]

"""A copy that mutants are put into."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.scratch_copy import ScratchCopy


@pytest.mark.slow
def test_a_process_of_a_test_runs_the_copy(tmp_path: Path) -> None:
    """A daemon that a test starts must have the mutant in it; such tests put only the root on its path."""
    ScratchCopy(tmp_path, 60.0)
    command = [sys.executable, "-c", "import tidewaiter; print(tidewaiter.__file__)"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    told = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(tmp_path / "app" / "tidewaiter" / "__init__.py")

"""Runs the loop written by hand beside which landed jobs are measured."""

import subprocess
from pathlib import Path
from typing import Final

from tests.bench.processes import BenchError, Cores, python
from tests.bench.remote import landing_stub

INTERVAL_S: Final = 1.0
_WITHIN_S: Final = 180.0


def loop_s(folder: Path, cores: Cores, number: int, jobs: int) -> float:
    """Seconds of processor time of the loop for so many jobs; ``number`` tells its rounds apart."""
    files = folder / f"loop-{number}"
    files.mkdir()
    with landing_stub(folder, cores.others) as remote:
        arguments = [remote.origin, str(jobs), str(INTERVAL_S), str(files)]
        done = subprocess.run(  # on whatever core: its time is its own
            python("tests.bench.bare_landed", *arguments), capture_output=True, check=False, timeout=_WITHIN_S
        )
    if done.returncode or len(list(files.iterdir())) != jobs:
        raise BenchError(f"The loop failed: {done.stderr.decode(errors='replace')[-500:]}")
    return float(done.stdout)

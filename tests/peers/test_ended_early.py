"""``python -m tests.peers`` that is ended before its end, as by a person or by a time limit."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.process_sessions import processes_of

ROOT = Path(__file__).parents[2]
STARTED_WITHIN_S = 120.0


def _command(pid: int) -> bytes:
    """What a process runs; nothing of one that has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return (Path("/proc") / str(pid) / "cmdline").read_bytes()
    return b""


@pytest.mark.slow
def test_a_matrix_that_is_ended_leaves_no_worker_behind(tmp_path: Path) -> None:
    """SIGTERM while the worker waits for its next poll: the worker has a session of its own, and ends all the same."""
    command = [sys.executable, "-m", "tests.peers", "tidewaiter-sqlite", "--moment", "before_commit"]
    with (tmp_path / "log").open("wb") as log:
        runner = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    workers: list[int] = []
    try:
        until = time.monotonic() + STARTED_WITHIN_S
        while not workers:
            assert runner.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
            workers = [pid for pid in processes_of(runner.pid) if b"\0serve\0" in _command(pid)]
        runner.terminate()
        assert runner.wait(60) == 128 + signal.SIGTERM
        assert [pid for pid in workers if _command(pid)] == []
    finally:
        for pid in (*workers, *processes_of(runner.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        runner.wait()

"""A daemon as a container runs it: process 1, a root that nobody writes, and no capability."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.doc_pages import ROOT
from tests.support.http_process import configured

_NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child")
# The volume stays writable, all else becomes read-only; then the program takes the place of the shell as process 1.
_LOCKED_IN = """
set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro /
shift
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""


# Stands for a machine that is slow to load the program.
_SLOW = """
import sys, time

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "tidewaiter.bootstrap":
            print("loading", flush=True)
            time.sleep(30)

sys.meta_path.insert(0, Slow())
"""


@contextmanager
def _locked_in(volume: Path, *command: str, path: Path = ROOT) -> Iterator[subprocess.Popen[str]]:
    words = (*_NAMESPACES, "sh", "-c", _LOCKED_IN, "sh", str(volume), *command)
    environ = {**os.environ, "PYTHONPATH": f"{path}:{ROOT}"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ) as process:
        try:
            yield process
        finally:
            process.kill()


def _until(process: subprocess.Popen[str], word: str) -> None:
    """Read the output up to a line with that word."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if word in line:
            return
    pytest.fail("".join(seen))


def _first(process: subprocess.Popen[str]) -> int:
    """The number, outside of its namespace, of process 1."""
    (number,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(number)


@pytest.fixture
def namespaces(tmp_path: Path) -> None:
    """Skip where the kernel or the container of CI makes no namespaces for users."""
    if shutil.which("unshare") is None or shutil.which("setpriv") is None:
        pytest.skip("util-linux is not there")
    with _locked_in(tmp_path, "true") as process:
        if process.wait(20) != 0:
            pytest.skip("no namespaces for this user")


@pytest.mark.usefixtures("namespaces")
@pytest.mark.fault(6, 62)
@pytest.mark.slow
def test_process_one_in_a_read_only_root_drains(tmp_path: Path) -> None:
    """It serves with what is in its volume alone, and SIGTERM drains it: nothing but a handler reaches process 1."""
    configured(tmp_path, f"sqlite:///{tmp_path}/jobs.db")
    serve = (sys.executable, "-m", "tidewaiter.cli.main", "--config", str(tmp_path / "tidewaiter.toml"), "serve")
    with _locked_in(tmp_path, *serve) as process:
        _until(process, '"lane.taken"')
        first = _first(process)
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{first}/status").read_text().splitlines())
        assert status["NSpid"].split()[-1] == "1"
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        os.kill(first, signal.SIGTERM)
        _until(process, '"daemon.stopped"')
        assert process.wait(30) == 0


@pytest.mark.usefixtures("namespaces")
@pytest.mark.fault(6)
@pytest.mark.slow
def test_process_one_can_be_stopped_before_it_serves(tmp_path: Path) -> None:
    """SIGTERM while the program loads ends it at once, instead of being lost until the container is killed."""
    (tmp_path / "sitecustomize.py").write_text(_SLOW)
    configured(tmp_path, f"sqlite:///{tmp_path}/jobs.db")
    serve = (sys.executable, "-m", "tidewaiter.cli.main", "--config", str(tmp_path / "tidewaiter.toml"), "serve")
    with _locked_in(tmp_path, *serve, path=tmp_path) as process:
        _until(process, "loading")
        os.kill(_first(process), signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM

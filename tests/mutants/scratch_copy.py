"""A copy of the sources that one mutant at a time is put into, and the tests run against it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutants.catalogue import ROOT, Mutant
from tests.mutants.generate import GeneratedMutant

_COPIED: Final = ("app", "config", "migrations", "tests")
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
_TESTS_FAILED: Final = 1  # https://docs.pytest.org/en/stable/reference/exit-codes.html


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests said. ``killed_by`` is the test that failed, ``None`` where none did.

    ``trouble`` is why the run tells nothing: no test was found, or the mutant cannot be imported.
    """

    killed_by: str | None
    trouble: str | None
    seconds: float


class ScratchCopy:
    """A copy of the working tree: what a mutant may change is copied, the other folders are linked.

    Args:
        folder: an empty folder for it.
        limit_s: tests that take longer count as failed, because a mutant may hang.
    """

    def __init__(self, folder: Path, limit_s: float) -> None:
        self._folder = folder
        self._limit_s = limit_s
        # Modules are compiled once for all mutants.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._environment = inherited | {"PYTHONPATH": str(folder / "app")}
        for path in ROOT.iterdir():
            if path.name in _COPIED:
                shutil.copytree(path, folder / path.name, symlinks=True)  # with the compiled modules beside the sources
            elif path.is_dir():
                (folder / path.name).symlink_to(path)
            elif path.name != ".git":
                shutil.copyfile(path, folder / path.name)

        # Daemons that tests start have only the root on their path: https://docs.python.org/3/library/site.html
        start = f"import sys\nsys.path.insert(0, {str(folder / 'app')!r})\n"
        (folder / "sitecustomize.py").write_text(start)

    def try_unchanged(self, tests: Sequence[str]) -> Verdict:
        """Run tests against the sources as they are."""
        return self._run(tests, limit_s=None)  # many tests, and none of them hangs

    def try_mutant(self, mutant: Mutant | GeneratedMutant) -> Verdict:
        """Put a mutant in, run its tests, and take it out again."""
        path = self._folder / mutant.file
        before, status = path.read_text(), path.stat()
        try:
            path.write_text(mutant.applied_to(before))
            _forget_compiled(path)
            return self._run(mutant.tests, self._limit_s)
        finally:
            path.write_text(before)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
            _forget_compiled(path)

    def _run(self, tests: Sequence[str], limit_s: float | None) -> Verdict:
        began = time.perf_counter()
        running = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-x", "-q", "-m", "", "-p", "no:cacheprovider", "--tb=native", *tests],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = running.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
            return Verdict(f"the time limit of {limit_s:.0f} s", None, time.perf_counter() - began)
        seconds = time.perf_counter() - began
        if running.returncode == 0:
            return Verdict(None, None, seconds)
        failed = _FAILED.search(output)
        if running.returncode == _TESTS_FAILED and failed is not None:
            return Verdict(failed[1], None, seconds)
        return Verdict(None, f"pytest ended with {running.returncode}: {output[-1500:]}", seconds)


def _forget_compiled(path: Path) -> None:
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()

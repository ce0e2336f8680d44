"""``python -m tests.bench``: runs the benchmarks and prints the results."""

import argparse
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType

from tests.bench import (
    accounts,
    bucket,
    budget,
    download,
    growth,
    landed,
    landed_peers,
    landing_delay,
    many_daemons,
    many_files,
    million,
    polls,
    scale,
    schedules,
    simulated,
    surface,
)
from tests.bench.processes import BenchError, Cores
from tests.bench.report import Finding, as_json, table

_Benchmark = Callable[[Path, Cores, float], list[Finding]]
_BENCHMARKS: Mapping[str, _Benchmark] = {
    "polls": lambda folder, cores, seconds: polls.measure(folder, cores, seconds, _say),
    "landed": lambda folder, cores, _seconds: landed.measure(folder, cores, _say),
    "delay": lambda folder, cores, _seconds: landing_delay.measure(folder, cores, _say),
    "peers": lambda folder, cores, _seconds: landed_peers.measure(folder, cores, _say),
    "accounts": lambda folder, cores, seconds: accounts.measure(folder, cores, seconds, _say),
    "million": lambda folder, cores, _seconds: million.measure(folder, cores, _say),
    "budget": lambda folder, cores, _seconds: budget.measure(folder, cores, _say),
    "download": lambda folder, cores, _seconds: download.measure(folder, cores, _say),
    "files": lambda folder, cores, _seconds: many_files.measure(folder, cores, _say),
    "scale": lambda folder, cores, seconds: scale.measure(folder, cores, seconds, _say),
    "bucket": lambda folder, _cores, _seconds: bucket.measure(folder, _say),
    "daemons": lambda folder, _cores, _seconds: many_daemons.measure(folder, _say),
    "growth": lambda folder, _cores, _seconds: growth.measure(folder, _say),
    "surface": lambda folder, cores, seconds: surface.measure(folder, cores, seconds, _say),
    "schedules": lambda _folder, _cores, _seconds: schedules.measure(_say),
    "simulation": lambda folder, _cores, _seconds: simulated.measure(folder, _say),
}
_NAMED = ("daemons", "growth", "peers")
"""Run only where they are named: the first two take ten minutes or so, the last installs other programs."""
_WHICH = f"which; without names all but {', '.join(_NAMED)}"
_started_at = time.monotonic()


def main() -> int:
    """Run what was asked for; the exit code is 1 where ``--check`` finds a target missed, 2 where something broke."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, _end)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each daemon compiles all modules at its start
    # platformdirs, which falls back by itself.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
    try:
        findings, broken = _run(asked.benchmarks or [name for name in _BENCHMARKS if name not in _NAMED], asked.seconds)
    except KeyboardInterrupt:
        return 130
    print(as_json(findings) if asked.json else table(findings))
    for error in broken:
        print(f"bench: {error}", file=sys.stderr)
    return 2 if broken else int(asked.check and any(finding.met is False for finding in findings))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "benchmarks",
        nargs="*",
        metavar="|".join(_BENCHMARKS),
        help=_WHICH,
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a window of the polls (default: 10)")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--check", action="store_true", help="end with code 1 when a target is missed")
    asked = parser.parse_args()
    if unknown := set(asked.benchmarks) - set(_BENCHMARKS):
        parser.error(f"there is no benchmark {' or '.join(sorted(unknown))}; there are {', '.join(_BENCHMARKS)}")
    return asked


def _run(names: list[str], seconds: float) -> tuple[list[Finding], list[str]]:
    """The findings, and what went wrong: a benchmark that breaks takes nothing from the others."""
    cores = Cores.of_this_machine()
    findings: list[Finding] = []
    broken: list[str] = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"tidewaiter-bench-{name}-") as folder:
            _say(f"{name}:")
            try:
                findings += _BENCHMARKS[name](Path(folder), cores, seconds)
            except BenchError as error:
                _say(f"  {error}")
                broken.append(f"{name}: {error}")
    return findings, broken


def _say(line: str) -> None:
    print(f"[{time.monotonic() - _started_at:5.0f} s] {line}", file=sys.stderr, flush=True)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

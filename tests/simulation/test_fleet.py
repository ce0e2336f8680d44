"""Several daemons with clocks of their own on one database, through an hour that a seed decides.

Processes of their own: `make chaos` runs the hours, `make test-slow` some minutes of one, twice.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.support.effort import seeds


def _started(seed: int, *more: str, hash_seed: str = "0") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.simulation.fleet", str(seed), *more],
        env={**os.environ, "PYTHONHASHSEED": hash_seed}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _told(running: "subprocess.Popen[str]") -> dict[str, object]:
    output, _ = running.communicate()
    told: dict[str, object] = json.loads(output)
    assert told["broken"] == [], told
    return told


@pytest.mark.invariant(13)
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_same_seed_same_trace_in_every_process() -> None:
    """Every log line and request comes again, also where Python orders sets in another way."""
    running = [_started(2, "--trouble", "400", hash_seed=one) for one in ("1", "2")]
    first, second = [_told(one) for one in running]
    assert first["trace"] == second["trace"]
    assert first["posts"]


@pytest.mark.fault(10, 16, 48, 49, 54)
@pytest.mark.invariant(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12)
@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", seeds(0, 6, 1, variable="TIDEWAITER_FLEETS"))
def test_an_hour_of_a_fleet(seed: int) -> None:
    """Daemons are cut, drained and reloaded, clocks differ and jump, people act: each account and job is as it must."""
    told = _told(_started(seed))
    assert told["cuts"], told

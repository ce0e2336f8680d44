"""How much faster than real time the simulation lives: an hour of faults with 100 jobs, against the clock."""

import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.report import Finding, at_least
from tests.simulation.invariants import broken_invariants
from tests.simulation.simulated_hour import Plan, run_hour
from tests.simulation.world import World
from tidewaiter.database import migrate

_JOBS = 100
_HOUR_S = 3600.0
_TARGET = 500.0


async def _examine(world: World) -> list[str]:
    return broken_invariants(world)


def measure(folder: Path, say: Callable[[str], None]) -> list[Finding]:
    """Live through the hour of one seed.

    Args:
        folder: for the empty database.
        say: told of what is being done.
    """
    say(f"an hour of faults with {_JOBS} jobs")
    template = folder / "template.db"
    migrate.upgrade(f"sqlite:///{template}")
    started_at = time.perf_counter()
    broken = run_hour(1, Plan(jobs=_JOBS), template, _examine)
    spent_s = time.perf_counter() - started_at
    say(f"  {spent_s:.1f} s; {'; '.join(broken) or 'no invariant is broken'}")
    return [at_least("a simulated hour with 100 jobs", f"{spent_s:.1f} s", "3600 s", _HOUR_S / spent_s, _TARGET)]

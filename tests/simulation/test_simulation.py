"""The real daemon, lanes, executor, committer and SQL, through simulated hours of faults.

`make test` runs twenty seeds, `make chaos` two thousand.
"""

from pathlib import Path

import pytest

from tests.simulation.invariants import broken_invariants
from tests.simulation.simulated_hour import Plan, run_hour
from tests.simulation.world import World, from_command_line
from tests.support.effort import seeds
from tidewaiter.domain.job import State


async def _examine(world: World) -> tuple[list[str], dict[State, int], list[dict[str, object]], int]:
    jobs = await from_command_line(world, lambda services: services.jobs.jobs.find(limit=100_000))
    counts = {state: sum(job.state is state for job in jobs) for state in State}
    return broken_invariants(world), counts, world.lines(), world.cuts


@pytest.mark.invariant(1, 2, 3, 4, 6, 7, 8, 10, 12)
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", seeds(20, 100, 1, variable="TIDEWAITER_SEEDS"))
def test_an_hour_of_faults(seed: int, template: Path) -> None:
    """Twenty jobs through an hour of bad network, lying provider and power cuts break no invariant."""
    broken, counts, _, cuts = run_hour(seed, Plan(), template, _examine)
    assert not broken, "; ".join(broken) + f" (python -m tests.simulation {seed})"
    assert cuts == Plan().power_cuts
    assert counts[State.SUCCEEDED] >= 1, counts


@pytest.mark.slow
def test_calm_weather_lands_everything(template: Path) -> None:
    """Without faults every job succeeds: what the other test tolerates is owed to the faults alone."""
    plan = Plan(jobs=20, faults=False, power_cuts=0, drains=0, cancels=0)
    broken, counts, _, _ = run_hour(4711, plan, template, _examine)
    assert not broken, "; ".join(broken)
    assert counts[State.SUCCEEDED] == 20


@pytest.mark.invariant(13)
@pytest.mark.slow
def test_same_seed_same_trace(template: Path) -> None:
    """A run is decided by its seed: every log line, times included, comes again."""

    async def trace(world: World) -> list[str]:
        return world.output.getvalue().replace(str(world.root), "ROOT").splitlines()

    assert run_hour(7, Plan(), template, trace) == run_hour(7, Plan(), template, trace)

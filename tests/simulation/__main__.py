"""``python -m tests.simulation SEED [JOBS]``: live through one world, print its story and how fast it was."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.simulation.invariants import broken_invariants
from tests.simulation.simulated_hour import Plan, run_hour
from tests.simulation.world import World
from tidewaiter.database import migrate


async def _examine(world: World) -> tuple[list[str], str]:
    await asyncio.sleep(0)
    return broken_invariants(world), world.output.getvalue()


def main() -> None:
    """Run the seed that is named."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    jobs = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "template.db"
        migrate.upgrade(f"sqlite:///{template}")
        started = time.perf_counter()
        broken, story = run_hour(seed, Plan(jobs=jobs), template, _examine)
        spent_s = time.perf_counter() - started
    sys.stdout.write(story)
    sys.stdout.write(f"\nseed {seed}, {jobs} jobs: {spent_s:.1f} s, {3600 / spent_s:.0f} times faster than real time\n")
    for sentence in broken:
        sys.stdout.write(f"BROKEN: {sentence}\n")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()

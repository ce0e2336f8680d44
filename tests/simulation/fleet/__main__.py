"""``python -m tests.simulation.fleet SEED [--count N] [--trouble S]``: simulates fleets; one JSON line for each."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.simulation.fleet.fleet_hour import TROUBLE_S, fleet_hour
from tests.simulation.fleet.fleet_invariants import broken_invariants, times_used_up
from tests.simulation.fleet.fleet_world import FleetWorld
from tidewaiter.database import migrate


def main() -> int:
    """Run the seeds that are asked for; 1 if an invariant was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.fleet")
    parser.add_argument("seed", type=int, help="the first")
    parser.add_argument("--count", type=int, default=1, help="of seeds")
    parser.add_argument("--trouble", type=float, default=TROUBLE_S, metavar="S", help="seconds before it is calm")
    given = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "template.db"
        migrate.upgrade(f"sqlite:///{template}")
        for seed in range(given.seed, given.seed + given.count):
            seen: list[FleetWorld] = []

            def check(world: FleetWorld, seen: list[FleetWorld] = seen) -> list[str]:
                seen.append(world)
                return broken_invariants(world)

            began = time.process_time()
            broken, trace = fleet_hour(seed, template, check, given.trouble)
            (world,) = seen
            failed += bool(broken)
            line = {
                "seed": seed,
                "trace": trace[:16],
                "cuts": world.cuts,
                "reloads": world.reloads,
                "jobs": len(world.asked_for),
                "posts": sum(sum(one.exports.posts.values()) for one in world.providers.values()),
                "limit": f"{world.limits.requests} in {world.limits.period_s:g} s",
                "used_up": sum(times_used_up(world, one) for one in world.providers.values()),
                "cpu_s": round(time.process_time() - began, 1),
                "broken": broken,
            }
            if broken:
                line["again"] = f"python -m tests.simulation.fleet {seed} --trouble {given.trouble:g}"
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

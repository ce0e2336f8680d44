"""``python -m tests.simulation.cuts [--share S] [--seed N] [STORY ...]``: cuts stories after their effects.

Prints one JSON line for each story; ends with 1 if an invariant was broken.
"""

import argparse
import json
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from random import Random

from tests.simulation.cuts.explore import explore
from tests.simulation.cuts.stories import STORIES
from tidewaiter.database import migrate


def main() -> int:
    """Run the stories that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.cuts")
    parser.add_argument("stories", nargs="*", metavar="STORY", help=", ".join(STORIES))
    parser.add_argument("--share", type=float, default=1.0, help="how many of the effects are followed by a cut")
    parser.add_argument("--seed", type=int, default=0, help="decides which, and what becomes of unsynced bytes")
    parser.add_argument("--after", metavar="EFFECT", help="cut only after this, as 'POST /exports'")
    parser.add_argument("--only", type=int, help="the number of the one effect that is followed by a cut")
    given = parser.parse_args()
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "template.db"
        migrate.upgrade(f"sqlite:///{template}")
        for name in given.stories or STORIES:
            chance = Random(f"{given.seed} {name}")

            def chosen(number: int, effect: str, chance: Random = chance) -> bool:
                if given.only is not None:
                    return bool(number == given.only)
                return given.after in (None, effect) and chance.random() < float(given.share)

            began = time.perf_counter()
            found = explore(STORIES[name], template, chosen=chosen, seed=given.seed)
            broken += len(found.broken)
            line = {
                "story": name,
                "effects": len(found.effects),
                "trace": sha256("\n".join(found.effects).encode()).hexdigest()[:16],
                "cuts": found.cuts,
                "parked": found.parked,
                "s": round(time.perf_counter() - began, 1),
                "broken": found.broken,
            }
            if found.broken:
                line["again"] = f"python -m tests.simulation.cuts --seed {given.seed} --share {given.share} '{name}'"
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

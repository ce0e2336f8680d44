"""``python -m tests.lying SEED``: runs one mix and prints what happened; ``FIRST COUNT`` runs many and sums up."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.lying.batches import batches, kind_of, story
from tests.lying.catalogue import draw
from tests.lying.claims import broken
from tests.lying.plan import Plan
from tests.lying.run import run
from tests.lying.shrink import shrunk
from tidewaiter.database import migrate


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _many(first: int, count: int, template: Path, *, shrink: int) -> int:
    kinds: dict[str, list[tuple[int, str]]] = {}
    started, states = time.perf_counter(), Counter[str]()
    for plans in batches(first, count):
        for ended in run(plans, template):
            states[ended.job.state] += 1
            for sentence in broken(ended):
                kinds.setdefault(kind_of(sentence), []).append((ended.plan.seed, sentence))
        spent = f"{time.process_time():.0f} s of CPU, {time.perf_counter() - started:.0f} s"
        _say(f"{states.total()} mixes, {spent}: {', '.join(f'{number} {state}' for state, number in states.items())}")
    for kind, rows in sorted(kinds.items()):
        _say(f"\n{kind}: {len(rows)}")
        for number, (seed, sentence) in enumerate(rows):
            plan = shrunk(draw(seed), kind, template) if number < shrink else draw(seed)
            _say(f"  {seed} {plan.shape} {plan.mode}: {sentence[:300]}; {_faults_of(plan)}")
    return 1 if kinds else 0


def _faults_of(plan: Plan) -> str:
    named = {f"{name} {fault.name}" for name, faults in plan.faults for fault in faults if fault is not None}
    return ", ".join(sorted(named)) or "no fault"


def _one(seed: int, template: Path, *, shrink: int) -> int:
    (ended,) = run([draw(seed)], template)
    sentences = broken(ended)
    _say(story(ended, sentences))
    if sentences and shrink:
        (smaller,) = run([shrunk(ended.plan, kind_of(sentences[0]), template)], template)
        _say("\n--- with as few faults as show it ---\n" + story(smaller, broken(smaller)))
    return 1 if sentences else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; the exit code is 1 where a claim is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.lying", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("count", type=int, nargs="?", default=1)
    parser.add_argument("--shrink", type=int, default=0, metavar="N", help="shrink the first N of each kind")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "template.db"
        migrate.upgrade(f"sqlite:///{template}")
        if asked.count > 1:
            return _many(asked.seed, asked.count, template, shrink=asked.shrink)
        return _one(asked.seed, template, shrink=asked.shrink)


if __name__ == "__main__":
    sys.exit(main())

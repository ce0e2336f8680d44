"""``python -m tests.lying SEED``: run one mix and print its story; ``FIRST COUNT`` runs many and sums up what broke."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from app.store import migrate
from tests.lying.catalogue import draw
from tests.lying.claims import broken
from tests.lying.plan import Plan
from tests.lying.run import Ended, run
from tests.lying.shrink import shrunk

_BATCH = 150


def story(ended: Ended) -> str:
    """Everything about one mix: plan, exchanges, history, and what is broken."""
    history = [f"  {entry.at - ended.job.created_at:9.2f}  {entry.state} {entry.outcome} {entry.detail or ''}" for entry in ended.history]
    lines = [ended.plan.told(), ended.remote.transcript(), *history]
    lines += [f"  file {name}: {len(data)} bytes" for name, data in ended.stored.items()]
    lines.append(f"{ended.job.state}: {ended.job.reason}")
    lines += [f"BROKEN {sentence}" for sentence in broken(ended)]
    return "\n".join(lines)


def batches(first: int, count: int, size: int = _BATCH) -> list[list[Plan]]:
    """The plans of these seeds, in groups that one daemon serves."""
    seeds = range(first, first + count)
    return [[draw(seed) for seed in seeds[at : at + size]] for at in range(0, count, size)]


def _many(first: int, count: int, template: Path, *, shrink: int) -> int:
    kinds: dict[str, list[tuple[int, str]]] = {}
    started, cpu = time.perf_counter(), time.process_time()
    states: dict[str, int] = {}
    for plans in batches(first, count):
        for ended in run(plans, template):
            states[ended.job.state] = states.get(ended.job.state, 0) + 1
            for sentence in broken(ended):
                kinds.setdefault(sentence.partition(":")[0], []).append((ended.plan.seed, sentence))
        spent = time.process_time() - cpu
        sys.stdout.write(f"{plans[-1].seed + 1 - first} mixes, {spent:.1f} s of CPU, {states}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{count} mixes in {time.perf_counter() - started:.1f} s\n")
    for kind, rows in sorted(kinds.items()):
        sys.stdout.write(f"\n{kind}: {len(rows)}\n")
        for number, (seed, sentence) in enumerate(rows):
            plan = shrunk(draw(seed), kind, template) if number < shrink else draw(seed)
            named = {f"{name} {fault.name}" for name, faults in plan.faults for fault in faults if fault}
            sys.stdout.write(f"  {seed} {plan.shape} {plan.mode}: {sentence[:200]} {sorted(named)}\n")
    return 1 if kinds else 0


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
        plan = draw(asked.seed)
        (ended,) = run([plan], template)
        sys.stdout.write(story(ended) + "\n")
        sentences = broken(ended)
        if sentences and asked.shrink:
            (smaller,) = run([shrunk(plan, sentences[0].partition(":")[0], template)], template)
            sys.stdout.write("\n--- with as few faults as show it ---\n" + story(smaller) + "\n")
        return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main())

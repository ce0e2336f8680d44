"""``python -m tests.mutants [NAME ...] [--area A] [--jobs N]``: puts mutants in, one at a time, and runs their tests.

With ``--generate N`` it makes N mutants itself, of the files that are named, or of those in ``tests.mutants.generate``.

Prints one line for each mutant, and a summary. Ends with 1 if one survived, with 2 if tests fail without a mutant.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.catalogue import Mutant, read
from tests.mutants.generate import GeneratedMutant, sample
from tests.mutants.scratch_copy import ScratchCopy, Verdict

_SURVIVED = 1
_FAIL_UNCHANGED = 2


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _chosen(names: Sequence[str], areas: Sequence[str] | None) -> list[Mutant]:
    mutants = read()
    unknown = set(names) - {mutant.name for mutant in mutants}
    if unknown:
        sys.exit(f"no such mutant: {', '.join(sorted(unknown))}")
    return [one for one in mutants if (not names or one.name in names) and (areas is None or one.area in areas)]


def _told(mutant: Mutant | GeneratedMutant, verdict: Verdict) -> str:
    what = f"{mutant.area:<11} {mutant.name}"
    if verdict.trouble is not None:
        return f"{what}: BROKEN: {verdict.trouble}"
    if verdict.killed_by is None:
        return f"{what}: SURVIVED ({', '.join(mutant.tests)})"
    return f"{what}: killed by {verdict.killed_by} in {verdict.seconds:.1f} s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="of mutants, all by default; with --generate, of files"
    )
    parser.add_argument("--area", action="append", help="the name of a list, such as leases; may be repeated")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many at once")
    parser.add_argument("--limit", type=float, default=180.0, metavar="S", help="of the time of one mutant")
    parser.add_argument("--unchanged", action="store_true", help="first run all these tests without a mutant")
    parser.add_argument("--generate", type=int, metavar="N", help="make so many mutants, instead of those of the lists")
    parser.add_argument("--seed", type=int, default=0, help="chooses the mutants that are made")
    asked = parser.parse_args(arguments)
    mutants: Sequence[Mutant | GeneratedMutant] = (
        _chosen(asked.names, asked.area) if asked.generate is None else sample(asked.names, asked.generate, asked.seed)
    )
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mutants_") as folder:
        copies: SimpleQueue[ScratchCopy] = SimpleQueue()
        for number in range(min(asked.jobs, len(mutants))):
            place = Path(folder) / str(number)
            place.mkdir()
            copies.put(ScratchCopy(place, asked.limit))
        if asked.unchanged:
            copy = copies.get()
            unchanged = copy.try_unchanged(sorted({test for one in mutants for test in one.tests}))
            copies.put(copy)
            if unchanged.killed_by is not None or unchanged.trouble is not None:
                _say(f"without a mutant: {unchanged.killed_by or unchanged.trouble}")
                return _FAIL_UNCHANGED

        def tried(mutant: Mutant | GeneratedMutant) -> bool:
            copy = copies.get()
            try:
                verdict = copy.try_mutant(mutant)
            finally:
                copies.put(copy)
            _say(_told(mutant, verdict))
            return verdict.killed_by is not None

        with ThreadPoolExecutor(max(1, asked.jobs)) as pool:
            killed = sum(pool.map(tried, mutants))
    _say(f"{killed} of {len(mutants)} mutants killed in {time.perf_counter() - began:.0f} s")
    return 0 if killed == len(mutants) else _SURVIVED


if __name__ == "__main__":
    sys.exit(main())

"""The list of mutants fits the sources; `make mutants` runs them."""

import re
from pathlib import Path

from tests.mutants.catalogue import ROOT, read

_FEWEST = 120
_FAULTS = range(1, 72)
_INVARIANTS = frozenset(f"invariant {number}" for number in range(1, 14))


def test_every_mutant_fits_the_sources() -> None:
    """A change of the sources that no mutant follows would silently take its promise off the list."""
    wrong = []
    sources: dict[Path, str] = {}
    for mutant in read():
        source = sources.setdefault(mutant.file, (ROOT / mutant.file).read_text())
        try:
            mutant.applied_to(source)
        except ValueError as error:
            wrong.append(f"{mutant.name}: {error}")
        wrong += [f"{mutant.name}: there is no test {test}" for test in mutant.tests if not _exists(test)]
        if not mutant.tests or not mutant.promise.endswith("."):
            wrong.append(f"{mutant.name}: has no tests, or its promise is no sentence")
    assert not wrong


def test_there_are_enough_mutants() -> None:
    """Every name is its own, and every fault and invariant has one that takes its promise out."""
    mutants = read()
    names = [mutant.name for mutant in mutants]
    assert len(set(names)) == len(names) >= _FEWEST
    assert {mutant.fault for mutant in mutants} == {*_FAULTS, *_INVARIANTS}


def _exists(test: str) -> bool:
    path, _, name = test.partition("::")
    if not (ROOT / path).is_file():
        return False
    function = re.escape(name.rpartition("::")[2].partition("[")[0])
    return not name or re.search(rf"^\s*(async )?def {function}\(", (ROOT / path).read_text(), re.MULTILINE) is not None

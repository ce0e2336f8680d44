"""The list of mutants: the TOML files beside this one, one for each area."""

import tomllib
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = Path("app/tidewaiter")
_KEYS: Final = {"name", "promise", "fault", "file", "find", "replace", "tests"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One promise taken out.

    ``fault`` is the number of a row of the fault catalogue, or an invariant such as ``invariant 5``. ``find`` occurs
    once in ``file``, and becomes ``replace``. ``tests`` are files or node ids, of which at least one must fail.
    """

    area: str
    name: str
    promise: str
    fault: int | str
    file: Path
    find: str
    replace: str
    tests: tuple[str, ...]

    def applied_to(self, source: str) -> str:
        """The source with this mutant in it.

        Raises:
            ValueError: the text to replace does not occur exactly once.
        """
        number = source.count(self.find)
        if number != 1:
            raise ValueError(f"{self.name}: the text to replace occurs {number} times in {self.file}")
        return source.replace(self.find, self.replace)


def read(folder: Path = Path(__file__).parent) -> list[Mutant]:
    """All mutants, by area."""
    return [mutant for path in sorted(folder.glob("*.toml")) for mutant in _of_area(path)]


def _of_area(path: Path) -> list[Mutant]:
    found = []
    for row in tomllib.loads(path.read_text())["mutant"]:
        if row.keys() != _KEYS:
            raise ValueError(f"{path.name}: {row.get('name')} has the keys {sorted(row.keys())}")
        found.append(
            Mutant(
                path.stem,
                row["name"],
                row["promise"],
                row["fault"],
                Path(normpath(SOURCES / row["file"])),
                row["find"],
                row["replace"],
                tuple(row["tests"]),
            )
        )
    return found

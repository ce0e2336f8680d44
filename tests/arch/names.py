"""No Python file names a provider. A provider is described only in its spec and its emulator.

Run by ``make arch``: ``python -m tests.arch.names``.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CATALOG = "app/tidewaiter/providers/catalog"
EXEMPT = ("app/tidewaiter/emulators/",)
"""Emulators stand for one provider each. Tests are outside of ``app`` and ``migrations``, which is what is searched."""


def provider_names(root: Path) -> list[str]:
    """The names of the catalogue's providers."""
    return sorted(tomllib.loads(path.read_text("utf-8"))["name"] for path in (root / CATALOG).glob("*.toml"))


def namings(root: Path) -> Iterator[str]:
    """Every line of Python that names a provider, as ``file:line: name``; spelled together or apart, in any case."""
    names = provider_names(root)
    pattern = re.compile("|".join("[-_ ]?".join(map(re.escape, name.split("-"))) for name in names), re.IGNORECASE)
    for folder in ("app", "migrations"):
        for path in sorted((root / folder).rglob("*.py")):
            place = path.relative_to(root).as_posix()
            if place.startswith(EXEMPT):
                continue
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                if found := pattern.search(line):
                    yield f"{place}:{number}: {found[0]}"


def main() -> int:
    """Print every naming; the exit code is 1 where there is one, and where there is nothing to look for."""
    names = provider_names(ROOT)
    if not names:
        print(f"no providers in {CATALOG}: nothing was checked")
        return 1
    found = list(namings(ROOT))
    for one in found:
        print(f"{one}: a provider is named outside of its spec and its emulator")
    if not found:
        print(f"No Python file names one of the {len(names)} providers of the catalogue.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

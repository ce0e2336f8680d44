"""docs/providers/coverage.md: each claim about an API is backed by specs that exist and say what the claim says."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.providers.providers_page import DOCS, RECIPES, rows
from tidewaiter import providers

CATALOG = Path(providers.__file__).parent / "catalog"
TEXT = (DOCS / "coverage.md").read_text("utf-8")
ROWS = list(rows(TEXT))
FITS = [row for row in ROWS if row[5] == "nothing"]
_WORD = re.compile(r"`([^`]+)`")


def _file(name: str) -> Path:
    """The spec of a name, in the catalogue or among the recipes."""
    file = CATALOG / f"{name}.toml"
    return file if file.is_file() else RECIPES / f"{name}.toml"


def _words(value: object) -> Iterator[str]:
    """Each key and each text of a spec, except in its examples."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_claim_is_backed(row: list[str]) -> None:
    """The specs of a row exist, and have every word that the row says it needs."""
    names = row[3].split(", ")
    said: set[str] = set()
    for name in names:
        assert _file(name).is_file(), f"there is no spec or recipe {name}"
        spec = tomllib.loads(_file(name).read_text("utf-8"))
        said.update(_words({key: part for key, part in spec.items() if key != "examples"}))
    wanted = set(_WORD.findall(row[2]))
    assert wanted
    assert wanted - said == set()


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_what_a_claim_rests_on_is_said(row: list[str]) -> None:
    """`spec` is said only of an API that the catalogue describes: the first spec of its row."""
    first, _, _ = row[3].partition(", ")
    assert row[4] in {"spec", "tried", "read", "memory"}
    assert row[4] != "spec" or (CATALOG / f"{first}.toml").is_file()


def test_the_numbers_are_those_of_the_table() -> None:
    """59 APIs, and as many of them fit as the page says: at least 55."""
    found = re.search(r"^(\d+) public APIs .* (\d+) fit, (\d+) do", TEXT, re.MULTILINE)
    assert found is not None
    assert [int(number) for number in found.groups()] == [len(ROWS), len(FITS), len(ROWS) - len(FITS)]
    assert len({row[0] for row in ROWS}) == len(ROWS) == 59
    assert len(FITS) >= 55

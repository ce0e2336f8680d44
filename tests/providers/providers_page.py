"""docs/providers in parts: the chapters of the tutorial, the spec that it builds step by step, and the recipes."""

import re
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs" / "providers"
RECIPES = Path(__file__).parent / "recipes"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def sections(text: str, level: int) -> dict[str, str]:
    """The parts of a text below its headings of a level, by heading."""
    parts = re.split(rf"^{'#' * level} (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def toml_blocks(text: str) -> list[str]:
    """The blocks of TOML in a text."""
    return [body for language, body in _BLOCK.findall(text) if language == "toml"]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of the tables of a text, without their heads."""
    for table in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        for line in table.splitlines()[2:]:
            yield [cell.strip() for cell in line[1:-1].split("|")]


PAGE = (DOCS / "index.md").read_text("utf-8")
CHAPTERS = sections(PAGE, 2)
WALK = CHAPTERS["From nothing to a file"]
*_STEPS, CONFIGURATION = toml_blocks(WALK)
SPEC = "\n".join(_STEPS)

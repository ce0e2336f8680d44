"""docs/providers.md in parts: its chapters, its blocks, its tables, and the spec that it builds step by step."""

import re
from collections.abc import Iterator
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text("utf-8")
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


CHAPTERS = sections(PAGE, 2)
WALK = CHAPTERS["From nothing to a file"]
*_STEPS, CONFIGURATION = toml_blocks(WALK)
SPEC = "\n".join(_STEPS)
RECIPES = {title: toml_blocks(text) for title, text in sections(CHAPTERS["Recipes"], 3).items()}
REFERENCE = sections(CHAPTERS["Reference"], 3)

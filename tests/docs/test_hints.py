"""Commands that the program itself names exist, with their options and their arguments."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

from tests.support.command_lines import fault_of
from tests.support.doc_pages import ROOT, calls_in
from tidewaiter.cli.main import main

_SOURCES: Final = ROOT / "app/tidewaiter"
_OTHERS: Final = (
    *sorted((_SOURCES / "web/ui").rglob("*.html")),
    *sorted((_SOURCES / "web/ui").rglob("*.js")),
    *sorted((_SOURCES / "providers/catalog").glob("*.toml")),
    *sorted((ROOT / "config").rglob("*.yaml")),
    *sorted((ROOT / "config").rglob("*.toml")),
)
_FILES: Final = (*sorted(_SOURCES.rglob("*.py")), *_OTHERS)

_PLACE: Final = "VALUE"
"""Stands for what the program fills in: ``{job.id}``, ``{{ account.name }}``."""
_COMMANDS: Final = "|".join(main.list_commands(click.Context(main)))
# Marked as code, or a line of its own; in a sentence only `tidewaiter COMMAND` itself is looked at.
_MARKED: Final = re.compile(rf"(?<!`)`((?:tidewaiter|{_COMMANDS}) [^`]+)`|<code>(tidewaiter [^<]+)</code>")
_LINE: Final = re.compile(r"^\s*(tidewaiter [a-z-]+(?: .*)?)$", re.MULTILINE)
_PLAIN: Final = re.compile(r"(?<![\w/.-])tidewaiter ([a-z][a-z-]*)")
_NO_COMMANDS: Final = frozenset({"cursor", "emulator", "import", "tidewaiter"})
"""Words that follow the name where no command is meant: in keys of hashes, imports and `sudo -u tidewaiter`."""
_NEEDED: Final = frozenset({"submit", "run"})
"""Commands that no message may name without what they need: the operation, and a parameter where one is to be typed."""


def texts_in(file: Path) -> Iterator[str]:
    """Everything in a file that may be shown, with ``VALUE`` where the program fills something in."""
    if file.suffix != ".py":
        yield re.sub(r"\{\{.*?\}\}", _PLACE, file.read_text())
        return
    tree = ast.parse(file.read_text())
    inside = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else _PLACE for one in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield re.sub(r"\{\w+\}", _PLACE, node.value)


def hints_in(text: str) -> Iterator[str]:
    """The commands that a text names, as they would be typed."""
    for found in _MARKED.finditer(text):
        hint = " ".join((found[1] or found[2]).split())
        yield hint if hint.startswith("tidewaiter ") else f"tidewaiter {hint}"
    for found in _LINE.finditer(text):
        yield found[1]


def faults_in(text: str) -> list[str]:
    """What is wrong with the commands that a text names."""
    faults = [
        f"{hint}: {fault}"
        for hint in hints_in(text)
        for words in calls_in(hint)
        if (fault := fault_of(words) or _missing(words)) is not None
    ]
    first = {word for word in _PLAIN.findall(text) if word not in _NO_COMMANDS}
    return faults + [f"tidewaiter {word}: no command" for word in sorted(first) if fault_of([word]) is not None]


def _missing(words: list[str]) -> str | None:
    """What a command lacks that is to be typed as it stands; a name alone, as in a sentence, is a name."""
    if len(words) > 1 and words[0] in _NEEDED and words[1] != "-h" and "-p" not in words:
        return "it is named with its account and without its parameters"
    return None


@pytest.mark.parametrize("file", _FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_named_commands_exist(file: Path) -> None:
    """Every command in messages, help, pages, alerts and specs is one that the real parser has."""
    assert [fault for text in texts_in(file) for fault in faults_in(text)] == []


def test_commands_are_found() -> None:
    """The test above would be green, too, if it found nothing."""
    found = [hint for file in _FILES for text in texts_in(file) for hint in hints_in(text)]
    assert len(found) > 100
    assert "tidewaiter accounts resume VALUE" in found
    assert "tidewaiter db upgrade" in found


@pytest.mark.parametrize(
    "text",
    [
        "its events are in `tidewaiter history 12`",
        "its events are in tidewaiter history",
        "`jobs history VALUE` has them",
        "<code>tidewaiter files 12</code>",
        "\b\nExample:\n  tidewaiter jobs list --stat failed",
        "tidewaiter submit shop statistics",
    ],
)
def test_commands_that_do_not_exist_are_faults(text: str) -> None:
    """A wrong command, group, option, or a submit without parameters, however it is written."""
    assert faults_in(text) != []

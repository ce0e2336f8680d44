"""What the pages name exists: files, targets of make, classes and methods; and the trips lead downwards."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.doc_pages import PAGES, ROOT, blocks

SOURCES = ROOT / "app/tidewaiter"
FOLDERS = {folder.name for base in (ROOT, SOURCES) for folder in base.iterdir() if folder.is_dir()}
MADE_LATER = ("dist/", ".cache/", "config/deploy/compose/secrets/")
"""Places that a build or an operator makes; no commit has them."""

TRIPS = ROOT / "docs/trips.md"
INSIDE = (ROOT / "docs/architecture.md", TRIPS, *sorted((ROOT / "docs/decisions").glob("*.md")))
"""The pages for those who change the code."""
_CODE = re.compile(r"`([^`]+)`")
_PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]*)+|[\w*-]+\.py")
_CLASS = re.compile(r"\b[A-Z][a-z]+(?:[A-Z][a-z0-9]+)+\b")
_DOTTED = re.compile(r"([A-Z][A-Za-z]+)\.(\w+)(?:\(.*)?")
_FUNCTION = re.compile(r"([a-z_]+)\(.*\)")
_MODULE = re.compile(r"(?:python -m|from|import) ((?:tidewaiter|tests)(?:\.[a-z_]+)*)\b")
_FOREIGN = {"JavaScript", "OpenAPI", "PostgreSQL"}
"""Words with two capitals that are no classes of ours."""


def named_in(page: Path) -> Iterator[str]:
    """Every piece of code in a line of a page."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    yield from _CODE.findall(text)


def paths_in(page: Path) -> set[str]:
    """Every path in a page that begins with a folder of the repository or the sources, and every name of a module."""
    found = {path for code in named_in(page) for path in _PATH.findall(code)}
    return {path for path in found if path.partition("/")[0] in FOLDERS or path.endswith(".py")}


def is_there(path: str) -> bool:
    """Whether a path leads to a file or a folder, from the top or from the sources."""
    return any(next(base.glob(path.rstrip("/")), None) is not None for base in (ROOT, SOURCES))


@cache
def definitions() -> dict[str, set[str]]:
    """Every class and function of the sources, and the names that are defined in each."""
    found: dict[str, set[str]] = {}
    for file in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found.setdefault(node.name, set()).update(_names_in(node))
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if isinstance(target, ast.Name):
                        found.setdefault(target.id, set())
    return found


def _names_in(scope: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for node in ast.walk(scope):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_exist(page: Path) -> None:
    """Every path that a page names leads to a file or folder."""
    assert [path for path in sorted(paths_in(page)) if not path.startswith(MADE_LATER) and not is_there(path)] == []


def test_targets_exist() -> None:
    """Every target of make that a page names is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        named = {word for code in named_in(page) if code.startswith("make ") for word in code.split()[1:]}
        assert {word for word in named if re.fullmatch(r"[a-z-]+", word)} <= targets, page


@pytest.mark.parametrize("page", INSIDE, ids=lambda page: page.name)
def test_classes_exist(page: Path) -> None:
    """Every class that these pages name is defined in the sources."""
    named = {code for code in named_in(page) if re.fullmatch(r"[A-Z][a-z]\w*", code)}
    if page.parent.name == "docs":  # pictures and steps, too
        named |= set(_CLASS.findall(page.read_text())) - _FOREIGN
        named |= set(re.findall(r"\*\*([A-Z]\w+)\*\*", page.read_text()))
    assert named - definitions().keys() == set()


def test_members_exist() -> None:
    """Every method, field and function that these pages name belongs to its class."""
    known, lost = definitions(), []
    for page in INSIDE:
        for code in named_in(page):
            if (member := _DOTTED.fullmatch(code)) is not None:
                is_known = member[2] in known.get(member[1], ())
            elif (function := _FUNCTION.fullmatch(code)) is not None:
                is_known = function[1] in known
            else:
                continue
            if not is_known:
                lost.append(f"{page.name}: {code}")
    assert lost == []


def test_modules_exist() -> None:
    """Every module of Tidewaiter or of the tests that a page imports or runs is there."""
    found = {name for page in PAGES for name in _MODULE.findall(re.sub(r"\s+", " ", page.read_text()))}
    assert {"tidewaiter.sdk", "tests.simulation"} <= found
    for name in found:
        path = (ROOT / "app" if name.startswith("tidewaiter") else ROOT) / name.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), name


def trips() -> list[list[tuple[int, str]]]:
    """The files of each trip, with their indentation."""
    lines = [block.text.splitlines() for block in blocks(TRIPS, "text")]
    return [[(len(line) - len(line.lstrip()), line.split()[0]) for line in trip] for trip in lines]


def floors() -> dict[str, int]:
    """The floor of each package, counted from the top, as the import contracts have them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["name"] == "Floors")
    return {room: number for number, layer in enumerate(layers) for room in re.findall(r"\((\w+)\)", layer)}


def test_trips_lead_downwards() -> None:
    """Each file of a trip exists and comes once; calls lead down or stay in the package; the counts are right."""
    floor_of = floors()
    counts = [int(number) for number in re.findall(r"^(\d+) files\.$", TRIPS.read_text(), re.MULTILINE)]
    assert [len(trip) for trip in trips()] == counts
    for trip in trips():
        names = [name for _, name in trip]
        assert len(names) == len(set(names))
        assert [name for name in names if not (SOURCES / name).is_file()] == []
        callers: list[tuple[int, str]] = []
        for indent, name in trip:
            callers = [one for one in callers if one[0] < indent]
            if callers:
                above, below = callers[-1][1].partition("/")[0], name.partition("/")[0]
                assert above == below or floor_of[above] < floor_of[below], f"{callers[-1][1]} -> {name}"
            callers.append((indent, name))

"""docs/providers/recipes: every recipe is a whole spec whose examples hold, and a page shows it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.providers.providers_page import DOCS, RECIPES
from tidewaiter.providers.checks.spec_lint import read_spec
from tidewaiter.providers.examples.spec_examples import run_examples, uncovered_rules
from tidewaiter.providers.provider import Provider

FILES = sorted(RECIPES.glob("*.toml"))
PAGES = sorted((DOCS / "recipes").glob("*.md"))
_INCLUDE = re.compile(r"^```\{literalinclude\} (\S+)\n((?::.*\n)*)```$", re.MULTILINE)
_OPTION = re.compile(r'^:(start-at|end-before): "(.*)"$', re.MULTILINE)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_is_a_whole_spec(file: Path) -> None:
    """Lint finds nothing, every example holds, and every step, rule and word is shown."""
    text = file.read_text("utf-8")
    spec, faults = read_spec(file.name, text)
    assert faults == []
    assert spec is not None
    provider = Provider(spec, text, file.name)
    results = run_examples(provider)
    assert results
    assert [str(result) for result in results if not result.ok] == []
    assert uncovered_rules(provider) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_is_on_a_page(file: Path) -> None:
    """A page includes it, names it, or has the same text."""
    pages = [page.read_text("utf-8") for page in PAGES]
    assert any(file.name in page or file.read_text("utf-8").strip() in page for page in pages)


def _includes() -> Iterator[tuple[Path, str, str]]:
    for page in PAGES:
        for name, options in _INCLUDE.findall(page.read_text("utf-8")):
            yield page, name, options


def test_every_page_shows_what_it_names() -> None:
    """The files that pages include exist, and have the lines between which they are shown."""
    shown = list(_includes())
    assert len(shown) > 20
    for page, name, options in shown:
        file = (page.parent / name).resolve()
        assert file.is_file(), f"{page.name} includes {name}, which does not exist"
        rest = file.read_text("utf-8")
        for option, line in _OPTION.findall(options):
            assert line in rest, f"{page.name}: {option} {line} is not in {name}"
            rest = rest[rest.index(line) + len(line) :]

"""The recipes about bodies and replies: each is a spec whose examples hold and use every rule."""

from pathlib import Path

import pytest

from tidewaiter.providers.provider import Provider
from tidewaiter.providers.spec_examples import run_examples, uncovered_rules

RECIPES = Path(__file__).parent / "recipes"
PAGES = {"unpack.toml": "unpack.md", "xml-replies.toml": "xml.md"}


@pytest.mark.parametrize("name", PAGES)
def test_a_recipe_holds_and_its_page_shows_it(name: str) -> None:
    """Its examples are as expected, no rule is without one, and the page includes the file itself."""
    provider = Provider.read((RECIPES / name).read_text(), name)
    results = run_examples(provider)
    assert results
    assert [str(one) for one in results if not one.ok] == []
    assert uncovered_rules(provider) == []
    page = Path("docs/providers/recipes") / PAGES[name]
    assert f"tests/providers/recipes/{name}\n:language: toml" in page.read_text()

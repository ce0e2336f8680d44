"""The specs of the recipes: without fault, with an example for every rule, and shown whole on their page."""

from pathlib import Path

import pytest

from tidewaiter.providers.provider import Provider
from tidewaiter.providers.spec_examples import run_examples, uncovered_rules
from tidewaiter.providers.spec_lint import lint

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "tests/providers/recipes").glob("*.toml"))


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_a_recipe_works(spec: Path) -> None:
    """As `providers lint` and `providers test` would say."""
    assert [str(fault) for fault in lint(spec)] == []
    provider = Provider.read(spec.read_text(), str(spec))
    assert [str(result) for result in run_examples(provider) if not result.ok] == []
    assert uncovered_rules(provider) == []


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_a_recipe_is_on_its_page(spec: Path) -> None:
    """The page includes the file that is tested here."""
    pages = [page.read_text() for page in (ROOT / "docs/providers/recipes").glob("*.md")]
    assert any(f"tests/providers/recipes/{spec.name}" in page for page in pages)

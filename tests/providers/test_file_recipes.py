"""The recipes about files: each page shows a spec that is tested, and every rule of it has an example."""

from pathlib import Path

import pytest

from tidewaiter.providers.provider import Provider
from tidewaiter.providers.spec_examples import run_examples, uncovered_rules

ROOT = Path(__file__).parents[2]
RECIPES = ("files-as-requests", "files-from-lists", "files-while-running")


@pytest.mark.parametrize("name", RECIPES)
def test_the_spec_of_a_recipe(name: str) -> None:
    """The page includes the file, and the file's examples agree with it."""
    path = ROOT / "tests/providers/recipes" / f"{name}.toml"
    page = (ROOT / "docs/providers/recipes" / f"{name}.md").read_text("utf-8")
    assert f"```{{literalinclude}} ../../../tests/providers/recipes/{name}.toml" in page
    provider = Provider.read(path.read_text("utf-8"), str(path))
    assert [str(one) for one in run_examples(provider) if not one.ok] == []
    assert uncovered_rules(provider) == []

"""docs/recipes: the page has each recipe from its file, and each is short; ``make recipes`` runs them."""

import ast

from tests.support.doc_pages import ROOT, blocks

FOLDER = ROOT / "docs/recipes"
PAGE = FOLDER / "index.md"
RECIPES = sorted(FOLDER.glob("*.py"))


def test_the_page_includes_each_recipe() -> None:
    """There is one source of each: the file that the page includes and that is run."""
    assert [one.name for one in RECIPES] == ["tidewaiter_airflow.py", "tidewaiter_dagster.py", "tidewaiter_prefect.py"]
    for recipe in RECIPES:
        assert f"```{{literalinclude}} {recipe.name}\n" in PAGE.read_text()
        assert len(recipe.read_text().splitlines()) < 80
        assert (ROOT / "tests/recipes" / f"try_{recipe.stem.removeprefix('tidewaiter_')}.py").is_file()


def test_examples_use_what_the_recipes_have() -> None:
    """Each example is Python, and gives a recipe arguments that it has."""
    known = {
        node.arg for recipe in RECIPES for node in ast.walk(ast.parse(recipe.read_text())) if isinstance(node, ast.arg)
    }
    known |= {"url", "token"}  # fields of the resource
    calls = [
        node
        for block in blocks(PAGE, "python")
        for node in ast.walk(ast.parse(block.text))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"TidewaiterExport", "tidewaiter.export", "export", "Tidewaiter"}
    ]
    assert len(calls) == 4
    for call in calls:
        assert {one.arg for one in call.keywords} - {"task_id", "retries"} <= known

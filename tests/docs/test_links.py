"""Links of the pages that are no part of the site lead somewhere; those of the site are `make docs`' business."""

import re
from pathlib import Path

import pytest

from tests.support.doc_pages import PAGES, ROOT, anchors_of, links_of


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    """Files of the repository exist, and pages have the headings; addresses on the network are not tried."""
    lost = []
    for link in links_of(page):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            lost.append(link)
    assert lost == []


def test_every_page_is_in_the_contents() -> None:
    """The contents of a folder name each of its pages; otherwise no reader finds it."""
    for folder in (ROOT / "docs", ROOT / "docs/decisions"):
        contents = (folder / "index.md").read_text().splitlines()
        assert {page.stem for page in PAGES if page.parent == folder} - {"index"} <= set(contents)


def test_decisions_are_numbered() -> None:
    """Every record has a number of its own, without gaps, and the same three parts."""
    records = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for number, record in enumerate(records, start=1):
        headings = re.findall(r"^#+ .+$", record.read_text(), re.MULTILINE)
        assert headings[0].startswith(f"# {number}. ")
        assert headings[1:] == ["## Context", "## Decision", "## Consequences"]


def test_alerts_lead_to_what_to_do() -> None:
    """Each paragraph of the handbook that an alert names is there."""
    rules = "".join(path.read_text() for path in (ROOT / "config/alerts").iterdir())
    named = set(re.findall(r"docs/operate\.md#([\w-]+)", rules))
    assert len(named) > 20
    assert named <= anchors_of(ROOT / "docs/operate.md")

"""The reference page has every table and key and is up to date."""

from pathlib import Path

from tidewaiter.config.reference import reference
from tidewaiter.config.table_keys import every_table

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_up_to_date() -> None:
    """``docs/configuration.md`` is what the tables say; ``make docs-config`` brings it up to date."""
    assert PAGE.read_text() == reference()


def test_every_key_is_there() -> None:
    """Each table has a heading and the form of its variables, and each of its keys a row with its meaning."""
    page = PAGE.read_text()
    for table in every_table():
        section = page.split(f"### `{table.title}`\n", 1)[1].split("\n##", 1)[0]
        assert "TIDEWAITER__" in section
        for name, key in table.keys.items():
            (row,) = (line for line in section.splitlines() if line.startswith(f"| `{name}` |"))
            assert str(key.description).replace("|", "\\|") in row

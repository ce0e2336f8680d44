"""Every configuration that a page shows can be loaded."""

import re
import tomllib
from pathlib import Path

import pytest

from app.config import Config, load
from tests.docs.pages import PAGES, Block, blocks

# Its blocks are specs, which tests/providers holds to the language.
_CONFIGURATIONS = [block for page in PAGES if page.name != "providers.md" for block in blocks(page, "toml")]


@pytest.mark.parametrize("block", _CONFIGURATIONS, ids=lambda block: block.place)
def test_configurations_load(block: Block, tmp_path: Path) -> None:
    """Each is a whole configuration or a piece of one, with nothing in it that the loader refuses."""
    assert tomllib.loads(block.text).keys() <= Config.model_fields.keys()
    secret = tmp_path / "secret"
    secret.write_text("postgresql://somebody@somewhere/tidewaiter" if "url_file" in block.text else "a" * 40)
    path = tmp_path / "tidewaiter.toml"
    path.write_text(re.sub(r'(_file\s*=\s*)"[^"]*"', rf'\1"{secret}"', block.text))
    config = load(path, {})
    assert config.path == path


def test_configurations_are_found() -> None:
    """The test above would be green, too, if there were none."""
    assert len(_CONFIGURATIONS) > 5

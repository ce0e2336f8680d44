"""Every configuration on a page can be loaded."""

import base64
import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tests.support.doc_pages import PAGES, ROOT, Block, blocks
from tidewaiter.config import Config, load

# Its blocks are specs, which tests/providers holds to the language.
_CONFIGURATIONS = [
    block for page in PAGES if ROOT / "docs/providers" not in page.parents for block in blocks(page, "toml")
]
_CONTENTS: Final = {
    ("database", "url"): "postgresql://somebody@somewhere/tidewaiter",
    ("notifications", "url"): "https://ops.example.com/hook?key=1",
    ("notifications", "secret"): "whsec_" + base64.b64encode(bytes(32)).decode(),
}


@pytest.mark.parametrize("block", _CONFIGURATIONS, ids=lambda block: block.place)
def test_configurations_load(block: Block, tmp_path: Path) -> None:
    """Each is a whole configuration or a piece of one, with nothing in it that the loader refuses."""
    assert tomllib.loads(block.text).keys() <= Config.model_fields.keys()
    path = tmp_path / "tidewaiter.toml"
    path.write_text(_with_secrets(block.text, tmp_path))
    config = load(path, {})
    assert config.path == path


def _with_secrets(text: str, folder: Path) -> str:
    """The configuration with files that are there for those that it reads secrets from."""
    table, lines = "", []
    for number, line in enumerate(text.splitlines()):
        header = re.match(r"\[([\w-]+)", line)
        table = header[1] if header else table
        key = re.match(r"(\w+)_file\s*=", line)
        if key:
            secret = folder / f"secret-{number}"
            secret.write_text(_CONTENTS.get((table, key[1]), f"{number:040}"))
            line = f'{key[0]} "{secret}"'  # noqa: PLW2901  # the line as it is meant here
        lines.append(line)
    return "\n".join(lines)


def test_configurations_are_found() -> None:
    """The test above would be green, too, if there were none."""
    assert len(_CONFIGURATIONS) > 5

"""Keeps the code of compiled templates between two starts, as Python keeps that of modules: in ``__pycache__``.

To compile what the first page needs takes longer than to read all that it shows, where there are a million jobs.
``python -m tidewaiter.web.ui.page_code`` compiles every template, for an image whose files are read-only later.
"""

import contextlib
import os
import pickle
import sys
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING, Final

import jinja2
from jinja2 import BytecodeCache

if TYPE_CHECKING:
    from jinja2.bccache import Bucket

_TEMPLATES: Final = Path(__file__).parent / "templates"


class PageCode(BytecodeCache):
    """The code of templates in files beside them; one that fits no longer, or cannot be read, is compiled again.

    Source: https://jinja.palletsprojects.com/en/stable/api/#bytecode-cache

    Args:
        made_with: the settings of the templates' environment that decide what the code is.
        templates: the folder of the templates.
    """

    def __init__(self, made_with: str, templates: Path = _TEMPLATES) -> None:
        self._made_with = f"{jinja2.__version__} {made_with} "
        self._templates = templates

    def get_source_checksum(self, source: str) -> str:
        """What must be the same, so that the code is used: the text, Jinja's version and the settings."""
        return super().get_source_checksum(self._made_with + source)

    def load_bytecode(self, bucket: "Bucket") -> None:
        """Give the bucket its code, if it is kept."""
        try:
            with self._file(bucket).open("rb") as file:
                bucket.load_bytecode(file)
        except (OSError, EOFError, pickle.UnpicklingError):  # it is not there, or torn
            bucket.reset()

    def dump_bytecode(self, bucket: "Bucket") -> None:
        """Keep the code of the bucket, where Python may keep that of modules and the folder permits it."""
        if sys.dont_write_bytecode:
            return
        file = self._file(bucket)
        made = file.with_name(f"{file.name}.{os.getpid()}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with made.open("wb") as opened:
                bucket.write_bytecode(opened)
            made.replace(file)
        except OSError:  # an installation that is read-only compiles at each start
            with contextlib.suppress(OSError):
                made.unlink(missing_ok=True)

    def _file(self, bucket: "Bucket") -> Path:
        # Where Python would keep the code of a module: PYTHONPYCACHEPREFIX counts, too.
        return Path(cache_from_source(str(self._templates / f"{bucket.key}.html")))


def main() -> int:
    """Compile all templates and keep their code."""
    from tidewaiter.web.ui.page_renderer import make_environment  # noqa: PLC0415  # which imports this module

    environment = make_environment({})
    for name in environment.list_templates(extensions=("html",)):
        environment.get_template(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())

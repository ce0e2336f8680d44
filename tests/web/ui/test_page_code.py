"""The code of templates is kept between two starts, and never used where it does not fit."""

import sys
from pathlib import Path

import jinja2
import pytest
from jinja2 import DictLoader, Environment

from tidewaiter.web.ui import page_code
from tidewaiter.web.ui.page_code import PageCode


@pytest.fixture(autouse=True)
def _kept_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where nobody has said otherwise."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)


def _shown(folder: Path, text: str = "{{ 1 + 1 }}", made_with: str = "") -> tuple[str, bool]:
    """What a new environment shows, and whether it had to compile the template."""
    compiled = []

    class Watched(Environment):
        def _generate(self, *values: object, **options: object) -> str:
            compiled.append(values)
            return super()._generate(*values, **options)  # type: ignore[arg-type]

    environment = Watched(loader=DictLoader({"page.html": text}), bytecode_cache=PageCode(made_with, folder))
    return environment.get_template("page.html").render(), bool(compiled)


def test_the_second_start_compiles_nothing(tmp_path: Path) -> None:
    """The code is read where Python keeps that of modules, and nothing else is left there."""
    assert _shown(tmp_path) == ("2", True)
    assert _shown(tmp_path) == ("2", False)
    (kept,) = (tmp_path / "__pycache__").iterdir()
    assert kept.suffix == ".pyc"


def test_what_does_not_fit_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another text, other settings, another version of the library, a torn file."""
    _shown(tmp_path)
    assert _shown(tmp_path, "{{ 2 + 2 }}") == ("4", True)
    assert _shown(tmp_path, "{{ 2 + 2 }}", "other settings") == ("4", True)
    monkeypatch.setattr(jinja2, "__version__", "999")
    assert _shown(tmp_path, "{{ 2 + 2 }}", "other settings") == ("4", True)
    (kept,) = (tmp_path / "__pycache__").iterdir()
    whole = kept.read_bytes()
    for size in range(0, len(whole), 7):
        kept.write_bytes(whole[:size])
        assert _shown(tmp_path, "{{ 2 + 2 }}", "other settings") == ("4", True)
        assert kept.read_bytes() == whole


def test_a_folder_that_takes_nothing(tmp_path: Path) -> None:
    """An installation that is read-only compiles at each start; a file in the way of the folder stands for it."""
    (tmp_path / "__pycache__").write_bytes(b"")
    assert _shown(tmp_path) == ("2", True)
    assert _shown(tmp_path) == ("2", True)


def test_who_wants_no_code_beside_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PYTHONDONTWRITEBYTECODE and PYTHONPYCACHEPREFIX count as they do for modules."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert _shown(tmp_path) == ("2", True)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "elsewhere"))
    assert _shown(tmp_path / "templates") == ("2", True)
    assert _shown(tmp_path / "templates") == ("2", False)
    assert not (tmp_path / "templates").exists()


def test_all_templates_are_compiled_for_an_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What an image runs when it is built leaves the code of each of them."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    assert page_code.main() == 0
    templates = list((Path(page_code.__file__).parent / "templates").glob("*.html"))
    assert len(list(tmp_path.rglob("templates/*.pyc"))) == len(templates) > 10

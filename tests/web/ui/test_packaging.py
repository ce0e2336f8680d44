"""The files of the page are in the wheel."""

import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_templates_and_static_files_are_packed(tmp_path: Path) -> None:
    """An installed Tidewaiter has every template, the style and the script."""
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(built) as wheel:
        packed = set(wheel.namelist())
    room = ROOT / "app/tidewaiter/web/ui"
    wanted = [path for folder in ("templates", "static") for path in (room / folder).iterdir() if path.is_file()]
    assert len(wanted) > 10
    assert {path.relative_to(ROOT / "app").as_posix() for path in wanted} <= packed

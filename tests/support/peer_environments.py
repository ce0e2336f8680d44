"""Environments of other programs beside which Tidewaiter is tried and measured: made once, in ``.cache/matrix``."""

import subprocess
import sys
from pathlib import Path
from typing import Final

ENVIRONMENTS: Final = Path(__file__).parents[2] / ".cache/matrix"


def prepared(name: str, packages: tuple[str, ...]) -> tuple[Path, str]:
    """The Python of a peer's environment, and the peer's version."""
    folder = ENVIRONMENTS / name
    python = folder / "bin/python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], check=True
        )
        (folder / "ready").touch()
    code = f"import importlib.metadata as m; print(m.version({packages[0]!r}))"
    found = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return python, found.stdout.strip()

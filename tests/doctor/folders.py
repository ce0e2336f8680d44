"""The names in a folder."""

from pathlib import Path


def names_in(folder: Path) -> list[str]:
    """The names of files and folders in it, sorted."""
    return sorted(path.name for path in folder.iterdir())

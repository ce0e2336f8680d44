"""Functions that read folders, outside of coroutines."""

from pathlib import Path


def files(root: Path) -> list[str]:
    """Every file below a folder, by its path below it."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()) if root.is_dir() else []


def read(path: Path) -> bytes:
    """A file's content."""
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    """Make a file of this content, and the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def link(path: Path, target: Path) -> None:
    """Make a symbolic link, and the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def only(root: Path, pattern: str) -> Path:
    """The one file that matches."""
    (path,) = root.glob(pattern)
    return path


def descriptors() -> int:
    """How many file descriptors this process has open."""
    return len(list(Path("/dev/fd").iterdir()))

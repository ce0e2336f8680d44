"""Folders that exist for one block of a test."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder in memory where the system has such a place: a database commits often, and a disk makes it wait."""
    place = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix=f"tidewaiter-{name}-", dir=place) as folder:
        yield Path(folder)


def patience(waited_s: float) -> float:
    """How long to wait before a look in virtual time: ever longer, as each look is a query."""
    return min(5.0, 0.5 + waited_s / 50.0)

"""A storage on a folder of the test's own, with real threads and in place."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from app.storage.local import LocalStorage
from app.storage.threads import StorageThreads

T = TypeVar("T")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The storage root; nobody has made it yet."""
    return tmp_path / "exports"


async def in_place(work: Callable[[], T], /) -> T:
    """Run the work where it is asked for, as the simulation does."""
    return work()


@pytest.fixture(params=["threads", "in place"])
def storage(root: Path, request: pytest.FixtureRequest) -> Iterator[LocalStorage]:
    """A storage with real threads, which have ended when the test has, and one without."""
    if request.param == "in place":
        yield LocalStorage(root, in_place)
    else:
        with StorageThreads() as threads:
            yield LocalStorage(root, threads)

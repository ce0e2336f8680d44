"""The standard library's logging is restored after each test."""

import io
from collections.abc import Iterator

import pytest

from tidewaiter.log import configure


@pytest.fixture(autouse=True)
def _libraries_restored() -> Iterator[None]:
    """The standard library's logging is as it was after each test."""
    yield
    configure("json", "error", stream=io.StringIO()).close()

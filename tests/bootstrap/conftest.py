"""The stage on which daemons are reloaded."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.daemon_in_process import Stage, staged


@pytest.fixture
async def stage(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Stage]:
    """A provider and a place for a daemon, on SQLite."""
    async with staged(tmp_path, sqlite_url) as place:
        yield place

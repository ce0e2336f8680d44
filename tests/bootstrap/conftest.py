"""A daemon that tests reload."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.daemon_in_process import DaemonSetup, open_daemon_setup


@pytest.fixture
async def setup(tmp_path: Path, sqlite_url: str) -> AsyncIterator[DaemonSetup]:
    """A provider and a place for a daemon, on SQLite."""
    async with open_daemon_setup(tmp_path, sqlite_url) as place:
        yield place

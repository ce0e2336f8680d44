"""Fixtures of the API's tests: the HTTP listener on a real socket, without tokens."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.api_server import ApiServer, serving


@pytest.fixture
async def site(tmp_path: Path, sqlite_url: str) -> AsyncIterator[ApiServer]:
    """The listener without tokens, on SQLite."""
    async with serving(tmp_path, sqlite_url) as made:
        yield made


@pytest.fixture
async def any_site(tmp_path: Path, database_url: str) -> AsyncIterator[ApiServer]:
    """The listener without tokens, on each of the databases."""
    async with serving(tmp_path, database_url) as made:
        yield made

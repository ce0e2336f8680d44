"""Fixtures: the HTTP listener on a real socket and database, and a client of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.client.broken_relay import QuickClock
from tests.support.api_server import ApiServer, serving
from tidewaiter.client import AsyncClient


@pytest.fixture
async def site(tmp_path: Path, sqlite_url: str) -> AsyncIterator[ApiServer]:
    """The listener without tokens."""
    async with serving(tmp_path, sqlite_url) as made:
        yield made


@pytest.fixture
async def client(site: ApiServer) -> AsyncIterator[AsyncClient]:
    """A client of the listener."""
    async with AsyncClient(site.base, clock=QuickClock()) as made:
        yield made

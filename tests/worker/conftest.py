"""An open database of either kind."""

from collections.abc import AsyncIterator

import pytest

from tests.support.stored_jobs import StandingClock
from tidewaiter.database.engine import Database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open database, with a clock that stands."""
    opened = Database.open(database_url, StandingClock())
    yield opened
    await opened.close()

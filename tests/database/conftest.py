"""An open database, with stores to work with."""

from collections.abc import AsyncIterator

import pytest

from tests.support.stored_jobs import StandingClock, Stores
from tidewaiter.database.engine import Database


@pytest.fixture
def clock() -> StandingClock:
    """The clock of the program, and on SQLite of the database."""
    return StandingClock()


@pytest.fixture
async def database(database_url: str, clock: StandingClock) -> AsyncIterator[Database]:
    """An open database of either kind."""
    opened = Database.open(database_url, clock)
    yield opened
    await opened.close()


@pytest.fixture
async def stores(database: Database) -> Stores:
    """A lane that is held, and stores to work with."""
    return await Stores.set_up(database)

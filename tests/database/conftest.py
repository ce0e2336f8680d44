"""An open database, and a scene in it."""

from collections.abc import AsyncIterator

import pytest

from tests.support.stored_jobs import Scene, StandingClock
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
async def scene(database: Database) -> Scene:
    """A lane that is held, and stores to work with."""
    return await Scene.set_up(database)

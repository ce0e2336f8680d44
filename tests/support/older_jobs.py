"""A job of each state in the tables of an older revision."""

from typing import Final

from sqlalchemy import create_engine, text

from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.domain.job import State

_FIRST_WITH_STARTING: Final = "0011"
LANE: Final = "INSERT INTO lanes (id, account, shard) VALUES (1, 'a', 0)"
JOB: Final = (
    "INSERT INTO jobs (id, lane, account, operation, params, state, version, created_at, deadline_at, track)"
    " VALUES (:id, 1, 'a', 'o', '{}', :state, 1, 0, 0, 0)"
)


def add_job_of_each_state(url: str, revision: str) -> list[State]:
    """Add a lane, and a job of each state that the revision knows, numbered from 1; returns the states in order."""
    states = [one for one in State if one is not State.STARTING or revision >= _FIRST_WITH_STARTING]
    engine = create_engine(DatabaseAddress.parse(url).for_migrations())
    with engine.begin() as connection:
        connection.execute(text(LANE))
        connection.execute(text(JOB), [{"id": number, "state": state} for number, state in enumerate(states, 1)])
    engine.dispose()
    return states

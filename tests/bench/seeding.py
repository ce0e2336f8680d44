"""Fills a database with waiting jobs, in one statement: a million single submits would take longer than the benchmarks.

The rows are as the daemon leaves them after a job was accepted; only their history is missing, which no poll touches.
"""

import asyncio
import time
from collections.abc import Sequence

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.bench.account import ACCOUNT, FIRST_BATCH
from tidewaiter.clock import SystemClock
from tidewaiter.database import migrate
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.engine import Database
from tidewaiter.database.lane_store import LaneStore

_MONTH_S = 30 * 86_400.0

_INSERT = text(
    """
    WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :jobs)
    INSERT INTO jobs (lane, account, operation, params, state, version, due_at, created_at, deadline_at, handle,
                      submits, submitted_at, track)
    SELECT lanes.id, lanes.account, 'statistics',
           '{"export_type": "OPENS", "period": "LAST_DAY"}', 'polling', 3,
           CASE WHEN n < :due THEN :now - 60.0 + n * 0.0001 ELSE :now + 7200.0 + n * 0.001 END,
           :now - 3600.0, :now + :deadline_s, CAST(:first_batch + n AS TEXT), 1, :now - 3500.0, 0
    FROM numbers JOIN lanes ON lanes.id = :first_lane + n % :accounts
    """
)


def seed(url: str, jobs: int, due: int, accounts: Sequence[str] = (ACCOUNT,)) -> None:
    """Make the tables and ``jobs`` waiting jobs of these accounts in turn; the first ``due`` are due already."""
    migrate.upgrade(url)
    address = DatabaseAddress.parse(url)
    engine = create_engine(address.for_migrations(), poolclass=NullPool)
    values = {"jobs": jobs, "due": due, "now": time.time(), "deadline_s": _MONTH_S, "first_batch": FIRST_BATCH}
    first_lane = asyncio.run(_first_lane(url, accounts))
    with engine.begin() as connection:
        connection.execute(_INSERT, {**values, "accounts": len(accounts), "first_lane": first_lane})
    if address.file is None:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
            connection.execute(text("CHECKPOINT"))


async def _first_lane(url: str, accounts: Sequence[str]) -> int:
    """Make a lane for each account; in a new database their numbers follow each other."""
    database = Database.open(url, SystemClock())
    try:
        lanes = LaneStore(database)
        await lanes.ensure(dict.fromkeys(accounts, 1))
        numbers = sorted([number for one in accounts for number in await lanes.ids(one)])
        assert numbers == list(range(numbers[0], numbers[0] + len(accounts)))
        return numbers[0]
    finally:
        await database.close()

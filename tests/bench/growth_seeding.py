"""Fills a database with jobs of every age: most have ended, with history, files and search terms."""

import asyncio
import time
from typing import Final

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tidewaiter.clock import SystemClock
from tidewaiter.database import migrate
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.engine import Database
from tidewaiter.database.lane_store import LaneStore

ACCOUNTS: Final = tuple(f"account-{number:03}" for number in range(100))
HISTORY_ROWS: Final = 4
TERMS: Final = 2
"""Of each job; only those that have ended have history, and only those that succeeded a file."""

_NUMBERS: Final = "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :jobs) "
# Four in five of the newest fifth wait, at the provider or in line, and one in a thousand of all is due; the others
# have ended in the last hundred days. One in a thousand is of the operation `rare`.
_JOBS: Final = """
    INSERT INTO jobs (lane, account, operation, params, state, version, due_at, created_at, deadline_at, handle,
                      submits, submitted_at, ready_at, finished_at, unique_key, reason, handled_at, track)
    SELECT lanes.id, lanes.account,
           CASE WHEN n % 1000 = 7 THEN 'rare' ELSE 'statistics' END,
           '{"export_type": "OPENS", "period": "LAST_DAY"}',
           CASE WHEN n >= :jobs / 5 * 4 AND n % 10 < 7 THEN 'polling'
                WHEN n >= :jobs / 5 * 4 AND n % 10 = 7 THEN 'queued'
                WHEN n % 100 = 8 THEN 'failed' WHEN n % 100 = 18 THEN 'expired' WHEN n % 100 = 28 THEN 'cancelled'
                ELSE 'succeeded' END,
           5,
           CASE WHEN n >= :jobs / 5 * 4 AND n % 10 < 8
                THEN CASE WHEN n >= :jobs / 1000 * 999 THEN :now - 10.0 ELSE :now + 600.0 + n * 0.001 END END,
           :now - 86400.0 * 100 + n * (86400.0 * 100 / :jobs), :now + 86400.0, CAST(n + 1000000 AS TEXT),
           1, :now - 3600.0, NULL,
           CASE WHEN n >= :jobs / 5 * 4 AND n % 10 < 8 THEN NULL
                ELSE :now - 86400.0 * 100 + n * (86400.0 * 100 / :jobs) + 300.0 END,
           'key-' || n,
           CASE WHEN n % 100 = 8 THEN 'the provider has no such period' END,
           CASE WHEN n % 1000 = 8 THEN NULL WHEN n % 100 IN (8, 18) THEN :now END,
           0
    FROM numbers JOIN lanes ON lanes.id = :first_lane + n % :accounts
"""
_HISTORY: Final = """
    INSERT INTO history (job_id, version, at, state_from, state, outcome)
    SELECT jobs.id, numbers.n, jobs.created_at, 'polling', 'polling', 'Pending' FROM jobs, numbers
    WHERE jobs.finished_at IS NOT NULL
"""
_ARTIFACTS: Final = """
    INSERT INTO artifacts (job_id, number, name, label, key, size, sha256, media_type, landed_at)
    SELECT id, 0, 'export.csv', 'export', account || '/' || id || '/export.csv', 10000,
           'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 'text/csv', finished_at
    FROM jobs WHERE state = 'succeeded'
"""
_TERMS: Final = """
    INSERT INTO job_terms (term, job_id)
    SELECT CASE numbers.n WHEN 0 THEN 77 ELSE 1000 + jobs.id END, jobs.id FROM jobs, numbers
"""


def seed_growth(url: str, jobs: int) -> None:
    """Make the tables, a lane for each account, and so many jobs."""
    migrate.upgrade(url)
    first_lane = asyncio.run(_first_lane(url))
    address = DatabaseAddress.parse(url)
    engine = create_engine(address.for_migrations(), poolclass=NullPool)
    with engine.begin() as connection:
        values = {"jobs": jobs, "now": time.time(), "first_lane": first_lane, "accounts": len(ACCOUNTS)}
        connection.execute(text(_NUMBERS + _JOBS), values)
        connection.execute(text(_NUMBERS + _HISTORY), {"jobs": HISTORY_ROWS})
        connection.execute(text(_ARTIFACTS))
        connection.execute(text(_NUMBERS + _TERMS), {"jobs": TERMS})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE" if address.file is None else "PRAGMA wal_checkpoint(TRUNCATE)"))


async def _first_lane(url: str) -> int:
    database = Database.open(url, SystemClock())
    try:
        lanes = LaneStore(database)
        await lanes.ensure(dict.fromkeys(ACCOUNTS, 1))
        return min([number for one in ACCOUNTS for number in await lanes.ids(one)])
    finally:
        await database.close()

"""Retention: how long notifications, trends and parts of downloads are kept."""

import asyncio
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import text

from tests.support.stored_jobs import NOW, StandingClock
from tidewaiter.config.config_tables import RetentionTable
from tidewaiter.database.delivery_store import DeliveryStore
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.database.notification_store import NotificationStore
from tidewaiter.domain.job import NewJob, State
from tidewaiter.log import configure
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.worker.retention import Retention

DAY = 86_400.0
FILL = """
    INSERT INTO notifications (endpoint, message_id, job_id, account, state, at, status, due_at, ended_at, body)
    VALUES ('ops', :name, 1, 'acme', 'failed', 0, :status, :due_at, :ended_at, '{}')
"""
T = TypeVar("T")


class StoppedError(Exception):
    """The janitor has done one round."""


class OneRound(StandingClock):
    """A clock on which nobody gets to sleep."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        raise StoppedError


async def _inline(work: Callable[[], T]) -> T:
    return work()


@pytest.mark.parametrize(("keep_days", "left"), [(90.0, {"b", "d", "e"}), (3.0, {"e"})])
async def test_notifications_are_kept_for_a_while(
    sqlite_url: str, tmp_path: Path, keep_days: float, left: set[str]
) -> None:
    """A delivered one for a week, a dead one as long as a job; what waits stays. Old trends and durations go."""
    database = Database.open(sqlite_url, StandingClock())
    rows: dict[str, tuple[str, float | None]] = {
        "a": ("delivered", NOW - 8 * DAY),
        "b": ("delivered", NOW - 6 * DAY),
        "c": ("dead", NOW - 91 * DAY),
        "d": ("dead", NOW - 8 * DAY),
        "e": ("waiting", None),
    }
    async with database.writing() as connection:
        await connection.execute(text("INSERT INTO trends VALUES (86400, 0, 1, 'statistics', 'landed', 1)"))
        await connection.execute(text("INSERT INTO durations VALUES (1, 'statistics', '', '{}', 1)"))
        for name, (status, ended_at) in rows.items():
            due_at = 1.0 if ended_at is None else None
            values = {"name": name, "status": status, "due_at": due_at, "ended_at": ended_at}
            await connection.execute(text(FILL), values)
    log = configure("json", "info", [], stream=io.StringIO(), strict=True)
    janitor = Retention(
        JobStore(database), DeliveryStore(database), LocalStorage(tmp_path / "exports", _inline), OneRound(), log,
        settings=RetentionTable(finished_days=keep_days, partial_hours=24.0),
    )  # fmt: skip
    with pytest.raises(StoppedError):
        await janitor.run()
    assert {one.message_id for one in await NotificationStore(database).find()} == left
    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM trends"))).scalar() == 0
        assert (await connection.execute(text("SELECT count(*) FROM durations"))).scalar() == 0
    log.close()
    await database.close()


@pytest.mark.slow
@pytest.mark.parametrize("state", [State.FETCHING, State.POLLING])
async def test_parts_stay_however_many_jobs_are_fetched(sqlite_url: str, tmp_path: Path, state: State) -> None:
    """The part of the oldest of very many jobs that fetch is old, and stays; a job that does not fetch needs none."""
    database, exports = Database.open(sqlite_url, StandingClock()), tmp_path / "exports"
    jobs, storage = JobStore(database), LocalStorage(exports, _inline)
    lanes = LaneStore(database)
    await lanes.ensure({"acme": 1})
    (lane,) = await lanes.ids("acme")
    await jobs.add_many([(NewJob("acme", "statistics", {}, 3600.0), lane)] * 10_001, NOW)
    async with database.writing() as connection:
        await connection.execute(text("UPDATE jobs SET state = :state"), {"state": state.value})
    landing = await storage.open("a/b", 1, 0)
    await landing.write(b"beginning")
    await landing.checkpoint('"etag"')
    for part in (exports / ".partial").iterdir():
        os.utime(part, (NOW - 2 * DAY, NOW - 2 * DAY))
    log = configure("json", "info", [], stream=io.StringIO(), strict=True)
    settings = RetentionTable(finished_days=90.0, partial_hours=24.0)
    with pytest.raises(StoppedError):
        await Retention(jobs, DeliveryStore(database), storage, OneRound(), log, settings=settings).run()
    assert any((exports / ".partial").iterdir()) is (state is State.FETCHING)
    log.close()
    await database.close()


@pytest.mark.fault(53)
@pytest.mark.fault(44)
async def test_the_wall_clock_was_set_back(sqlite_url: str, tmp_path: Path) -> None:
    """A part is being written, just now by the clock of the files, and long ago by that of the daemon."""
    database, exports = Database.open(sqlite_url, StandingClock()), tmp_path / "exports"
    storage, clock = LocalStorage(exports, _inline), OneRound()
    clock.skew = lambda: -2 * DAY  # type: ignore[method-assign]
    landing = await storage.open("a/b", 1, 0)
    (part,) = (exports / ".partial").iterdir()
    os.utime(part, (NOW - 2 * DAY, NOW - 2 * DAY))
    log = configure("json", "info", [], stream=io.StringIO(), strict=True)
    settings = RetentionTable(finished_days=90.0, partial_hours=24.0)
    with pytest.raises(StoppedError):
        await Retention(JobStore(database), DeliveryStore(database), storage, clock, log, settings=settings).run()
    await landing.write(b"whole")
    assert (await landing.finish()).size == 5
    log.close()
    await database.close()

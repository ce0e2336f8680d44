"""Retention: how long notifications and trends are kept."""

import asyncio
import io
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
from tidewaiter.database.notification_store import NotificationStore
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

"""The dashboard's numbers, on both databases."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.support.stored_jobs import NOW, OWNER, StandingClock, Stores, artifact
from tidewaiter.database import dashboard_store, migrate
from tidewaiter.database.dashboard_store import Dashboard, DashboardStore
from tidewaiter.database.due_store import DueStore
from tidewaiter.database.engine import Database, StoreUnavailableError
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State


async def test_an_empty_database_has_an_empty_dashboard(stores: Stores, clock: StandingClock) -> None:
    """Every state has a number, every minute of the hour is there, and nothing is due."""
    picture = await Dashboard(DashboardStore(stores.jobs, lambda: 4).snapshot, clock).snapshot()
    assert set(picture.counts.values()) == {0}
    assert len(picture.minutes) == 60
    assert not any(minute.ended or minute.delays_s for minute in picture.minutes)
    assert [(one.due, one.oldest_due_at) for one in picture.backlogs.values()] == [(0, None)]
    assert list(picture.arrivals) == []


async def test_what_is_due_is_counted_by_lane(stores: Stores) -> None:
    """Both tracks count, jobs of the future do not, and the oldest tells how late the lane is."""
    for _ in range(3):
        await stores.add()
    await stores.polling("waits")
    found = await DashboardStore(stores.jobs, lambda: 4).backlogs(NOW + 5.0)
    assert (found[stores.lane.id].due, found[stores.lane.id].oldest_due_at) == (3, NOW)
    found = await DashboardStore(stores.jobs, lambda: 4).backlogs(NOW + 600.0)
    assert found[stores.lane.id].due == 4


@pytest.mark.parametrize("leased", [True, False], ids=["served", "served by nobody"])
async def test_a_download_under_way_is_not_late(stores: Stores, clock: StandingClock, leased: bool) -> None:
    """A job is due until its files have landed. So only those beyond the slots wait, where a daemon has the lane."""
    jobs = [
        await stores.accepted(await stores.polling(f"h{number}"), o.Ready(), now=NOW + number) for number in range(3)
    ]
    clock.at = NOW + 3.0
    if not leased:
        async with stores.database.writing() as connection:
            await connection.execute(text("UPDATE lanes SET owner = NULL, lease_until = NULL"))
    store, due = DashboardStore(stores.jobs, lambda: 2), DueStore(stores.database)
    backlog = (await store.backlogs(clock.at))[stores.lane.id]
    waiting = jobs[2] if leased else jobs[0]
    assert (backlog.due, backlog.oldest_due_at) == (3, waiting.due_at)
    assert await due.first_waiting(2) == waiting.due_at
    backlog = (await DashboardStore(stores.jobs, lambda: 3).backlogs(clock.at))[stores.lane.id]
    assert (backlog.due, backlog.oldest_due_at) == (3, None if leased else waiting.due_at)


async def test_no_more_due_jobs_are_counted_than_are_wanted(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit it is enough to know that there are more."""
    for _ in range(4):
        await stores.add()
    monkeypatch.setattr(dashboard_store, "MOST_DUE", 2)
    found = await DashboardStore(stores.jobs, lambda: 4).backlogs(NOW)
    assert found[stores.lane.id].due == 3


async def test_landed_files_are_counted_by_the_minute(stores: Stores, clock: StandingClock) -> None:
    """A landed job counts in the minute of its end, with the seconds that landing took, and is told as an arrival."""
    job = await stores.polling("r-1")
    job = await stores.accepted(job, o.Ready(()), now=NOW + 60.0)
    files = (artifact(1), replace(artifact(2), key="acme/two.csv", size=24))
    job = await stores.accepted(job, o.Stored(files), now=NOW + 72.5)
    clock.at = NOW + 75.0
    picture = await Dashboard(DashboardStore(stores.jobs, lambda: 4).snapshot, clock).snapshot()
    minute = picture.minutes[-1]
    assert minute.ended == {State.SUCCEEDED: 1}
    assert minute.delays_s == [12.5]
    assert (minute.delay_s(0.5), minute.delay_s(0.95), picture.minutes[0].delay_s(0.5)) == (12.5, 12.5, None)
    assert [(one.job.id, one.files, one.size) for one in picture.arrivals] == [(job.id, 2, 2**40 + 24)]


async def test_a_dashboard_is_read_once_for_concurrent_callers(stores: Stores, clock: StandingClock) -> None:
    """Within a second everybody gets the same picture; after that it is drawn anew."""
    view = Dashboard(DashboardStore(stores.jobs, lambda: 4).snapshot, clock)
    first = await view.snapshot()
    await stores.add()
    assert await view.snapshot() is first
    clock.at += 1.5
    assert (await view.snapshot()).counts[State.QUEUED] == 1


async def test_the_dashboard_of_one_account(stores: Stores, clock: StandingClock) -> None:
    """What ended, what landed and what is in trouble is the account's own; a landed job is told with its first file."""
    await stores.lanes.ensure({"other": 1})
    (lane,) = await stores.lanes.take(OWNER, 1, 30.0, force=False, accounts=["other"])
    job = await stores.polling("r-1")
    await stores.accepted(await stores.accepted(job, o.Ready(())), o.Stored((artifact(2), artifact(3))))
    stores.lane = lane
    failed = await stores.accepted(await stores.polling("r-2", account="other"), o.Refused("no such period"))
    store = DashboardStore(stores.jobs, lambda: 4)
    ours, theirs = await store.snapshot(NOW + 1.0, "acme"), await store.snapshot(NOW + 1.0, "other")
    assert [(one.job.id, one.name) for one in ours.arrivals] == [(job.id, "2.csv")]
    assert (ours.minutes[-1].ended, ours.failures) == ({State.SUCCEEDED: 1}, [])
    assert [one.id for one in theirs.failures] == [failed.id]
    assert (theirs.minutes[-1].ended, theirs.arrivals) == ({State.FAILED: 1}, [])
    assert len((await store.snapshot(NOW + 1.0)).minutes[-1].ended) == 2


async def test_daemons_are_listed_with_their_last_heartbeat(stores: Stores, clock: StandingClock) -> None:
    """A daemon that lives is there with the end of its lease, one whose lease is over is not."""
    await stores.lanes.heartbeat("a1", "tide-1", 4711, "1.0", 15.0)
    (alive,) = await stores.lanes.workers()
    assert (alive.host, alive.pid) == ("tide-1", 4711)
    assert alive.lease_until - alive.started_at == pytest.approx(15.0, abs=1.0)
    await stores.lanes.heartbeat("a2", "tide-2", 4712, "1.0", -1.0)
    assert [one.owner for one in await stores.lanes.workers()] == ["a1"]


async def test_a_database_that_is_gone_is_not_asked_by_everybody(clock: StandingClock, tmp_path: Path) -> None:
    """One look finds out that it cannot be reached; for two seconds the others are told so at once."""
    await asyncio.to_thread(migrate.upgrade, f"sqlite:///{tmp_path / 'whole.db'}")
    (tmp_path / "gone.db").write_bytes(b"no database" * 1000)
    database = Database.open(f"sqlite:///{tmp_path / 'gone.db'}", clock)
    overview = Dashboard(DashboardStore(JobStore(database), lambda: 4).snapshot, clock)
    with pytest.raises(StoreUnavailableError):
        await overview.snapshot()
    shutil.copyfile(tmp_path / "whole.db", tmp_path / "gone.db")  # the same inode, as the database demands
    with pytest.raises(StoreUnavailableError):
        await overview.snapshot()
    clock.at += 2.0
    picture = await overview.snapshot()
    assert overview.last is picture
    await database.close()

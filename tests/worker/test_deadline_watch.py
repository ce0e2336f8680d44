"""The deadline watch in virtual time: a job whose provider may not be asked ends at its deadline."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.support.stored_jobs import new_job
from tests.worker.virtual_lanes import ACCOUNTS, Daemon, Site, live
from tidewaiter.database.due_store import DueStore
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.job import Job, State, Track
from tidewaiter.worker import deadline_watch
from tidewaiter.worker.deadline_watch import DeadlineWatch
from tidewaiter.worker.outcome_texts import expired_while_closed
from tidewaiter.worker.step_context import StepContext

DEADLINE_S = 12.0
DOWN = "no connection"


class CountingDueStore(DueStore):
    """Knows of which lanes the overdue jobs were asked for, each time."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.database)
        self.asked: list[Sequence[int]] = []

    async def overdue(self, lanes: Sequence[int], now: float, most: int) -> list[Job]:
        """Ask, and note it."""
        self.asked.append(lanes)
        return await super().overdue(lanes, now, most)


async def _add(site: Site, account: str = "acme") -> Job:
    (row,) = [one for one in await site.rows() if one["account"] == account]
    new = new_job(account=account, operation="report", params={}, deadline_s=DEADLINE_S)
    job, _ = await JobStore(site.database).add(new, row["id"], site.clock.now())
    return job


def _watched(site: Site) -> Daemon:
    daemon = site.daemon()
    watch = DeadlineWatch(DueStore(site.database), daemon.leases.lanes, site.clock)
    daemon.running.append(asyncio.create_task(watch.run()))
    return daemon


def _break(daemon: Daemon) -> None:
    for _ in range(5):
        daemon.lane.budget.failed(DOWN)


def test_jobs_end_at_their_deadline_while_the_breaker_is_open(sqlite_url: str) -> None:
    """All of them, not only the first in line, with the provider's fault as the reason; no step is taken for it."""

    async def story(site: Site) -> None:
        daemon = _watched(site)
        await site.clock.sleep(1.0)
        _break(daemon)
        jobs = [await _add(site) for _ in range(3)]
        await site.clock.sleep(DEADLINE_S - 1.0)
        assert [(await site.stored(job)).state for job in jobs] == [State.QUEUED] * 3
        await site.clock.sleep(3.0)
        assert daemon.lane.budget.breaker == "open"
        for job in jobs:
            stored = await site.stored(job)
            assert (stored.state, stored.reason) == (
                State.EXPIRED,
                f"after 12 s the job was still queued: {DOWN}",
            )
        await site.clock.sleep(60.0)
        assert daemon.executor.taken == []
        assert daemon.lane.in_flight == 0
        await daemon.die()

    live(sqlite_url, story)


def test_a_throttled_account_holds_no_job_beyond_its_deadline(sqlite_url: str) -> None:
    """A provider that asks for an hour of silence gets it, and the jobs end meanwhile."""

    async def story(site: Site) -> None:
        daemon = _watched(site)
        await site.clock.sleep(1.0)
        daemon.lane.budget.close(site.clock.now() + 3600.0, "HTTP 429")
        job = await _add(site)
        await site.clock.sleep(DEADLINE_S + 2.0)
        assert (await site.stored(job)).state is State.EXPIRED
        await daemon.die()

    live(sqlite_url, story)


def test_all_closed_lanes_are_read_at_once(sqlite_url: str) -> None:
    """A provider that is down closes the lanes of a thousand accounts; the job of each ends in time."""

    async def story(site: Site) -> None:
        daemon, due = site.daemon(accounts=ACCOUNTS), CountingDueStore(site)
        watch = DeadlineWatch(due, daemon.leases.lanes, site.clock)
        daemon.running.append(asyncio.create_task(watch.run()))
        await site.clock.sleep(0.5)
        assert due.asked == []
        for lane in daemon.leases.lanes.values():
            lane.budget.close(site.clock.now() + 60.0, "HTTP 429")
        jobs = [await _add(site, account) for account in ACCOUNTS]
        await site.clock.sleep(DEADLINE_S + 2.0)
        assert [(await site.stored(job)).state for job in jobs] == [State.EXPIRED] * 2
        assert {tuple(sorted(one)) for one in due.asked} == {tuple(sorted(daemon.leases.lanes))}
        assert len(due.asked) < DEADLINE_S + 4
        await daemon.die()

    live(sqlite_url, story)


def test_jobs_under_way_take_no_places_of_others(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that hang with a provider that is down are overdue, too, and are found at each look."""
    monkeypatch.setattr(deadline_watch, "_MOST", 1)

    async def story(site: Site) -> None:
        daemon = _watched(site)

        async def step(_: StepContext) -> o.Outcome:
            await site.clock.sleep(60.0)
            return o.Refused("no such period")

        daemon.executor.step = step
        await site.clock.sleep(1.0)
        busy = [await _add(site) for _ in range(2)]
        daemon.lane.due_by(Track.ASK, site.clock.now())
        await site.clock.sleep(1.0)
        assert daemon.lane.in_flight == len(busy)
        _break(daemon)
        job = await _add(site)
        await site.clock.sleep(DEADLINE_S + 5.0)
        assert daemon.lane.in_flight == len(busy)
        assert (await site.stored(job)).state is State.EXPIRED
        await daemon.die()

    live(sqlite_url, story)


@pytest.mark.parametrize("cancels", [False, True])
def test_a_job_that_ended_while_its_lane_was_closed_takes_no_step_afterwards(sqlite_url: str, cancels: bool) -> None:
    """Not the first in line, and none that was read ahead; their places in the window are for others."""

    async def story(site: Site) -> None:
        daemon = _watched(site)
        await site.clock.sleep(1.0)
        daemon.lane.budget.close(site.clock.now() + 60.0, "HTTP 429")
        jobs = [await _add(site) for _ in range(3)]
        daemon.lane.due_by(Track.ASK, site.clock.now())
        await site.clock.sleep(1.0)
        if cancels:
            for job in jobs:
                daemon.lane.cancel(job)
        await site.clock.sleep(DEADLINE_S + 2.0)
        state = State.CANCELLED if cancels else State.EXPIRED
        assert [(await site.stored(job)).state for job in jobs] == [state] * 3
        await site.clock.sleep(120.0)
        assert not daemon.lane.budget.is_closed
        assert daemon.executor.taken == []
        assert daemon.events("update.dropped") == []
        await daemon.die()

    live(sqlite_url, story)


def test_a_lane_that_has_opened_meanwhile_ends_jobs_by_their_steps(sqlite_url: str) -> None:
    """The remote job can be cancelled then; the lane may open while the database is read."""

    async def story(site: Site) -> None:
        daemon = site.daemon()
        await site.clock.sleep(1.0)
        job = await _add(site)
        await site.clock.sleep(DEADLINE_S + 1.0)
        daemon.lane.expire([job])
        await site.clock.sleep(1.0)
        assert (await site.stored(job)).state is State.QUEUED
        await daemon.die()

    live(sqlite_url, story)


def test_what_the_watch_leaves_alone(sqlite_url: str) -> None:
    """A job of a paused account, whose deadline will move, and one that a step works on."""

    async def story(site: Site) -> None:
        daemon = _watched(site)
        started = asyncio.Event()

        async def step(_: StepContext) -> o.Outcome:
            started.set()
            await site.clock.sleep(60.0)
            return o.Refused("no such period")

        daemon.executor.step = step
        await site.clock.sleep(1.0)
        busy = await _add(site)
        daemon.lane.due_by(Track.ASK, site.clock.now())
        await started.wait()
        _break(daemon)
        await site.clock.sleep(DEADLINE_S + 5.0)
        assert (await site.stored(busy)).state is State.QUEUED
        held = await _add(site)
        daemon.lane.budget.pause("a person")
        await site.clock.sleep(DEADLINE_S + 5.0)
        assert (await site.stored(held)).state is State.QUEUED
        await site.clock.sleep(60.0)
        assert (await site.stored(busy)).reason == "no such period"
        await daemon.die()

    live(sqlite_url, story)


@pytest.mark.parametrize("handle", [None, "r-1"])
def test_a_remote_job_that_may_continue_is_named(handle: str | None) -> None:
    """The job's own reason comes first; a provider that can cancel was not asked to."""
    job = Job(1, 1, "acme", "report", {}, State.POLLING, 1, None, 100.0, 112.0, handle=handle)
    rest = "" if handle is None else "; the remote job was not cancelled"
    for reason, told in ((None, DOWN), ("HTTP 502", "HTTP 502")):
        outcome = expired_while_closed(replace(job, reason=reason), OperationPolicy(cancels=True), DOWN)
        assert outcome.reason == f"after 12 s the job was still polling: {told}{rest}"

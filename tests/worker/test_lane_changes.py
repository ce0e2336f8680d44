"""Lanes that end or change under a running daemon: a changed configuration, and the end of the daemon."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.worker.virtual_lanes import ACCOUNTS, LEASE_S, Site, live, never
from tidewaiter.database.lane_rows import LaneRow
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State, Track
from tidewaiter.worker.step_context import StepContext


def test_lanes_are_built_anew_under_their_lease(sqlite_url: str) -> None:
    """The changed account's lane ends its step and begins again at the same epoch; the other one is not touched."""

    async def story(site: Site) -> None:
        daemon = site.daemon(accounts=ACCOUNTS)
        await site.clock.sleep(1.0)
        before = {lane.row.account: lane for lane in daemon.leases.lanes.values()}
        daemon.executor.step = never
        await site.add("acme")
        before["acme"].due_by(Track.ASK, site.clock.now())
        await site.clock.sleep(1.0)
        assert await daemon.leases.suspend(["acme"], grace_s=5.0) == 1
        assert (before["acme"].in_flight, daemon.executor.interrupts) == (0, 1)
        await site.clock.sleep(3 * LEASE_S)
        assert daemon.events("lane.lost") == daemon.events("lane.given_back") == []
        daemon.leases.reconfigure(daemon.plan)
        await site.clock.sleep(1.0)
        after = {lane.row.account: lane for lane in daemon.leases.lanes.values()}
        assert after["other"] is before["other"]
        assert after["acme"] is not before["acme"]
        assert after["acme"].lease is before["acme"].lease
        assert not after["acme"].is_closed
        await daemon.die()

    live(sqlite_url, story)


def test_an_account_that_is_gone_is_given_back(sqlite_url: str) -> None:
    """And one that is new is taken, without a wait for the next round."""

    async def story(site: Site) -> None:
        daemon = site.daemon(accounts=("acme",))
        await site.clock.sleep(1.0)
        await daemon.leases.suspend(["acme", "other"], grace_s=5.0)
        daemon.leases.reconfigure(replace(daemon.plan, accounts={"other": {}}))
        await site.clock.sleep(1.0)
        assert [row["owner"] for row in await site.rows()] == [None, "owner-1"]
        await daemon.die()

    live(sqlite_url, story)


@pytest.mark.fault(5)
@pytest.mark.parametrize(("takes_s", "clean"), [(3.0, True), (60.0, False)])
def test_the_end(sqlite_url: str, takes_s: float, clean: bool) -> None:
    """Steps get the grace; what is longer is stopped. No step is begun, and every lane is given back as it is left."""

    async def story(site: Site) -> None:
        first = await site.add()
        daemon = site.daemon()

        async def step(_: StepContext) -> o.Outcome:
            await site.clock.sleep(takes_s)
            return o.Refused("no such period")

        daemon.executor.step = step
        await site.clock.sleep(1.0)
        ending = asyncio.create_task(daemon.leases.end(10.0))
        await site.add()
        assert await ending is clean
        await daemon.leases.give_back()
        assert daemon.executor.taken == [first.id]
        assert (await site.stored(first)).state is (State.FAILED if clean else State.QUEUED)
        assert {row["owner"] for row in await site.rows()} == {None}
        await site.clock.sleep(2 * LEASE_S)
        assert {row["owner"] for row in await site.rows()} == {None}, "no later round takes them again"
        await daemon.die()

    live(sqlite_url, story)


def test_a_lane_taken_while_the_end_begins_does_nothing(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round that was under way takes a lane: it begins no step and is given back with the others."""
    take = LaneStore.take

    async def story(site: Site) -> None:
        await site.add()
        taken = asyncio.Event()

        async def take_slowly(store: LaneStore, *values: Any, **named: Any) -> list[LaneRow]:
            rows = await take(store, *values, **named)
            taken.set()
            await site.clock.sleep(1.0)
            return list(rows)

        monkeypatch.setattr(LaneStore, "take", take_slowly)
        daemon = site.daemon()
        await taken.wait()
        assert await daemon.leases.end(10.0)
        assert daemon.leases.lanes == {}
        await site.clock.sleep(2.0)
        assert len(daemon.leases.lanes) == 1
        await daemon.leases.give_back()
        await site.clock.sleep(5.0)
        assert daemon.executor.taken == []
        assert {row["owner"] for row in await site.rows()} == {None}
        await daemon.die()

    live(sqlite_url, story)

"""A daemon whose tables were upgraded by a newer program, in virtual time: it leaves its lanes to that program."""

import asyncio

import pytest

from tests.worker.virtual_lanes import LEASE_S, Site, live
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State
from tidewaiter.worker.database_watch import SchemaWatch
from tidewaiter.worker.step_context import StepContext


@pytest.mark.fault(10)
def test_the_lanes_of_newer_tables_are_given_back(sqlite_url: str) -> None:
    """The step under way ends and its outcome is kept; the next daemon has the lane at once, and clean."""

    async def slow(_: StepContext) -> o.Outcome:
        await site_clock[0].sleep(3.0)
        return o.Refused("no such period")

    site_clock = []

    async def story(site: Site) -> None:
        site_clock.append(site.clock)
        first = await site.add()
        older, revision = site.daemon(), [None, None, "9999"]
        older.executor.step = slow

        async def newer_revision() -> str | None:
            return revision.pop(0) if len(revision) > 1 else revision[0]

        watch = SchemaWatch(newer_revision, older.leases, 10.0, site.clock, older.log)
        watching = asyncio.create_task(watch.run())
        await site.clock.sleep(4.5)
        second = await site.add()
        await watching
        assert (await site.stored(first)).state is State.FAILED
        (line,) = older.events("store.newer")
        assert (line["revision"], line["lanes"]) == ("9999", 1)
        assert older.leases.lanes == {}
        newer = site.daemon("owner-2")
        await site.clock.sleep(LEASE_S)
        assert newer.executor.taken == [second.id]
        assert [line["clean"] for line in newer.events("lane.taken")] == [True]
        assert older.executor.taken == [first.id]
        for each in (older, newer):
            await each.die()

    live(sqlite_url, story)

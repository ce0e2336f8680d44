"""What bounds the steps of a lane, in virtual time: slots, the rate limit, room for outcomes and files."""

import re
from itertools import pairwise

import pytest

from tests.worker.virtual_lanes import Site, live
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.job import State
from tidewaiter.worker.lane_parts import LaneLimits
from tidewaiter.worker.step_context import StepContext


def test_14_no_step_begins_while_too_many_outcomes_wait(sqlite_url: str) -> None:
    """The committer has no room: what it keeps while the database is away stays bounded."""

    async def story(site: Site) -> None:
        job = await site.add()
        daemon = site.daemon()
        daemon.committer.room.clear()
        await site.clock.sleep(10.0)
        assert daemon.executor.taken == []
        daemon.committer.room.set()
        await site.clock.sleep(1.0)
        assert daemon.executor.taken == [job.id]
        await daemon.die()

    live(sqlite_url, story)


def test_43_no_download_begins_while_the_storage_is_full(sqlite_url: str) -> None:
    """What only asks the provider goes on."""

    async def story(site: Site) -> None:
        job = await site.add()
        daemon = site.daemon()
        daemon.gate.close("the disk is full")

        async def step(context: StepContext) -> o.Outcome:
            return o.Ready() if context.job.state is State.QUEUED else o.Refused("no such period")

        daemon.executor.step = step
        await site.clock.sleep(10.0)
        assert (await site.stored(job)).state is State.FETCHING
        assert daemon.executor.taken == [job.id]
        daemon.gate.open.set()
        await site.clock.sleep(1.0)
        assert daemon.executor.taken == [job.id, job.id]
        await daemon.die()

    live(sqlite_url, story)


@pytest.mark.fault(34)
def test_slots_bound_the_steps_under_way(sqlite_url: str) -> None:
    """As many steps as there are slots; each that ends lets one more begin."""

    async def story(site: Site) -> None:
        site.lane_limits = LaneLimits(2, 1, None)
        jobs = [await site.add() for _ in range(5)]
        daemon = site.daemon()
        most = 0

        async def step(_: StepContext) -> o.Outcome:
            nonlocal most
            most = max(most, daemon.lane.in_flight)
            await site.clock.sleep(1.0)
            return o.Refused("no such period")

        daemon.executor.step = step
        await site.clock.sleep(20.0)
        assert most == 2
        assert sorted(daemon.executor.taken) == [job.id for job in jobs]
        await daemon.die()

    live(sqlite_url, story)


@pytest.mark.fault(34)
@pytest.mark.invariant(8)
def test_the_rate_limit_paces_steps(sqlite_url: str) -> None:
    """One request in ten seconds: the steps begin ten seconds apart."""

    async def story(site: Site) -> None:
        site.limits = Limits(requests=1, period_s=10.0)
        for _ in range(3):
            await site.add()
        daemon = site.daemon()
        began: list[float] = []

        async def step(_: StepContext) -> o.Outcome:
            began.append(site.clock.now())
            return o.Refused("no such period")

        daemon.executor.step = step
        await site.clock.sleep(60.0)
        assert [round(after - before) for before, after in pairwise(began)] == [10, 10]
        await daemon.die()

    live(sqlite_url, story)


def test_a_breaker_says_when_it_tries_again(sqlite_url: str) -> None:
    """The time of the test request is in the reason that the page and the command line show."""

    async def story(site: Site) -> None:
        daemon = site.daemon()
        await site.clock.sleep(1.0)
        for _ in range(5):
            daemon.lane.budget.failed("no connection.")
        reason = daemon.lane.state().closed_reason
        assert re.fullmatch(r"no connection; next test request at \d\d:\d\d:\d\d UTC", str(reason))
        await daemon.die()

    live(sqlite_url, story)


@pytest.mark.fault(34)
@pytest.mark.invariant(8)
@pytest.mark.slow
def test_a_restart_with_many_due_jobs_is_no_herd(sqlite_url: str) -> None:
    """A hundred wait, the daemon dies and another comes: no minute has more steps than the limit permits requests."""

    async def story(site: Site) -> None:
        site.limits = Limits(requests=10, period_s=60.0)
        for _ in range(100):
            await site.add()
        began: list[float] = []

        async def step(_: StepContext) -> o.Outcome:
            began.append(site.clock.now())
            return o.Refused("no such period")

        for owner, lives_s in (("owner-1", 70.0), ("owner-2", 900.0)):
            daemon = site.daemon(owner)
            daemon.executor.step = step
            await site.clock.sleep(lives_s)
            await daemon.die()
        assert len(began) == 100
        assert min(later - first for first, later in zip(began, began[10:], strict=False)) >= 60.0

    live(sqlite_url, story)

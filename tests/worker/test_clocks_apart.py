"""Two daemons whose clocks are apart pass one lane on, again and again, under a limit that binds."""

from itertools import pairwise

import pytest

from tests.support.stored_jobs import new_job
from tests.support.virtual_time import SkewedClock
from tests.worker.virtual_lanes import LEASE_S, Site, live
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.worker.step_context import StepContext

DAY_S = 86_400.0
REQUESTS, PERIOD_S = 3, 60.0
TURNS = 6
TURN_S = 40.0


async def _add(site: Site, jobs: int) -> None:
    """Jobs that are due by every clock, and end in time by every clock."""
    (lane, *_) = await site.rows()
    long_ago = site.clock.now() - 10 * DAY_S
    for _ in range(jobs):
        await JobStore(site.database).add(
            new_job(operation="report", params={}, deadline_s=60 * DAY_S), lane["id"], long_ago
        )


@pytest.mark.fault(54)
@pytest.mark.invariant(8)
@pytest.mark.parametrize("ahead_s", [(0.0, 5.0), (0.0, -5.0), (0.0, DAY_S), (0.0, -DAY_S), (3 * DAY_S, -3 * DAY_S)])
@pytest.mark.parametrize("dies", [False, True], ids=["gives back", "dies"])
def test_a_lane_that_passes_between_them(sqlite_url: str, ahead_s: tuple[float, float], dies: bool) -> None:
    """By true time no window has more requests than the limit, and none waits longer than a window and a lease."""
    sent: list[float] = []

    async def story(site: Site) -> None:
        site.limits = Limits(requests=REQUESTS, period_s=PERIOD_S)
        await _add(site, 100)

        async def send(_: StepContext) -> o.Outcome:
            sent.append(site.clock.monotonic())
            return o.Refused("no such period")

        for turn in range(TURNS):
            clock = SkewedClock(site.clock, ahead_s[turn % 2])
            daemon = site.daemon(f"owner-{turn}", clock=clock)
            daemon.executor.step = send
            await site.clock.sleep(TURN_S)
            clock.moved_s = DAY_S if turn % 3 == 1 else 0.0
            await site.clock.sleep(TURN_S)
            if not dies or turn % 2:
                await daemon.leases.end(grace_s=1.0)
                await daemon.leases.give_back()
            await daemon.die()

    live(sqlite_url, story)
    assert len(sent) > TURNS * REQUESTS / 2
    for first, last in zip(sent, sent[REQUESTS:], strict=False):
        assert last - first >= PERIOD_S - 1e-6
    # A renewal after the wall clock was set is a third of a lease away, a dead owner's lane a lease and a round.
    longest_s = PERIOD_S + LEASE_S * (5 / 3 if dies else 1 / 3)
    assert max(later - earlier for earlier, later in pairwise(sent)) <= longest_s

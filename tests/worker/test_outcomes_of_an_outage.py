"""What steps have learned before an outage longer than their leases is kept, unless another daemon has the lane."""

import pytest

from tests.worker.virtual_lanes import LEASE_S, Site, live
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State
from tidewaiter.worker.step_context import StepContext


@pytest.mark.fault(2, 14, 15)
@pytest.mark.parametrize("taken", [False, True], ids=["nobody else", "another daemon"])
@pytest.mark.parametrize("away_s", [2 * LEASE_S, 10 * LEASE_S])
def test_what_was_learned_is_written_before_the_lane_is_taken_again(
    sqlite_url: str, away_s: float, taken: bool
) -> None:
    """Else a submit whose reply is known would be one in doubt, and its job would be parked."""

    async def story(site: Site) -> None:
        job = await site.add()
        daemon = site.daemon()

        async def step(_: StepContext) -> o.Outcome:
            site.reachable = False
            return o.Refused("no such period")

        daemon.executor.step = step
        await site.clock.sleep(away_s)
        site.reachable = True
        if taken:
            await site.take_over()
        await site.clock.sleep(LEASE_S)
        assert len(daemon.events("lane.lost")) == 1
        assert (await site.stored(job)).state is (State.QUEUED if taken else State.FAILED)
        assert len(daemon.events("update.dropped")) == taken
        await daemon.die()

    live(sqlite_url, story)

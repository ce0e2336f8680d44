"""Who owns a lane is random for each start of a daemon."""

import platform

import pytest

from tests.support.daemon_in_process import DaemonSetup


@pytest.mark.fault(17)
@pytest.mark.slow
async def test_another_pod_of_the_same_name(setup: DaemonSetup) -> None:
    """A start on the same host, even with the same process number, is another owner: its fences tell the two apart."""
    setup.write(setup.account("acme"))
    owners: list[str] = []
    for _ in range(2):
        setup.stop.clear()
        async with setup.serving(), setup.store() as (_jobs, lanes):
            await setup.logged("lane.taken", more_than=len(owners))
            (lane,) = await lanes.all_lanes()
            assert lane.owner is not None
            assert lane.host == platform.node()
            owners.append(lane.owner)
    assert owners[0] != owners[1]

"""A daemon that drains at the moment when it renews its leases."""

from pathlib import Path

import pytest

from tests.alerts.record import Day
from tests.simulation.world import World, in_world


@pytest.mark.slow
def test_what_is_given_back_is_not_lost(template: Path) -> None:
    """No lane is told to be lost, which somebody would be woken for, and the next daemon finds each of them clean."""

    async def live(world: World) -> list[dict[str, object]]:
        day = Day(world)
        for minutes in (1, 5, 10, 20):
            async with day.daemon():
                await day.pass_(minutes)
        return world.lines()

    lines = in_world(1, template, live)
    assert [line for line in lines if line["event"] == "lane.lost"] == []
    assert [line["clean"] for line in lines if line["event"] == "lane.taken"] == [True] * 8
    assert len([line for line in lines if line["event"] == "lane.given_back"]) == 8

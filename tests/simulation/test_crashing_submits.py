"""Submits whose daemon dies, along a slim path; see the program."""

from pathlib import Path

import pytest

from tests.simulation.crashing_submits import crash


@pytest.mark.fault(1, 2, 11)
@pytest.mark.invariant(1, 2, 3, 5)
@pytest.mark.slow
async def test_some_hundred_submits_that_crash(tmp_path: Path) -> None:
    """Blind ones are parked, adoptable ones found, repeatable ones sent again; never is there a second remote job."""
    tally = await crash(600, 3, tmp_path)
    assert tally.wrong == []
    assert tally.ends.keys() >= {"blind parked", "adoptable polling", "repeatable polling"}

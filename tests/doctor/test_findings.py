"""Checks run concurrently, bounded, each with a time limit, and report in order."""

import asyncio

import pytest

from tidewaiter.clock import SystemClock
from tidewaiter.doctor.findings import Check, Finding, Notes, ok, run_all

CLOCK = SystemClock()


async def test_checks_run_side_by_side() -> None:
    """So many at once, and no more; findings come in the order of the checks, whichever ends first."""
    running, most = 0, 0
    together = asyncio.Event()

    async def look(notes: Notes) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 3:
            together.set()
        await together.wait()
        running -= 1
        notes.add("look", ok(notes.subject))

    checks = [Check("look", str(number), look) for number in range(7)]
    found: list[Finding] = []
    await run_all(checks, CLOCK, found.extend, at_once=3)
    assert [one.message for one in found] == [str(number) for number in range(7)]
    assert most == 3


async def test_a_check_without_an_end() -> None:
    """It is ended after its time; what it had found until then is kept."""

    async def look(notes: Notes) -> None:
        notes.add("first", ok("done"))
        await asyncio.Event().wait()

    found: list[Finding] = []
    await run_all([Check("second", "shop", look, limit_s=0.01)], CLOCK, found.extend)
    assert [(one.check, one.subject, one.status) for one in found] == [
        ("first", "shop", "ok"),
        ("second", "shop", "failure"),
    ]
    assert found[1].message == "did not end within 0.01 s"
    assert found[1].remedy


async def test_a_check_that_breaks() -> None:
    """A fault of the program in one check hides nothing that the others find."""

    async def breaks(_: Notes) -> None:
        raise LookupError("what")

    async def works(notes: Notes) -> None:
        notes.add("works", ok("well"))

    found: list[Finding] = []
    await run_all([Check("a", "", breaks), Check("b", "", works)], CLOCK, found.extend)
    assert [(one.check, one.message) for one in found] == [("a", "broke off: LookupError: what"), ("works", "well")]
    assert "fault of the program" in found[0].remedy


async def test_whoever_is_told_may_end_it() -> None:
    """A reader that has gone away ends the round with its own error, and what was under way is cancelled."""
    ended = asyncio.Event()

    async def first(notes: Notes) -> None:
        notes.add("first", ok(""))

    async def second(_: Notes) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    def gone(_: list[Finding]) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await run_all([Check("first", "", first), Check("second", "", second)], CLOCK, gone)
    assert ended.is_set()

"""A round of checks: side by side, bounded, each with a time limit, in order."""

import asyncio

from app.clock import SystemClock
from app.doctor.finding import Notes, ok
from app.doctor.round import Check, examine

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
    found = [one.message async for part in examine(checks, CLOCK, at_once=3) for one in part]
    assert found == [str(number) for number in range(7)]
    assert most == 3


async def test_a_check_without_an_end() -> None:
    """It is ended after its time; what it had found until then is kept."""

    async def look(notes: Notes) -> None:
        notes.add("first", ok("done"))
        await asyncio.Event().wait()

    (found,) = [part async for part in examine([Check("second", "shop", look, limit_s=0.01)], CLOCK)]
    assert [(one.check, one.subject, one.status) for one in found] == [
        ("first", "shop", "ok"),
        ("second", "shop", "failure"),
    ]
    assert found[1].message == "did not come to an end within 0.01 s"
    assert found[1].mend


async def test_a_check_that_breaks() -> None:
    """A fault of the program in one check hides nothing that the others find."""

    async def breaks(_: Notes) -> None:
        raise LookupError("what")

    async def works(notes: Notes) -> None:
        notes.add("works", ok("well"))

    found = [one async for part in examine([Check("a", "", breaks), Check("b", "", works)], CLOCK) for one in part]
    assert [(one.check, one.message) for one in found] == [("a", "broke off: LookupError: what"), ("works", "well")]
    assert "fault of the program" in found[0].mend

"""Runs checks: several at once, each with a time limit, their findings in the order of the checks."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from app.clock import Clock
from app.doctor.finding import Finding, Notes, failure

AT_ONCE: Final = 8

Tell: TypeAlias = Callable[[list[Finding]], None]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: a name, used if it breaks off, its subject, what it does, and how many seconds it may take."""

    name: str
    subject: str
    look: Callable[[Notes], Awaitable[None]]
    limit_s: float = 60.0


async def examine(checks: Sequence[Check], clock: Clock, tell: Tell, *, at_once: int = AT_ONCE) -> None:
    """Run the checks, ``at_once`` at a time; ``tell`` gets the findings of each check, in their order."""
    places = asyncio.Semaphore(at_once)

    async def made(check: Check) -> list[Finding]:
        async with places:
            return await _make(check, clock)

    tasks = [asyncio.create_task(made(check)) for check in checks]
    try:
        for task in tasks:
            tell(await task)
    finally:
        # `tell` may have raised; a task group would hide its exception in a group.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _make(check: Check, clock: Clock) -> list[Finding]:
    notes = Notes(check.subject, clock)
    try:
        async with asyncio.timeout(check.limit_s):
            await check.look(notes)
    except TimeoutError:
        told = f"did not end within {check.limit_s:g} s"
        notes.add(check.name, failure(told, "check the network to it, then try again"))
    except Exception as error:  # noqa: BLE001  # one check that breaks must not hide what the others find
        told = f"broke off: {type(error).__name__}: {error}"
        notes.add(check.name, failure(told, "this is a fault of the program; please report it"))
    return notes.findings

"""What a check finds, and how checks run: several at once, each with a time limit, findings in the checks' order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from tidewaiter.clock import Clock


class CheckStatus(StrEnum):
    """How bad a finding is; only a failure makes the doctor fail."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result for one thing: its status, a sentence, and how to repair it, which may be empty."""

    status: CheckStatus
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A result with its check, its subject, and how many seconds it took."""

    check: str
    subject: str
    status: CheckStatus
    message: str
    remedy: str
    seconds: float


class Notes:
    """The findings about one subject, each timed from the one before.

    Args:
        subject: what is checked, such as an account's name.
        clock: measures the time.
    """

    def __init__(self, subject: str, clock: Clock) -> None:
        self.subject = subject
        self.findings: list[Finding] = []
        self._clock = clock
        self._since = clock.monotonic()

    def start(self) -> None:
        """Measure from now on, without the time that the check has waited."""
        self._since = self._clock.monotonic()

    def add(self, check: str, result: CheckResult) -> CheckStatus:
        """Note a result; returns its status."""
        now = self._clock.monotonic()
        seconds, self._since = round(now - self._since, 3), now
        self.findings.append(
            Finding(check, self.subject, result.status, result.message, result.remedy, seconds),
        )
        return result.status


def ok(message: str) -> CheckResult:
    """It works."""
    return CheckResult(CheckStatus.OK, message)


def info(message: str) -> CheckResult:
    """Nothing is wrong, but it is worth knowing."""
    return CheckResult(CheckStatus.INFO, message)


def warning(message: str, remedy: str) -> CheckResult:
    """It works, but there is a risk."""
    return CheckResult(CheckStatus.WARNING, message, remedy)


def failure(message: str, remedy: str) -> CheckResult:
    """It does not work."""
    return CheckResult(CheckStatus.FAILURE, message, remedy)


AT_ONCE: Final = 8

OnFindings: TypeAlias = Callable[[list[Finding]], None]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: a name, used if it breaks off, its subject, what it does, and how many seconds it may take."""

    name: str
    subject: str
    run: Callable[[Notes], Awaitable[None]]
    limit_s: float = 60.0


async def run_all(checks: Sequence[Check], clock: Clock, on_findings: OnFindings, *, at_once: int = AT_ONCE) -> None:
    """Run the checks, ``at_once`` at a time; ``on_findings`` gets the findings of each check, in their order."""
    slots = asyncio.Semaphore(at_once)

    async def limited(check: Check) -> list[Finding]:
        async with slots:
            return await _run(check, clock)

    tasks = [asyncio.create_task(limited(check)) for check in checks]
    try:
        for task in tasks:
            on_findings(await task)
    finally:
        # `on_findings` may have raised; a task group would hide its exception in a group.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(check: Check, clock: Clock) -> list[Finding]:
    notes = Notes(check.subject, clock)
    try:
        async with asyncio.timeout(check.limit_s):
            await check.run(notes)
    except TimeoutError:
        message = f"did not end within {check.limit_s:g} s"
        notes.add(check.name, failure(message, "check the network to it, then try again"))
    except Exception as error:  # noqa: BLE001  # a broken check must not hide the findings of the others
        message = f"broke off: {type(error).__name__}: {error}"
        notes.add(check.name, failure(message, "this is a fault of the program; please report it"))
    return notes.findings

"""Findings, and how a check notes them."""

from dataclasses import dataclass
from enum import StrEnum

from app.clock import Clock


class Status(StrEnum):
    """How bad a finding is; only a failure makes the doctor fail."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result for one thing: its status, a sentence, and how to repair it, which may be empty."""

    status: Status
    message: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A result with its check, its subject, and how many seconds it took."""

    check: str
    subject: str
    status: Status
    message: str
    mend: str
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

    def add(self, check: str, verdict: Verdict) -> Status:
        """Note a result; returns its status."""
        now = self._clock.monotonic()
        seconds, self._since = round(now - self._since, 3), now
        self.findings.append(
            Finding(check, self.subject, verdict.status, verdict.message, verdict.mend, seconds),
        )
        return verdict.status


def ok(message: str) -> Verdict:
    """It works."""
    return Verdict(Status.OK, message)


def info(message: str) -> Verdict:
    """Nothing is wrong, but it is worth knowing."""
    return Verdict(Status.INFO, message)


def warning(message: str, mend: str) -> Verdict:
    """It works, but there is a risk."""
    return Verdict(Status.WARNING, message, mend)


def failure(message: str, mend: str) -> Verdict:
    """It does not work."""
    return Verdict(Status.FAILURE, message, mend)

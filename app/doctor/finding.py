"""What the doctor finds, and how findings are noted while a check goes on."""

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
    """What is said of one thing: how it is, a sentence, and what mends it, which is empty where nothing must be."""

    status: Status
    message: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict with what was looked at: the kind of check, whose it is, and how many seconds it took."""

    check: str
    subject: str
    status: Status
    message: str
    mend: str
    seconds: float


class Notes:
    """The findings about one subject, each timed from the one before.

    Args:
        subject: whose they are, such as an account's name.
        clock: measures.
    """

    def __init__(self, subject: str, clock: Clock) -> None:
        self.subject = subject
        self.findings: list[Finding] = []
        self._clock = clock
        self._since = clock.monotonic()

    def start(self) -> None:
        """Measure from now on: what was noted first has waited for its turn."""
        self._since = self._clock.monotonic()

    def add(self, check: str, verdict: Verdict) -> Status:
        """Note a verdict; gives its status back."""
        now = self._clock.monotonic()
        seconds, self._since = round(now - self._since, 3), now
        self.findings.append(
            Finding(check, self.subject, verdict.status, verdict.message, verdict.mend, seconds),
        )
        return verdict.status


def ok(message: str) -> Verdict:
    """All is well."""
    return Verdict(Status.OK, message)


def info(message: str) -> Verdict:
    """Nothing is wrong, and yet it is good to know."""
    return Verdict(Status.INFO, message)


def warning(message: str, mend: str) -> Verdict:
    """It works, but it might not for ever."""
    return Verdict(Status.WARNING, message, mend)


def failure(message: str, mend: str) -> Verdict:
    """It does not work."""
    return Verdict(Status.FAILURE, message, mend)

"""What an account's configuration may change of the numbers that a spec proposes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LimitsOverride:
    """Limits that the operator sets for an account; ``None`` keeps what the spec says. Durations in seconds."""

    requests: int | None = None
    period_s: float | None = None
    spacing_s: float | None = None
    concurrency: int | None = None
    remote_jobs: int | None = None


@dataclass(frozen=True, slots=True)
class ScheduleOverride:
    """Polling times that the operator sets for an account; ``None`` keeps what the spec says. All in seconds."""

    first_delay_s: float | None = None
    interval_s: float | None = None
    factor: float | None = None
    cap_s: float | None = None
    deadline_s: float | None = None

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
    """Times that the operator sets for an account, in seconds, and numbers; ``None`` keeps what the spec says."""

    first_delay_s: float | None = None
    interval_s: float | None = None
    factor: float | None = None
    cap_s: float | None = None
    deadline_s: float | None = None
    stall_s: float | None = None
    links_expire_s: float | None = None
    retry_after_floor_s: float | None = None
    retry_after_cap_s: float | None = None
    most_unknown: int | None = None

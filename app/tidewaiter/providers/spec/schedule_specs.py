"""When a remote job is polled, and when a job is submitted again."""

from typing import Self

from pydantic import Field, model_validator

from tidewaiter.providers.spec.auth_spec import Seconds
from tidewaiter.providers.spec.field_types import Items, SpecTable, Text


class ScheduleSpec(SpecTable):
    """When a remote job is polled: seconds, except ``factor`` and ``most_unknown``.

    An account may replace all but ``gone_grace_s`` and ``learn_by`` in ``[accounts.NAME.schedule]``. Jitter shortens
    each wait by up to a fifth. A Retry-After can delay every poll, also the first, but makes none earlier unless it is
    [exact](#pollretry_after). After a new submit the interval starts again. With ``learn`` these are bounds.
    """

    first_delay_s: float = Field(default=5.0, ge=0, description="from the submit to the first poll")
    interval_s: Seconds = Field(default=10.0, description="from the first poll to the second")
    factor: float = Field(default=1.5, ge=1, description="by which the interval grows with every poll")
    cap_s: Seconds = Field(default=300.0, description="the longest interval; not less than `interval_s`")
    deadline_s: Seconds = Field(default=86_400.0, description="after which the job expires, counted from its creation")
    stall_s: Seconds | None = Field(
        default=None,
        description="after which a job expires if its status word and progress have not changed; more than "
        "any `cap_s`. The log warns with `job.stalled` after half of it, or of the time to the "
        "deadline. Choose twice the longest time in which you have seen a healthy remote job "
        "report nothing new",
    )
    gone_grace_s: float = Field(default=60.0, ge=0, description="how long after the submit a 404 counts as lag")
    links_expire_s: Seconds = Field(
        default=3600.0,
        description="after which a job fails if its links to the files never work, counted from the first failure",
    )
    retry_after_floor_s: float = Field(default=1.0, ge=0, description="the least that a Retry-After counts")
    retry_after_cap_s: Seconds = Field(
        default=3600.0, description="the most that it counts; not less than `retry_after_floor_s`"
    )
    most_unknown: int = Field(
        default=5, ge=1, description="after so many submits in a row with an unknown outcome the job is parked"
    )
    learn: bool = Field(
        default=True,
        description="polls come when earlier jobs were ready, within these bounds and with as many polls: see "
        "[polling](../polling.md)",
    )
    learn_by: Items[Text] = Field(
        default=(),
        description="the parameters on which the duration depends; of two dates their span counts. Without it all jobs "
        "of the operation are alike",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.cap_s < self.interval_s:
            raise ValueError("cap_s is less than interval_s")
        if self.stall_s is not None and self.stall_s <= self.cap_s:
            raise ValueError("stall_s is not more than cap_s, so one poll could look like a stall")
        if self.retry_after_cap_s < self.retry_after_floor_s:
            raise ValueError("retry_after_cap_s is less than retry_after_floor_s")
        return self


class CallbackSpec(SpecTable):
    """The slower schedule of a job whose submit sent ``${callback_url}``, and required if one does.

    The operator turns callbacks on in ``[callbacks]`` of the configuration; then this schedule replaces the other,
    unless that is slower. No wait is longer than half of the time before the deadline, because callbacks get lost, and
    polling must be enough. Seconds, except ``factor``.
    """

    first_delay_s: float = Field(default=300.0, ge=0, description="from the submit to the first poll")
    interval_s: Seconds = Field(default=600.0, description="from the first poll to the second")
    factor: float = Field(default=1.5, ge=1, description="by which the interval grows with every poll")
    cap_s: Seconds = Field(default=3600.0, description="the longest interval; not less than `interval_s`")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.cap_s < self.interval_s:
            raise ValueError("cap_s is less than interval_s")
        return self


class AgainSpec(SpecTable):
    """When a job is submitted again after a rule has said ``again``: the remote job failed for a passing reason.

    The first delay is ``wait_s``, and each further one is ``factor`` times as long. A reply that names a later time
    (Retry-After, or ``retry_after`` of the poll) is waited for. A job whose deadline leaves no time fails at once.

    An account may replace these values in ``[accounts.NAME.schedule]``: ``again_times``, ``again_wait_s``,
    ``again_factor``, ``again_cap_s``.
    """

    times: int = Field(default=3, ge=1, le=1000, description="how often a job is submitted again; then it fails")
    wait_s: Seconds = Field(default=600.0, description="seconds from the failure to the first submit after it")
    factor: float = Field(default=2.0, ge=1, description="by which the delay grows each time")
    cap_s: Seconds = Field(default=3600.0, description="the longest delay, in seconds")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.cap_s < self.wait_s:
            raise ValueError(f"cap_s ({self.cap_s:g}) is less than wait_s ({self.wait_s:g}): raise cap_s")
        return self

"""The limits and times of a provider's spec that an account's configuration may replace.

Both are tables of the configuration file, and :meth:`Provider.bind` takes them.
"""

from typing import Self

from pydantic import Field, model_validator

from tidewaiter.toml_table import Boolean, Count, CountFromZero, FromOne, FromZero, Positive, TomlTable


class LimitsOverride(TomlTable):
    """``[accounts.NAME.limits]``: replaces limits of the provider's spec; other keys keep the spec's value."""

    requests: Count | None = Field(default=None, description="most requests …", examples=[30])
    period_s: Positive | None = Field(default=None, description="… in any period of this many seconds", examples=[60.0])
    spacing_s: FromZero | None = Field(
        default=None,
        description="least seconds between two requests; of an account with several `shards` only in the mean",
        examples=[1.0],
    )
    concurrency: Count | None = Field(default=None, description="most requests in flight at once", examples=[4])
    remote_jobs: Count | None = Field(
        default=None, description="most remote jobs in progress at the provider; other jobs wait", examples=[10]
    )


class ScheduleOverride(TomlTable):
    """``[accounts.NAME.schedule]``: replaces times of the provider's spec; other keys keep the spec's value."""

    first_delay_s: FromZero | None = Field(
        default=None, description="seconds from the provider's acceptance to the first poll", examples=[30.0]
    )
    interval_s: Positive | None = Field(default=None, description="seconds between polls …", examples=[60.0])
    factor: FromOne | None = Field(
        default=None, description="… each interval this many times as long as the last", examples=[1.5]
    )
    cap_s: Positive | None = Field(default=None, description="… up to this many seconds", examples=[600.0])
    deadline_s: Positive | None = Field(
        default=None, description="seconds after which a job that has not ended expires", examples=[86_400.0]
    )
    stall_s: Positive | None = Field(
        default=None, description="seconds without progress after which a job expires", examples=[14_400.0]
    )
    links_expire_s: Positive | None = Field(
        default=None,
        description="seconds for which links to files may be refused before the job fails",
        examples=[3600.0],
    )
    retry_after_floor_s: FromZero | None = Field(
        default=None, description="a provider's Retry-After counts as at least this many seconds …", examples=[1.0]
    )
    retry_after_cap_s: Positive | None = Field(default=None, description="… and at most this many", examples=[3600.0])
    most_unknown: Count | None = Field(
        default=None,
        description="submits in a row with an unknown outcome, after which a person must decide",
        examples=[5],
    )
    learn: Boolean | None = Field(
        default=None,
        description="whether polls come when earlier jobs were ready, within these bounds and with as many polls",
        examples=[False],
    )

    again_times: CountFromZero | None = Field(
        default=None,
        le=1000,
        description="how often a job is submitted again where a rule of the spec says `again`; 0 for never",
        examples=[5],
    )
    again_wait_s: Positive | None = Field(
        default=None, description="seconds before the first of these submits …", examples=[900.0]
    )
    again_factor: FromOne | None = Field(
        default=None, description="… each further wait this many times as long", examples=[2.0]
    )
    again_cap_s: Positive | None = Field(default=None, description="… up to this many seconds", examples=[7200.0])
    reuse_within_s: FromZero | None = Field(
        default=None,
        le=100_000_000,
        description="the age in seconds up to which a remote job that the provider has already is reused, where the "
        "spec looks for one; 0 for never",
        examples=[3600.0],
    )

    @model_validator(mode="after")
    def _interval_below_cap(self) -> Self:
        if self.interval_s is not None and self.cap_s is not None and self.cap_s < self.interval_s:
            raise ValueError("cap_s must not be below interval_s")
        if _is_below(self.stall_s, self.cap_s or self.interval_s):
            raise ValueError("stall_s must not be below cap_s or interval_s, or one poll could look like a stall")
        if _is_below(self.again_cap_s, self.again_wait_s):
            raise ValueError("again_cap_s must not be below again_wait_s")
        if _is_below(self.retry_after_cap_s, self.retry_after_floor_s):
            raise ValueError("retry_after_cap_s must not be below retry_after_floor_s")
        return self


def _is_below(value: float | None, least: float | None) -> bool:
    return value is not None and least is not None and value < least

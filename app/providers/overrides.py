"""What an account's configuration may change of the limits and times that its provider's spec proposes.

Both are tables of the configuration file, and :meth:`Provider.bind` reads them as they are.
"""

from typing import Self

from pydantic import Field, model_validator

from app.toml_file import Count, FromOne, FromZero, Positive, TomlTable


class LimitsOverride(TomlTable):
    """``[accounts.NAME.limits]``: what replaces the provider's own limits; what is left out stays as it is."""

    requests: Count | None = Field(default=None, description="at most so many requests …", examples=[30])
    period_s: Positive | None = Field(default=None, description="… in any period of so many seconds", examples=[60.0])
    spacing_s: FromZero | None = Field(
        default=None, description="and two of them at least so many seconds apart", examples=[1.0]
    )
    concurrency: Count | None = Field(default=None, description="and at most so many at once", examples=[4])
    remote_jobs: Count | None = Field(
        default=None, description="at most so many jobs under way at the provider; others wait", examples=[10]
    )


class ScheduleOverride(TomlTable):
    """``[accounts.NAME.schedule]``: what replaces the provider's own schedule; what is left out stays as it is."""

    first_delay_s: FromZero | None = Field(
        default=None, description="seconds from the provider's acceptance to the first question", examples=[30.0]
    )
    interval_s: Positive | None = Field(default=None, description="seconds between questions …", examples=[60.0])
    factor: FromOne | None = Field(
        default=None, description="… each interval so many times as long as the last", examples=[1.5]
    )
    cap_s: Positive | None = Field(default=None, description="… up to so many seconds", examples=[600.0])
    deadline_s: Positive | None = Field(
        default=None, description="a job that takes more seconds has failed", examples=[86_400.0]
    )
    stall_s: Positive | None = Field(
        default=None, description="and so has one that shows no progress for so many", examples=[14_400.0]
    )
    links_expire_s: Positive | None = Field(
        default=None, description="and one whose links to the files do not serve for so many", examples=[3600.0]
    )
    retry_after_floor_s: FromZero | None = Field(
        default=None, description="a provider's Retry-After is never taken for fewer seconds …", examples=[1.0]
    )
    retry_after_cap_s: Positive | None = Field(default=None, description="… and never for more", examples=[3600.0])
    most_unknown: Count | None = Field(
        default=None, description="submits in a row with an unknown outcome before a person must decide", examples=[5]
    )

    @model_validator(mode="after")
    def _interval_below_cap(self) -> Self:
        if self.interval_s is not None and self.cap_s is not None and self.cap_s < self.interval_s:
            raise ValueError("cap_s must not be below interval_s")
        if _is_below(self.stall_s, self.cap_s or self.interval_s):
            raise ValueError("stall_s must not be below cap_s or interval_s, or one poll could look like a stall")
        if _is_below(self.retry_after_cap_s, self.retry_after_floor_s):
            raise ValueError("retry_after_cap_s must not be below retry_after_floor_s")
        return self


def _is_below(value: float | None, least: float | None) -> bool:
    return value is not None and least is not None and value < least

"""``[accounts.NAME]`` and ``[schedules.NAME]``: credentials on a provider, and the jobs that recur with them."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from app.config.base import Table
from app.config.values import AllowPrivate, Count, FromOne, FromZero, Plain, Positive, Text, ZoneName
from app.domain.bounds import USUAL
from app.domain.networks import Private, private_of
from app.recurrence import check_cron, check_templates


class LimitsTable(Table):
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


class BoundsTable(Table):
    """``[accounts.NAME.bounds]``: how much of what the provider sends is taken at most; a job that meets more fails."""

    most_files: Annotated[Count, Field(le=100_000)] = Field(
        default=USUAL.most_files, description="files that one reply may list; up to 100,000"
    )
    most_pages: Count = Field(default=USUAL.most_pages, description="pages of one list")
    most_values: Count = Field(
        default=USUAL.most_values,
        description="values in the JSON of one reply, counted by its commas and opening brackets",
    )
    largest_file_bytes: Count = Field(
        default=USUAL.largest_file_bytes, description="bytes of one file, unpacked; by default 1 TiB"
    )


class ScheduleTable(Table):
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


class AccountTable(Table):
    """``[accounts.NAME]``: one set of credentials on a provider, which is who checks the ``settings``."""

    provider: Text = Field(description="which kind of remote API it is; `tidewaiter providers list` names them")
    allow_private: AllowPrivate = Field(
        default=False,
        description='private networks that may be reached, such as ["10.0.0.0/8", "127.0.0.1/32"]; true: every private '
        "and loopback address, but none that is link-local or of a cloud's metadata",
    )
    clean: bool | None = Field(
        default=None,
        description="whether the remote job is deleted once its files have landed; left out: as the spec says",
        examples=[False],
    )
    shards: Annotated[Count, Field(le=64)] = Field(
        default=1, description="lanes of the account, when more than one daemon shall share its work"
    )
    settings: Mapping[str, Plain] = Field(
        default={}, repr=False, description="what the provider needs; `tidewaiter providers show NAME` lists it"
    )
    limits: LimitsTable = Field(default=LimitsTable(), description="what replaces the provider's own limits")
    bounds: BoundsTable = Field(
        default=BoundsTable(), description="how much of what the provider sends is taken at most"
    )
    schedule: ScheduleTable = Field(
        default=ScheduleTable(), description="what replaces the provider's own polling times and limits of patience"
    )

    @property
    def private_ok(self) -> Private:
        """Which addresses outside the public internet may be reached."""
        return private_of(self.allow_private)


class RecurringTable(Table):
    """``[schedules.NAME]``: a job that recurs: exactly one for each tick, however many daemons run."""

    account: Text = Field(description="the name of a configured account", examples=["newsletter"])
    operation: Text = Field(
        description="what to ask for; `tidewaiter providers show PROVIDER` lists it", examples=["statistics"]
    )
    cron: Annotated[str, AfterValidator(check_cron)] = Field(
        description="minute, hour, day of the month, month, day of the week", examples=["15 4 * * *"]
    )
    timezone: ZoneName = Field(
        default="UTC", description="in which the cron expression is meant", examples=["Europe/Amsterdam"]
    )
    catch_up: Literal["skip", "last", "all"] = Field(
        default="last", description="ticks that passed while no daemon ran: skip, last (the latest of them), or all"
    )
    params: Mapping[str, Annotated[Plain, AfterValidator(check_templates)]] = Field(
        default={},
        description="the operation's parameters; dates are ${today}, ${yesterday}, ${week}, ${month}, ${year}, "
        "with an offset and a format, as in ${today-7d:%Y%m%d}",
        examples=[{"day": "${yesterday}"}],
    )

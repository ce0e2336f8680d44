"""``[accounts.NAME]`` and ``[schedules.NAME]``: credentials on a provider, and the jobs that recur with them."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from app.config.values import AllowPrivate, Plain, Text, ZoneName
from app.domain.bounds import USUAL
from app.domain.networks import Private, private_of
from app.providers.overrides import LimitsOverride, ScheduleOverride
from app.recurrence import check_cron, check_templates
from app.toml_file import Count, TomlTable


class BoundsTable(TomlTable):
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


class AccountTable(TomlTable):
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
    limits: LimitsOverride = Field(default=LimitsOverride(), description="what replaces the provider's own limits")
    bounds: BoundsTable = Field(
        default=BoundsTable(), description="how much of what the provider sends is taken at most"
    )
    schedule: ScheduleOverride = Field(
        default=ScheduleOverride(), description="what replaces the provider's own polling times and limits of patience"
    )

    @property
    def private_ok(self) -> Private:
        """Which addresses outside the public internet may be reached."""
        return private_of(self.allow_private)


class RecurringTable(TomlTable):
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

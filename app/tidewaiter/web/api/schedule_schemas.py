"""The bodies of requests about schedules, and of their responses."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, JsonValue, SkipValidation

from tidewaiter.web.api.body_schemas import GivenReason, Incoming, JobNumber, Moment, Outgoing


class SchedulePauseBody(GivenReason):
    """Why a schedule is paused."""


class ScheduleRunBody(Incoming):
    """What is different in this run of a schedule."""

    params: Annotated[
        dict[str, SkipValidation[JsonValue]],
        Field(default_factory=dict, max_length=1000, description="in place of the schedule's own; null leaves one out"),
    ]
    as_of: Annotated[
        Annotated[date, Field(strict=False)] | None,
        Field(description="fill in the dates as on this day, in the time zone of the schedule"),
    ] = None


class SchedulePauseShape(Outgoing):
    """A schedule that a person has paused."""

    by: str
    reason: str | None
    at: Moment


class ScheduleShape(Outgoing):
    """A recurring job."""

    name: str
    account: str
    operation: str
    cron: str
    timezone: str
    catch_up: Literal["skip", "last", "all"]
    params: Annotated[dict[str, JsonValue], Field(description="as configured, with their date templates")]
    next_at: Moment | None
    ticked_at: Annotated[Moment | None, Field(description="the last tick that was handled: served or skipped")]
    job: Annotated[JobNumber | None, Field(description="the job of the last tick that was served")]
    pause: Annotated[SchedulePauseShape | None, Field(description="null if it is not paused")]


class SchedulesShape(Outgoing):
    """The configured schedules, by name."""

    schedules: list[ScheduleShape]
